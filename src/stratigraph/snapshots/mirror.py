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
from collections.abc import Callable, Mapping
from collections.abc import Set as Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stratigraph.durable import sha256
from stratigraph.errors import DataError, IntegrityError, StorageError
from stratigraph.snapshots.files import (
    read_json,
    write_json,
)
from stratigraph.snapshots.ledger import Head, Ledger
from stratigraph.snapshots.objects import NoSuchObject
from stratigraph.snapshots.store import (
    MANIFEST,
    remove_record,
    unlisted,
)
from stratigraph.snapshots.versions import download, hash_of, upload, version_name

__all__ = [
    "REMOTE",
    "Part",
    "agree",
    "agreed",
    "fetch",
    "link",
    "origin",
    "put_back",
    "standing",
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


def agree(folder: Path, part: Part, entries: Mapping[str, str]) -> None:
    """Remember the entries that a working copy agrees with."""
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
            agree(folder, part, head.entries)
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
            agree(folder, part, entries)
        return back
    finally:
        lease.release()
