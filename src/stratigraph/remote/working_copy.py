"""A folder here, and its records at a URL: it is brought to what the newest inventory says.

A *part* of a folder is what one writer writes: some places, and the ledger whose newest inventory
says which versions of them count. The folder (the *working copy*) remembers the entries that it
last agreed with. Where the newest inventory still has these, what the folder holds beyond them was
made here, and stays; where it has others, somebody went on from there, and the folder takes what
they made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from stratigraph.durable import sha256
from stratigraph.errors import DataError, IntegrityError, StorageError
from stratigraph.records import MANIFEST, read_json, remove_record, unlisted, write_json
from stratigraph.remote.inventory import Inventory, read_newest
from stratigraph.remote.store import NoSuchObject, Store
from stratigraph.remote.versions import download, hash_of
from stratigraph.study.origin import REMOTE

__all__ = [
    "Part",
    "do_each",
    "fetch",
    "hashes_of",
    "is_at",
    "is_published",
    "keep_agreed",
    "list_standing",
    "read_agreed",
    "remove_place",
]

ATTEMPTS = 20
AT_ONCE = 8  # records on their way at a time, of each part


@dataclass(frozen=True)
class Part:
    """What one writer writes.

    ``ledger`` is the folder of its inventories; ``places`` are patterns of its records, and names
    of its single files; ``passing`` are those of them that go when newer ones come.
    """

    ledger: str
    places: tuple[str, ...] = ()
    passing: tuple[str, ...] = ()


def _base(folder: Path, part: Part) -> Path:
    return folder / REMOTE / f"{part.ledger.replace('/', '-')}.json"


def read_agreed(folder: Path, part: Part) -> dict[str, str]:
    """The entries that a working copy last agreed with; damaged, none: then the URL counts."""
    with contextlib.suppress(DataError, KeyError):
        return dict(read_json(_base(folder, part))["entries"])
    return {}


def keep_agreed(folder: Path, part: Part, entries: Mapping[str, str]) -> None:
    """Remember the entries that a working copy agrees with."""
    if read_agreed(folder, part) != entries or not _base(folder, part).is_file():
        write_json(_base(folder, part), {"entries": dict(entries)})


def list_standing(folder: Path, part: Part) -> dict[str, str]:
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


def hashes_of(entries: Mapping[str, str]) -> dict[str, str]:
    """Place → hash, of entries: place → version."""
    return {place: hash_of(version) for place, version in entries.items()}


def is_at(place: str, patterns: Iterable[str]) -> bool:
    """Whether a place is one of some patterns'."""
    return any(
        PurePosixPath(place).match(pattern) and place.count("/") == pattern.count("/")
        for pattern in patterns
    )


def is_published(folder: Path, part: Part) -> bool:
    """Whether a working copy holds nothing that it has not published."""
    return list_standing(folder, part) == hashes_of(read_agreed(folder, part))


def fetch(
    store: Store, folder: Path, part: Part, wanted: Callable[[str], object] | None = None
) -> Inventory:
    """Bring a working copy to what the newest inventory says; return that.

    Args:
        store: of the URL.
        folder: the working copy, whose locks are held.
        part: which of it.
        wanted: of these places only; what else stands there is left.

    Raises:
        IntegrityError: what is there is not what was written.

    """
    for _ in range(ATTEMPTS):
        newest = read_newest(store, part.ledger)
        if not newest.entries:
            return newest  # nothing was ever published, or all was wiped: what is here stays
        now = list_standing(folder, part)
        due = [p for p in _find_due(folder, part, newest, now) if wanted is None or wanted(p)]
        try:
            do_each(lambda p: download(store, folder / p, p, newest.entries[p]), due)  # noqa: B023
        except NoSuchObject as error:
            if read_newest(store, part.ledger).number == newest.number:
                raise IntegrityError(f"{error}: missing, though its inventory lists it.") from None
            continue  # followed by the next, meanwhile
        if wanted is None:
            if read_agreed(folder, part) != newest.entries:
                for place in now.keys() - newest.entries.keys():
                    remove_place(folder / place)
            keep_agreed(folder, part, newest.entries)
        return newest
    raise StorageError(f"{store.url}/{part.ledger}: changes faster than it can be read.")


def _find_due(folder: Path, part: Part, newest: Inventory, now: Mapping[str, str]) -> list[str]:
    """What a working copy must be brought, to be what the URL says or to lie ahead of it."""
    held = hashes_of(newest.entries)
    if read_agreed(folder, part) != newest.entries:  # somebody went on from there
        return [place for place in held if now.get(place) != held[place]]
    missing = [place for place in held if place not in now]
    if all(held.get(place) == digest for place, digest in now.items()):
        return missing
    return [place for place in missing if not is_at(place, part.passing)]


def do_each(do: Callable[[str], None], places: Iterable[str]) -> None:
    """Do something with each place, some at a time; after a failure with no more of them."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [pool.submit(do, place) for place in places]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def remove_place(path: Path) -> None:
    """Remove a record or a single file, and nothing that is not ours."""
    if path.is_dir():
        if not unlisted(path):  # what somebody put there stays, and so does the folder
            remove_record(path)
    else:
        path.unlink(missing_ok=True)
