"""A folder here, and its records at a URL: what is committed in one is published in the other.

A *part* of a folder is what one writer writes: some places, and the ledger that says which versions
of them count. A version of the record ``metrics`` stands in ``metrics/<token>-<hash of its
manifest>/``, its files first and its manifest last, and counts once the ledger says so. Versions
are never changed, so a reader sees all of a catalogue or none of it; those that no longer count
are removed after the commit.

The folder (the *working copy*) remembers the entries that it last agreed with. Where the ledger
still has these, what the folder holds beyond them was committed here and is published; where it has
others, somebody went on from there, and the folder takes what they made.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as Collection
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stratigraph.durable import sha256
from stratigraph.errors import DataError, IntegrityError, StorageError, StratigraphError
from stratigraph.snapshots.files import (
    read_json,
    write_json,
)
from stratigraph.snapshots.ledger import Head, Lease, Ledger
from stratigraph.snapshots.objects import NoSuchObject, Objects
from stratigraph.snapshots.store import (
    MANIFEST,
    remove_record,
    unlisted,
)
from stratigraph.snapshots.versions import download, hash_of, upload, version_name

__all__ = [
    "REMOTE",
    "Part",
    "fetch",
    "link",
    "mirrored",
    "origin",
    "put_back",
    "unpublished",
]

REMOTE = ".remote"  # in a working copy: its URL, and what it agreed with
ATTEMPTS = 20


@dataclass(frozen=True)
class Part:
    """What one writer writes.

    ``name`` is its ledger's folder; ``places`` are patterns of its records, and names of its single
    files; ``passing`` are those of them that go when newer ones come.
    """

    name: str
    places: tuple[str, ...] = ()
    passing: tuple[str, ...] = ()


def link(folder: Path, url: str) -> None:
    """Make a folder the working copy of a URL, if it is not yet.

    Raises:
        DataError: it is another one's.

    """
    held = origin(folder)
    if held is None:
        write_json(folder / REMOTE / "origin.json", {"url": url})
    elif held != url:
        raise DataError(f"{folder}: the working copy of {held}, not of {url}.")


def origin(folder: Path) -> str | None:
    """The URL that a folder is the working copy of, if it is one's."""
    path = folder / REMOTE / "origin.json"
    return str(read_json(path)["url"]) if path.is_file() else None


def _base(folder: Path, part: Part) -> Path:
    return folder / REMOTE / f"{part.name.replace('/', '-')}.json"


def agreed(folder: Path, part: Part) -> dict[str, str]:
    """The entries that a working copy last agreed with; damaged, none: then the URL counts."""
    with contextlib.suppress(DataError, KeyError):
        return dict(read_json(_base(folder, part))["entries"])
    return {}


def _agree(folder: Path, part: Part, entries: Mapping[str, str]) -> None:
    if agreed(folder, part) != entries or not _base(folder, part).is_file():
        write_json(_base(folder, part), {"entries": dict(entries)})


def standing(folder: Path, part: Part) -> dict[str, str]:
    """The records and files of a part that stand in a folder: place → hash."""
    found = {}
    for pattern in part.places:
        for path in folder.glob(pattern):
            place = path.relative_to(folder)
            ours = path.is_dir() or path.name == PurePosixPath(pattern).name
            if ours and not any(name.startswith(".") for name in place.parts):
                with contextlib.suppress(FileNotFoundError):  # no record, or just replaced
                    found[place.as_posix()] = sha256(path / MANIFEST if path.is_dir() else path)
    return found


def unpublished(folder: Path, part: Part) -> bool:
    """Whether a working copy holds what it has not published; False for any other folder."""
    if origin(folder) is None:
        return False
    held = {place: hash_of(version) for place, version in agreed(folder, part).items()}
    return standing(folder, part) != held


def publish(lease: Lease, folder: Path, part: Part) -> None:
    """Commit what stands in a folder, if it is not what the ledger says.

    Raises:
        BusyError: somebody else has taken the ledger over.
        IntegrityError: a record here is damaged; nothing was committed.

    """
    before = dict(lease.head.entries)
    now = standing(folder, part)
    entries = {p: v for p, v in before.items() if now.get(p) == hash_of(v)}
    for place, digest in now.items():
        if place not in entries:
            version = version_name(lease.token, digest)
            upload(lease.ledger.objects, folder / place, f"{place}/{version}", digest)
            entries[place] = version
    if entries != before:
        lease.commit(entries)
        old = [f"{p}/{v}" for p, v in before.items() if entries.get(p) != v]
        lease.ledger.objects.remove(*old)
        if lease.follows_dead:
            _sweep(lease, [p for p, version in entries.items() if before.get(p) != version])
    _agree(folder, part, entries)


def _touched(lease: Lease, part: Part) -> Iterator[str]:
    """Where the owner before left something, and nobody may come again."""
    for pattern in part.passing:
        folder = pattern.rpartition("/")[0]
        yield from (f"{folder}/{name}" for name in lease.ledger.objects.names(folder))
    last = f"{lease.token - 1:08d}-"
    yield from (p for p, version in lease.head.entries.items() if version.startswith(last))


def _sweep(lease: Lease, places: Iterable[str]) -> None:
    """Remove what a process that died had put at these places, and not committed."""
    for place in places:
        for version in lease.ledger.objects.names(place):
            if version != lease.head.entries.get(place):
                lease.ledger.objects.remove(f"{place}/{version}")


def fetch(
    ledger: Ledger, folder: Path, part: Part, wanted: Callable[[str], bool] | None = None
) -> Head:
    """Bring a working copy to what the ledger says; return that.

    Args:
        ledger: the part's.
        folder: the working copy, whose locks are held.
        part: which of it.
        wanted: of these places only; what else stands there is left.

    Raises:
        IntegrityError: what is there is not what was written.

    """
    for _ in range(ATTEMPTS):
        head = ledger.head()
        if head.token <= 1 and not head.entries:
            return head  # nothing was ever committed, or all was wiped: what is here stays
        now = standing(folder, part)
        due = _due(folder, part, head, now)
        try:
            for place in due:
                if wanted is None or wanted(place):
                    version = f"{place}/{head.entries[place]}"
                    download(ledger.objects, version, folder / place)
        except NoSuchObject as error:
            if ledger.head().number == head.number:
                raise IntegrityError(f"{error}: missing, though its catalogue lists it.") from None
            continue  # replaced meanwhile, by the next
        if wanted is None and agreed(folder, part) != head.entries:
            for place in now.keys() - head.entries.keys():
                _remove(folder / place)
            _agree(folder, part, head.entries)
        return head
    raise StorageError(f"{ledger}: its records change faster than they can be read.")


def _due(folder: Path, part: Part, head: Head, now: Mapping[str, str]) -> list[str]:
    """What a working copy must be brought, to be what the ledger says or to lie ahead of it."""
    if agreed(folder, part) != head.entries:  # somebody went on from there
        return [p for p, version in head.entries.items() if now.get(p) != hash_of(version)]
    missing = [place for place in head.entries if place not in now]
    held = {place: hash_of(version) for place, version in head.entries.items()}
    if all(held.get(place) == digest for place, digest in now.items()):
        return missing
    return [p for p in missing if not any(PurePosixPath(p).match(old) for old in part.passing)]


def _remove(path: Path) -> None:
    if path.is_dir():
        if not unlisted(path):  # what somebody put there stays, and so does the folder
            remove_record(path)
    else:
        path.unlink(missing_ok=True)


def put_back(ledger: Ledger, folder: Path, part: Part, damaged: Collection[str]) -> set[str]:
    """Publish damaged places anew from a working copy, and strike out those that it has not whole.

    Returns:
        Those that were published anew.

    """
    lease = ledger.acquire()
    try:
        now, back = standing(folder, part), set()
        before = lease.head.entries
        entries = {place: version for place, version in before.items() if place not in damaged}
        for place in damaged:
            digest = hash_of(before[place])
            if now.get(place) != digest:
                continue
            version = version_name(lease.token, digest)
            with contextlib.suppress(IntegrityError):
                upload(ledger.objects, folder / place, f"{place}/{version}", digest)
                entries[place] = version
                back.add(place)
        in_step = agreed(folder, part) == before
        lease.commit(entries)
        ledger.objects.remove(*(f"{place}/{before[place]}" for place in damaged))
        if in_step:
            for place in damaged - back:  # damaged here too, or not here
                _remove(folder / place)
            _agree(folder, part, entries)
        return back
    finally:
        lease.release()


@contextmanager
def mirrored(folder: Path, part: Part, every: float | None = None) -> Iterator[Callable[[], None]]:
    """Be the one writer of a part: it is fetched before, and published after.

    What is yielded publishes in between.
    Of a folder that is no working copy nothing is fetched or published.

    Args:
        folder: whose locks for this part are held.
        part: what will be written.
        every: also publish what has been committed, every so many seconds.

    Raises:
        BusyError: another process holds the part, or took it over meanwhile.

    """
    url = origin(folder)
    if url is None:
        yield lambda: None
        return
    lease = Ledger(Objects(url), part.name).acquire()
    over, publishing = threading.Event(), threading.Lock()

    def now() -> None:
        with publishing:
            publish(lease, folder, part)

    def often() -> None:
        while every is not None and not over.wait(every):
            # What cannot be published now is published at the end, or said to be amiss there.
            with contextlib.suppress(StratigraphError, OSError):
                now()

    thread = threading.Thread(target=often, daemon=True)
    try:
        fetch(lease.ledger, folder, part)
        if lease.follows_dead:
            _sweep(lease, _touched(lease, part))
        thread.start()
        try:
            yield now
        except BaseException:
            with contextlib.suppress(StratigraphError, OSError):
                now()
            raise
        now()
    finally:
        over.set()
        if thread.is_alive():
            thread.join()
        lease.release()
