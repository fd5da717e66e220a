"""One writer of a ledger at a time; whoever was followed cannot commit, whatever it believes."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from stratigraph.errors import BusyError, IntegrityError
from stratigraph.snapshots import ledger as module
from stratigraph.snapshots.ledger import Ledger
from stratigraph.snapshots.objects import Objects


@pytest.fixture
def ledger(store_url) -> Ledger:
    return Ledger(Objects(store_url), "ledgers/one")


def test_tokens_grow_and_entries_stay(ledger):
    assert ledger.head().token == 0
    for token in (1, 2, 3):
        lease = ledger.acquire()
        assert lease.token == token
        lease.commit({**lease.head.entries, f"place {token}": "version"})
        lease.release()
    head = ledger.head()
    assert sorted(head.entries) == ["place 1", "place 2", "place 3"]
    assert head.holder is None
    assert len(ledger.numbers()) == module.KEPT
    assert ledger.objects.names("ledgers/one") == [f"{n:09d}.json" for n in ledger.numbers()]


def test_a_second_writer_is_told_at_once_who_holds_it(ledger):
    lease = ledger.acquire()
    with pytest.raises(BusyError, match=rf"being written by pid {os.getpid()} on .*, heard of 0 s"):
        ledger.acquire()
    lease.release()
    ledger.acquire().release()


def test_a_zombie_is_refused(ledger, monkeypatch):
    zombie = ledger.acquire()
    zombie.commit({"a": "1-x"})
    monkeypatch.setattr(module, "LEASE_SECONDS", 0.0)  # it has been silent for long
    heir = ledger.acquire()
    assert heir.token == zombie.token + 1
    assert heir.head.entries == {"a": "1-x"}
    with pytest.raises(BusyError, match=r"held token 1 and fell silent; token 2 was given to pid"):
        zombie.commit({"a": "1-y"})
    heir.commit({"a": "2-z"})
    # Its number may have been removed for its age: then it can be created, and is seen by nobody.
    for turn in range(2 * module.KEPT):
        heir.commit({"a": f"2-{turn}"})
    asleep = module.Lease(ledger, zombie.head)
    with pytest.raises(BusyError, match="held token 1"):
        asleep.commit({"a": "1-y"})
    assert ledger.head().entries == {"a": f"2-{2 * module.KEPT - 1}"}
    zombie.release()
    asleep.release()
    assert ledger.head().token == 2
    heir.release()


def test_a_holder_of_this_machine_that_has_ended_is_followed_at_once(ledger):
    lease = ledger.acquire()
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                           capture_output=True, check=True, text=True)  # fmt: skip
    lease.head = module.Head(
        **{**vars(lease.head), "holder": {**lease.head.holder, "pid": int(ended.stdout)}}
    )
    lease.commit({})
    heir = ledger.acquire()
    assert heir.token == 2
    lease.release()
    heir.release()


def test_silence_is_broken_by_what_stands_beside(ledger, monkeypatch):
    lease = ledger.acquire()
    monkeypatch.setattr(module.time, "time", lambda: lease.head.time + 1000.0)
    assert ledger.heard(ledger.head()) is None
    ledger.objects.put_all({lease._beside: module.sealed_json({"time": lease.head.time + 990.0})})
    assert ledger.heard(ledger.head()) == lease.head.time + 990.0
    lease.release()


def test_of_many_that_start_at_once_one_wins(ledger):
    def start(_):
        try:
            return ledger.acquire()
        except BusyError:
            return None

    with ThreadPoolExecutor(8) as pool:
        leases = [lease for lease in pool.map(start, range(16)) if lease is not None]
    assert len(leases) == 1
    leases[0].release()


def test_a_damaged_catalogue_is_told(ledger):
    ledger.acquire().release()
    name = f"ledgers/one/{ledger.numbers()[-1]:09d}.json"
    ledger.objects.put_all({name: ledger.objects.read(name).replace(b"1", b"2", 1)})
    with pytest.raises(IntegrityError, match=rf"{name}: damaged"):
        ledger.head()
