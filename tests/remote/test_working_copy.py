"""A working copy and its URL: nothing is lost, nothing half is seen, whatever is interrupted."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

import pytest

from stratigraph.engine import LocalEngine, stopping
from stratigraph.errors import BusyError, DataError, IntegrityError, StorageError
from stratigraph.records import record_exists, remove_record, verified, write_json, write_record
from stratigraph.remote.inventory import read_newest, read_object
from stratigraph.remote.publication import publishing, sweep
from stratigraph.remote.store import Store, open_store
from stratigraph.remote.versions import check_version
from stratigraph.remote.working_copy import Part, fetch, is_published
from stratigraph.study.origin import REMOTE, find_origin, keep_origin

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
        if path.is_file() and REMOTE not in path.parts
    }


@pytest.fixture
def one(store_url, tmp_path) -> Path:
    keep_origin(tmp_path / "one", store_url)
    return tmp_path / "one"


@pytest.fixture
def other(store_url, tmp_path) -> Path:
    """The working copy of another machine."""
    keep_origin(tmp_path / "other", store_url)
    return tmp_path / "other"


def store_of(folder: Path) -> Store:
    return open_store(find_origin(folder))


def mirrored(folder: Path, part: Part, every: float | None = None):
    return publishing(store_of(folder), folder, part, every)


def bring(folder: Path) -> None:
    fetch(store_of(folder), folder, PART)


def versions_at(url: str) -> dict[str, list[str]]:
    """Place → the versions of it that have objects, whether they count or not."""
    found: dict[str, set[str]] = {}
    store = open_store(url)
    for folder in ("config.json", "metrics", "snapshots", "checkpoint"):
        for name in store.walk(folder):
            place, version, _ = name.rsplit("/", 2)
            found.setdefault(place, set()).add(version)
    return {place: sorted(versions) for place, versions in found.items()}


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
    assert store_of(one).names("checkpoint/001") == []
    assert len(store_of(one).names("metrics")) == 1


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
    assert is_published(one, PART)
    record(one / "snapshots" / "001", b"committed, and then the process was killed")
    assert not is_published(one, PART)
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
    store = store_of(one)
    store.remove([*store.walk("snapshots"), *store.walk(PART.ledger)])
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


def test_a_zombie_is_refused_and_what_it_put_goes(one, other):
    with (
        pytest.raises(BusyError, match=r"continued by pid \d+ on .*, which got as far"),
        mirrored(one, PART) as publish,
    ):
        record(one / "snapshots" / "000", b"0")
        publish()
        with mirrored(other, PART):  # the first is silent, and its run is sent to another
            record(other / "snapshots" / "001", b"of the second")
            record(other / "metrics", b"of the second")
        record(one / "snapshots" / "001", b"of the zombie")
        publish()
    third = one.parent / "third"
    keep_origin(third, find_origin(one))
    bring(third)
    assert holds(third) == holds(other)


def test_two_writers_whose_bits_differ_are_never_mixed(one, other):
    """Each is ahead in turn; whatever a reader sees is the work of one of them, and is whole.

    From a snapshot on they differ. The first who publishes it goes on, and the other is refused.
    """

    def work(folder: Path, step: int) -> None:
        differ = f"of {folder.name}" if step >= 6 else ""
        if step % 3 == 0:
            record(folder / "snapshots" / f"{step:03d}", f"{step} {differ}".encode())
        record(folder / "checkpoint" / f"{step:03d}", f"state {step} of {folder.name}".encode())
        if step:
            remove_record(folder / "checkpoint" / f"{step - 1:03d}")
        record(folder / "metrics", f"until {step} of {folder.name}".encode())

    store = store_of(one)
    with contextlib.ExitStack() as stack:
        publish = {f: stack.enter_context(publishing(store, f, PART)) for f in (one, other)}
        stack.pop_all()  # they never end: both will be killed
    steps, published, refused = {one: -1, other: -1}, [], {one: 0, other: 0}
    last, snapshots = -1, {}
    for turn, folder in enumerate([one, other, other, one] * 7):
        steps[folder] += 1
        work(folder, steps[folder])
        try:
            publish[folder]()
            published.append(folder)
        except BusyError:
            refused[folder] += 1
        reader = one.parent / f"reader-{turn % 3}"  # some go on from what they saw before
        fetch(store, reader, PART)
        found = holds(reader)
        assert found == holds(published[-1])
        step = max(int(place.split("/")[1]) for place in found if place.startswith("checkpoint"))
        assert step >= last
        last = step
        seen = {place: content for place, content in found.items() if "snapshots" in place}
        assert snapshots.items() <= seen.items()
        snapshots = seen
        entries = read_newest(store, PART.ledger).entries
        assert all(check_version(store, *entry)[0] == "" for entry in entries.items())
    assert published[:7] == [one, other] * 3 + [one]  # in turn, as long as they agree
    assert set(published[7:]) == {one}
    assert (refused[one], refused[other]) == (3, 11)
    leading, behind = one, other
    with publishing(store, behind, PART):
        assert holds(behind) == holds(leading)
        steps[behind] = steps[leading] + 1
        work(behind, steps[behind])
    with pytest.raises(BusyError):
        publish[leading]()
    assert versions_at(store.url) == {
        place: [version] for place, version in read_newest(store, PART.ledger).entries.items()
    }


def test_a_copy_that_had_to_go_back_is_published_once_it_is_as_far(one, other):
    """Its checkpoint was damaged, say: what the URL has of later steps stays until then."""
    with mirrored(one, PART):
        record(one / "checkpoint" / "005", b"5")
        record(one / "metrics", b"until 5")
    bring(other)
    with mirrored(one, PART) as publish:
        remove_record(one / "checkpoint" / "005")
        for step in (3, 4):
            record(one / "checkpoint" / f"{step:03d}", b"%d" % step)
            record(one / "metrics", b"until %d" % step)
            publish()
            before = holds(other)
            bring(other)
            assert holds(other) == before
        remove_record(one / "checkpoint" / "003")
        remove_record(one / "checkpoint" / "004")
        record(one / "checkpoint" / "006", b"6")
        record(one / "metrics", b"until 6")
    bring(other)
    assert holds(other) == holds(one)


def test_two_writers_of_the_same_bits_share_what_they_put(one, other):
    """Both put the same version at once; whoever is second removes nothing of it."""
    store = store_of(one)

    class Overtaken:
        url, names, walk, pieces = store.url, store.names, store.walk, store.pieces
        put, remove = store.put, store.remove

        def create(self, name, content):
            if find_newest() == 0:
                with mirrored(other, PART):
                    record(other / "snapshots" / "000", b"0")
            store.create(name, content)

    def find_newest() -> int:
        return read_newest(store, PART.ledger).number

    with publishing(Overtaken(), one, PART):
        record(one / "snapshots" / "000", b"0")
    assert find_newest() == 1
    fetch(store, one.parent / "reader", PART)
    assert holds(one.parent / "reader") == holds(one) == holds(other)


def test_sweeping_leaves_what_another_is_putting(one, other):
    store = store_of(one)

    class Swept:
        url, names, walk, pieces = store.url, store.names, store.walk, store.pieces
        put, remove = store.put, store.remove

        def create(self, name, content):
            sweep(store, PART)  # another's, between the versions and the inventory
            store.create(name, content)

    with publishing(Swept(), one, PART) as publish:
        record(one / "snapshots" / "000", b"0")
        publish()
        record(one / "snapshots" / "001", b"1")
        record(one / "metrics", b"1")
    bring(other)
    assert holds(other) == holds(one)
    orphans = {"metrics/00000003-dead/file0", "metrics/00000002-dead/file0"}
    for name in orphans:
        store.put(name, b"of killed processes")
    assert sweep(store, PART) == 1
    assert orphans & set(store.walk("metrics")) == {"metrics/00000003-dead/file0"}
    bring(other)
    assert holds(other) == holds(one)


def test_a_slow_reader_begins_again(one):
    """What it was about to read is replaced and removed: it reads the newest inventory instead."""
    store, reader = store_of(one), one.parent / "reader"
    with mirrored(one, PART) as publish:
        record(one / "metrics", b"1")
        publish()

        class Slow:
            url, names = store.url, store.names

            def pieces(self, name):
                if name.endswith("manifest.json") and read_newest(store, PART.ledger).number == 1:
                    record(one / "metrics", b"2")
                    publish()
                return store.pieces(name)

        fetch(Slow(), reader, PART)
    assert holds(reader) == holds(one)


def test_a_writer_that_was_followed_is_stopped_in_the_middle_of_its_work(one, other):
    """Also one that has nothing to publish meanwhile, and so is refused nothing."""
    done = []

    def work(number: int) -> None:
        done.append(number)
        if number == 1:
            with mirrored(other, PART):
                record(other / "snapshots" / "000", b"0")
        deadline = time.monotonic() + 60
        while number >= 1 and not stopping():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    with (
        pytest.raises(BusyError, match=r"continued by pid"),
        mirrored(one, PART, every=0.05),
    ):
        list(LocalEngine(1).map(work, range(9)))
    assert done == [0, 1]
    assert not stopping()
    assert len(list(LocalEngine(1).map(abs, range(3)))) == 3


def test_damage_at_the_url_is_noticed(one, other):
    with mirrored(one, PART):
        record(one / "snapshots" / "000", b"weights", b"more")
    store = store_of(one)
    (version,) = store.names("snapshots/000")
    for name, changed in (("file1", b"mora"), ("manifest.json", b"{}")):
        place = f"snapshots/000/{version}/{name}"
        before = read_object(store, place)
        store.put(place, changed)
        with pytest.raises(IntegrityError, match=rf"{name}: damaged"):
            bring(other)
        assert not record_exists(other / "snapshots" / "000")
        store.put(place, before)
    store.remove([f"snapshots/000/{version}/file1"])
    with pytest.raises(IntegrityError, match="file1: missing"):
        bring(other)


def test_damage_here_is_not_published(one):
    with pytest.raises(IntegrityError, match="damaged; it is not published"), mirrored(one, PART):
        record(one / "snapshots" / "000", b"weights")
        (one / "snapshots" / "000" / "file0").write_bytes(b"weighty")
    assert read_newest(store_of(one), PART.ledger).entries == {}


def test_a_folder_is_of_one_url(one):
    with pytest.raises(DataError, match="the working copy of"):
        keep_origin(one, "s3://elsewhere")


class Killed(BaseException):
    """The process ends here: nothing that follows is done by anybody."""


class Dying:
    """A store that lets so many operations through, and then the process is gone."""

    def __init__(self, real: Store, operations: int) -> None:
        self.real, self.url, self.left, self.count = real, real.url, operations, 0
        self.turn = threading.Lock()

    def __getattr__(self, name):
        value = getattr(self.real, name)
        if name not in ("put", "create", "remove"):
            return value

        def counted(*arguments):
            with self.turn:
                self.count += 1
                if self.count > self.left:
                    raise Killed
            return value(*arguments)

        return counted


def test_killed_at_each_operation_of_a_publish_nothing_is_lost(store_url, tmp_path):
    """The old inventory counts, or the new one; and either machine goes on from there."""

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
    every = 4 if store_url.startswith("s3") else 1  # the same operations, slower
    while True:
        url = f"{store_url}/{operations}"
        here, there = tmp_path / f"here-{operations}", tmp_path / f"there-{operations}"
        keep_origin(here, url)
        keep_origin(there, url)
        with mirrored(here, PART):
            before(here)
        dying = Dying(open_store(url), operations)
        try:
            with publishing(dying, here, PART) as publish:
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
            record((here if operations % 2 else there) / "snapshots" / "003", b"weights 3")
        bring(here)
        bring(there)
        assert holds(here) == holds(there)
        remove_record(here / "snapshots" / "003")
        assert holds(here) == wanted[1]
        # What the dead process put and did not publish is gone.
        entries = read_newest(open_store(url), PART.ledger).entries
        assert versions_at(url) == {place: [version] for place, version in entries.items()}
        if dying.count <= operations:
            break
        operations += every
    assert min(seen) > (every == 1)
    assert operations > 8


def test_a_full_store_loses_nothing(one, other, monkeypatch):
    with mirrored(one, PART):
        record(one / "snapshots" / "000", b"0")

    def refuse(*arguments):
        raise StorageError("the store is full")

    store = store_of(one)
    with pytest.raises(StorageError, match="full"), publishing(store, one, PART):
        record(one / "snapshots" / "001", b"1")
        monkeypatch.setattr(store, "put", refuse)
    bring(other)
    assert [p for p in holds(other) if p.startswith("snapshots/001")] == []
    with mirrored(one, PART):
        pass
    bring(other)
    assert holds(other) == holds(one)
