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
import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as Collection
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from stratigraph.durable import sha256
from stratigraph.errors import DataError, IntegrityError, StorageError, StratigraphError
from stratigraph.snapshots.files import (
    check_format,
    read_json,
    unsealed_json,
    write_file,
    write_json,
)
from stratigraph.snapshots.ledger import Head, Lease, Ledger
from stratigraph.snapshots.objects import NoSuchObject, Objects
from stratigraph.snapshots.store import (
    MANIFEST,
    Files,
    put_record,
    remove_record,
    unlisted,
)

__all__ = [
    "REMOTE",
    "Part",
    "check_objects",
    "fetch",
    "link",
    "mirrored",
    "origin",
    "put_back",
    "unpublished",
]

REMOTE = ".remote"  # in a working copy: its URL, and what it agreed with
AT_ONCE = 1 << 26  # bytes of objects that are in memory at a time
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
    held = {place: _hash(version) for place, version in agreed(folder, part).items()}
    return standing(folder, part) != held


def _hash(version: str) -> str:
    return version.partition("-")[2]


def publish(lease: Lease, folder: Path, part: Part) -> None:
    """Commit what stands in a folder, if it is not what the ledger says.

    Raises:
        BusyError: somebody else has taken the ledger over.
        IntegrityError: a record here is damaged; nothing was committed.

    """
    before = dict(lease.head.entries)
    now = standing(folder, part)
    entries = {p: v for p, v in before.items() if now.get(p) == _hash(v)}
    for place, digest in now.items():
        if place not in entries:
            version = f"{lease.token:08d}-{digest}"
            _upload(lease.ledger.objects, folder / place, f"{place}/{version}", digest)
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


class _Replaced(StorageError):
    """A record changed while it was being read."""


def _upload(objects: Objects, path: Path, to: str, digest: str) -> None:
    """One version: its files, checked against its manifest as they are read, then the manifest."""
    if path.is_file():
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise _Replaced(f"{path}: replaced while it was being published.")
        objects.put_all({f"{to}/{path.name}": content})
        return
    content = (path / MANIFEST).read_bytes()
    manifest = unsealed_json(content, path / MANIFEST)
    some: dict[str, bytes] = {}
    for name, facts in manifest["files"].items():
        file = path / name
        if sha256(file) != facts["sha256"]:
            if sha256(path / MANIFEST) != digest:
                raise _Replaced(f"{path}: replaced while it was being published.")
            raise IntegrityError(f"{file}: damaged; it is not published.")
        if facts["bytes"] > AT_ONCE:
            objects.put_file(f"{to}/{name}", file)
            continue
        some[f"{to}/{name}"] = file.read_bytes()
        if sum(map(len, some.values())) > AT_ONCE:
            objects.put_all(some)
            some = {}
    objects.put_all(some)
    objects.put_all({f"{to}/{MANIFEST}": content})


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
        now = standing(folder, part)
        due = _due(folder, part, head, now)
        try:
            for place in due:
                if wanted is None or wanted(place):
                    version = f"{place}/{head.entries[place]}"
                    _download(ledger.objects, version, folder / place)
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
        return [p for p, version in head.entries.items() if now.get(p) != _hash(version)]
    missing = [place for place in head.entries if place not in now]
    held = {place: _hash(version) for place, version in head.entries.items()}
    if all(held.get(place) == digest for place, digest in now.items()):
        return missing
    return [p for p in missing if not any(PurePosixPath(p).match(old) for old in part.passing)]


def _remove(path: Path) -> None:
    if path.is_dir():
        if not unlisted(path):  # what somebody put there stays, and so does the folder
            remove_record(path)
    else:
        path.unlink(missing_ok=True)


def _download(objects: Objects, version: str, path: Path) -> None:
    """One version, into its place once all of it is here and has its hashes."""
    alone = f"{version}/{path.name}"  # of a single file
    record = MANIFEST in objects.names(version)
    named = f"{version}/{MANIFEST}" if record else alone
    content = objects.read(named)
    if hashlib.sha256(content).hexdigest() != _hash(version.rpartition("/")[2]):
        raise IntegrityError(_differs(objects, named))
    if not record:
        write_file(path, content)
        return
    manifest = unsealed_json(content, f"{objects.url}/{named}")
    check_format(manifest["format"], path / MANIFEST)

    def fill(files: Files) -> None:
        for group in _groups(manifest["files"]):
            if len(group) == 1:
                files.written(group[0], partial(objects.read_into, f"{version}/{group[0]}"))
            else:
                found = objects.read_all(f"{version}/{name}" for name in group)
                for name in group:
                    files.add(name, found[f"{version}/{name}"])
            for name in group:
                if files.facts[name] != manifest["files"][name]:
                    raise IntegrityError(_differs(objects, f"{version}/{name}"))
        files.add(MANIFEST, content)

    put_record(path, fill)


def _groups(files: Mapping[str, Mapping[str, Any]]) -> Iterator[list[str]]:
    """Names of files that are small enough to be in memory together."""
    group: list[str] = []
    size = 0
    for name, facts in files.items():
        if group and size + facts["bytes"] > AT_ONCE:
            yield group
            group, size = [], 0
        group.append(name)
        size += facts["bytes"]
    if group:
        yield group


def _differs(objects: Objects, name: str) -> str:
    return f"{objects.url}/{name}: damaged; its bytes are not those that were written."


def check_objects(ledger: Ledger) -> Iterator[tuple[str, str, int, int]]:
    """Read every object that counts: (place, what is wrong or "", files, bytes)."""
    objects, head = ledger.objects, ledger.head()
    for place, version in head.entries.items():
        files = size = 0
        wrong = ""
        try:
            for name, expected in _listed(objects, f"{place}/{version}"):
                digest, length = objects.digest(f"{place}/{version}/{name}")
                files, size = files + 1, size + length
                if digest != expected:
                    raise IntegrityError(_differs(objects, f"{place}/{version}/{name}"))
        except NoSuchObject as error:
            wrong = f"{error}: missing, though its catalogue lists it."
        except IntegrityError as error:
            wrong = str(error)
        yield place, wrong, files, size


def _listed(objects: Objects, version: str) -> Iterator[tuple[str, str]]:
    """The files of a version, each with the hash that it should have; the manifest first."""
    place, _, name = version.rpartition("/")
    single = place.rpartition("/")[2]
    if objects.names(version) == [single]:
        yield single, _hash(name)
        return
    yield MANIFEST, _hash(name)
    manifest = unsealed_json(objects.read(f"{version}/{MANIFEST}"), f"{version}/{MANIFEST}")
    for file, facts in manifest["files"].items():
        yield file, facts["sha256"]


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
            digest = _hash(before[place])
            if now.get(place) != digest:
                continue
            version = f"{lease.token:08d}-{digest}"
            with contextlib.suppress(IntegrityError):
                _upload(ledger.objects, folder / place, f"{place}/{version}", digest)
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
