"""A working copy and its URL: nothing is lost, nothing half is seen, whatever is interrupted."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from stratigraph.engine import LocalEngine, stopping
from stratigraph.errors import BusyError, DataError, IntegrityError, StorageError
from stratigraph.snapshots import ledger as ledger_module
from stratigraph.snapshots import mirror as module
from stratigraph.snapshots import (
    publishing,
    record_exists,
    remove_record,
    verified,
    versions,
    write_json,
    write_record,
)
from stratigraph.snapshots.ledger import Ledger
from stratigraph.snapshots.mirror import Part, fetch, link, origin, unpublished
from stratigraph.snapshots.objects import Objects
from stratigraph.snapshots.publishing import mirrored

PART = Part(
    "ledger",
    ("config.json", "metrics", "snapshots/[0-9]*", "checkpoint/[0-9]*"),
    passing=("checkpoint/[0-9]*",),
)


def record(folder: Path, *contents: bytes) -> None:
    def fill(files):
        for number, content in enumerate(contents):
            files.add(f"file{number}", content)

    write_record(folder, fill, {"of": folder.name})


def holds(folder: Path) -> dict[str, bytes]:
    """Every file of a working copy, its own notes left out."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and module.REMOTE not in path.parts
    }


@pytest.fixture
def one(store_url, tmp_path) -> Path:
    link(tmp_path / "one", store_url)
    return tmp_path / "one"


@pytest.fixture
def other(store_url, tmp_path) -> Path:
    """The working copy of another machine."""
    link(tmp_path / "other", store_url)
    return tmp_path / "other"


def bring(folder: Path) -> None:
    fetch(Ledger(Objects(origin(folder)), PART.name), folder, PART)


def test_what_is_committed_here_is_there(one, other):
    with mirrored(one, PART) as publish:
        record(one / "snapshots" / "000", b"weights", b"more", b"")
        write_json(one / "config.json", {"a": 1})
        record(one / "checkpoint" / "001", b"state 1")
        publish()
        bring(other)
        assert holds(other) == holds(one)
        record(one / "checkpoint" / "002", b"state 2")
        remove_record(one / "checkpoint" / "001")
        record(one / "metrics", b"losses")
        record(one / "metrics", b"losses, more of them")
    bring(other)
    assert holds(other) == holds(one)
    assert verified(other / "metrics") == {"of": "metrics"}
    # What no longer counts is gone, and what counts is there once.
    objects = Objects(origin(one))
    assert objects.names("checkpoint/001") == []
    assert len(objects.names("metrics")) == 1


def test_another_machine_goes_on_and_the_first_takes_up_what_it_made(one, other):
    with mirrored(one, PART):
        record(one / "checkpoint" / "001", b"1")
    with mirrored(other, PART):
        assert record_exists(other / "checkpoint" / "001")
        record(other / "checkpoint" / "002", b"2")
        remove_record(other / "checkpoint" / "001")
    record(one / "checkpoint" / "0015", b"never published, and too late")
    with mirrored(one, PART):
        assert holds(one) == holds(other)


def test_what_was_not_published_is_published_when_the_work_goes_on(one, other):
    with mirrored(one, PART):
        record(one / "snapshots" / "000", b"0")
    assert not unpublished(one, PART)
    record(one / "snapshots" / "001", b"committed, and then the process was killed")
    assert unpublished(one, PART)
    with mirrored(one, PART):
        assert record_exists(one / "snapshots" / "001")
    bring(other)
    assert holds(other) == holds(one)


def test_a_working_copy_that_lost_records_loses_none_at_the_url(one, other):
    with mirrored(one, PART):
        record(one / "snapshots" / "000", b"0")
        record(one / "checkpoint" / "001", b"1")
    whole = holds(one)
    remove_record(one / "snapshots" / "000")
    remove_record(one / "checkpoint" / "001")
    with mirrored(one, PART):
        assert holds(one) == whole
    bring(other)
    assert holds(other) == whole


def test_a_url_that_was_wiped_does_not_empty_the_working_copy(one, other):
    with mirrored(one, PART):
        record(one / "snapshots" / "000", b"0")
    whole = holds(one)
    Objects(origin(one)).remove("snapshots", PART.name)
    bring(one)
    assert holds(one) == whole
    with mirrored(one, PART):
        pass
    bring(other)
    assert holds(other) == holds(one) == whole


def test_other_people_s_files_are_neither_published_nor_removed(one, other):
    with mirrored(one, PART):
        record(one / "snapshots" / "000", b"0")
        (one / "snapshots" / "000-notes.txt").write_text("mine")
    bring(other)
    assert "snapshots/000-notes.txt" not in holds(other)
    record(other / "snapshots" / "005", b"5")
    (other / "snapshots" / "005" / "mine.txt").write_text("mine")
    (other / "snapshots" / "006.txt").write_text("mine")
    with mirrored(one, PART):
        record(one / "snapshots" / "001", b"1")
    bring(other)
    assert (other / "snapshots" / "005" / "mine.txt").exists()
    assert (other / "snapshots" / "006.txt").exists()


def test_a_second_writer_is_refused_and_a_zombie_too(one, other, monkeypatch):
    with pytest.raises(BusyError, match="held token 1"), mirrored(one, PART) as publish:
        record(one / "snapshots" / "000", b"0")
        publish()
        with pytest.raises(BusyError, match="being written by pid"), mirrored(other, PART):
            pass
        monkeypatch.setattr(ledger_module, "LEASE_SECONDS", 0.0)
        with mirrored(other, PART):  # the first is silent, and is taken for dead
            record(other / "snapshots" / "001", b"of the second")
        monkeypatch.undo()
        record(one / "snapshots" / "002", b"of the zombie")
        publish()
    third = one.parent / "third"
    link(third, origin(one))
    bring(third)
    assert holds(third) == holds(other)


def test_a_writer_that_was_followed_is_stopped_in_the_middle_of_its_work(one, other, monkeypatch):
    """Also one that has nothing to publish meanwhile, and so is refused nothing."""
    done = []

    def work(number: int) -> None:
        done.append(number)
        if number == 1:
            monkeypatch.setattr(ledger_module, "LEASE_SECONDS", 0.0)
            with mirrored(other, PART):
                pass
        deadline = time.monotonic() + 60
        while number >= 1 and not stopping():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    with (
        pytest.raises(BusyError, match=r"held token 1 and fell silent; token 2 was given to"),
        mirrored(one, PART, every=0.05),
    ):
        list(LocalEngine(1).map(work, range(9)))
    assert done == [0, 1]
    assert not stopping()
    assert len(list(LocalEngine(1).map(abs, range(3)))) == 3


def test_damage_at_the_url_is_noticed(one, other):
    with mirrored(one, PART):
        record(one / "snapshots" / "000", b"weights", b"more")
    objects = Objects(origin(one))
    (version,) = objects.names("snapshots/000")
    for name, changed in (("file1", b"mora"), ("manifest.json", b"{}")):
        place = f"snapshots/000/{version}/{name}"
        before = objects.read(place)
        objects.put_all({place: changed})
        with pytest.raises(IntegrityError, match=rf"{name}: damaged"):
            bring(other)
        assert not record_exists(other / "snapshots" / "000")
        objects.put_all({place: before})
    objects.remove(f"snapshots/000/{version}/file1")
    with pytest.raises(IntegrityError, match="file1: missing"):
        bring(other)


def test_damage_here_is_not_published(one):
    with pytest.raises(IntegrityError, match="damaged; it is not published"), mirrored(one, PART):
        record(one / "snapshots" / "000", b"weights")
        (one / "snapshots" / "000" / "file0").write_bytes(b"weighty")
    assert Ledger(Objects(origin(one)), PART.name).head().entries == {}


def test_a_folder_is_of_one_url(one):
    with pytest.raises(DataError, match="the working copy of"):
        link(one, "memory://elsewhere")
    with mirrored(one.parent / "no working copy", PART) as publish:
        publish()


def test_large_records_in_pieces(one, other, monkeypatch):
    monkeypatch.setattr(versions, "AT_ONCE", 10)
    with mirrored(one, PART):
        record(one / "snapshots" / "000", b"x" * 25, b"y" * 4, b"z" * 4, b"u" * 4, b"v" * 30)
    bring(other)
    assert holds(other) == holds(one)


class Killed(BaseException):
    """The process ends here: nothing that follows is done by anybody."""


class Dying:
    """A store that lets so many operations through, and then the process is gone."""

    def __init__(self, real: Objects, operations: int, half: bool) -> None:
        self.real, self.left, self.half, self.count = real, operations, half, 0

    def __getattr__(self, name):
        value = getattr(self.real, name)
        if name not in ("put_all", "put_file", "create", "remove"):
            return value

        def counted(*arguments):
            self.count += 1
            if self.count > self.left:
                if self.half and self.count == self.left + 1 and name == "put_all":
                    # Of several objects some have arrived; each is whole.
                    objects = arguments[0]
                    self.real.put_all(dict(list(objects.items())[: len(objects) // 2]))
                raise Killed
            return value(*arguments)

        return counted


@pytest.mark.parametrize("half", [False, True])
def test_killed_at_each_operation_of_a_publish_nothing_is_lost(
    store_url, tmp_path, monkeypatch, half
):
    """The old catalogue counts, or the new one; and the same process goes on from either."""
    if not store_url.startswith("memory"):
        pytest.skip("the same operations, slower")
    monkeypatch.setattr(ledger_module, "_lives", lambda holder: False)

    def before(folder: Path) -> None:
        record(folder / "snapshots" / "000", b"weights 0", b"more")
        record(folder / "checkpoint" / "001", b"state 1", b"moments 1")
        record(folder / "metrics", b"losses 1")

    def after(folder: Path) -> None:
        record(folder / "snapshots" / "002", b"weights 2", b"more")
        record(folder / "checkpoint" / "002", b"state 2", b"moments 2")
        remove_record(folder / "checkpoint" / "001")
        record(folder / "metrics", b"losses 2")

    old, new = tmp_path / "old", tmp_path / "new"
    before(old)
    before(new)
    after(new)
    wanted = [holds(old), holds(new)]
    operations, seen = 0, [0, 0]
    while True:
        url = f"{store_url}/{half}-{operations}"
        here, there = tmp_path / f"here-{operations}", tmp_path / f"there-{operations}"
        link(here, url)
        link(there, url)
        with mirrored(here, PART):
            before(here)
        dying = Dying(Objects(url), operations, half)
        with monkeypatch.context() as patch:
            patch.setattr(publishing, "Objects", lambda url, dying=dying: dying)
            try:
                with mirrored(here, PART) as publish:
                    after(here)
                    publish()
            except Killed:
                pass
        bring(there)
        found = wanted.index(holds(there))  # one of the two, whole
        seen[found] += 1
        # This process goes on from where it was, or another from what was published.
        with mirrored(here if operations % 2 else there, PART):
            after(here if operations % 2 else there)
        bring(here)
        bring(there)
        assert holds(here) == holds(there) == wanted[1]
        # What the dead process put and did not commit is gone.
        entries = Ledger(Objects(url), PART.name).head().entries
        left = {
            f"{place}/{name}": Objects(url).names(f"{place}/{name}")
            for place in ("snapshots", "checkpoint")
            for name in Objects(url).names(place)
        }
        left["metrics"] = Objects(url).names("metrics")
        assert {p: v for p, v in left.items() if v} == {p: [v] for p, v in entries.items()}
        if dying.count <= operations:
            break
        operations += 1
    assert min(seen) > 1
    assert operations > 8


def test_a_full_store_loses_nothing(one, other, monkeypatch):
    with mirrored(one, PART):
        record(one / "snapshots" / "000", b"0")

    def refuse(*arguments):
        raise StorageError("the store is full")

    with pytest.raises(StorageError, match="full"), mirrored(one, PART):
        record(one / "snapshots" / "001", b"1")
        monkeypatch.setattr(Objects, "put_all", refuse)
    monkeypatch.undo()
    bring(other)
    assert [p for p in holds(other) if p.startswith("snapshots/001")] == []
    with mirrored(one, PART):
        pass
    bring(other)
    assert holds(other) == holds(one)
