"""The one writer of a part of a study at a URL: fetched before, published in between and after.

A version stands at the URL before the catalogue that names it, so what is published is seen whole
or not at all; what an owner that died had put there and not committed is removed by the next. A
writer may have helpers, which put versions there under its token and leave the commit to it
(`stratigraph.study.errands`).
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stratigraph.durable import sha256
from stratigraph.engine import ask_to_stop, withdraw
from stratigraph.errors import StorageError, StratigraphError
from stratigraph.snapshots.files import write_file
from stratigraph.snapshots.ledger import Lease, Ledger
from stratigraph.snapshots.lock import locked
from stratigraph.snapshots.mirror import REMOTE, Part, agree, fetch, origin, standing
from stratigraph.snapshots.objects import NoSuchObject, Objects
from stratigraph.snapshots.store import MANIFEST
from stratigraph.snapshots.versions import download, hash_of, upload, version_name

__all__ = ["Publisher", "bring", "mirrored"]

UNFINISHED = "unfinished"  # at a URL: files of work that is not a record yet
AT_ONCE = 64  # of these files, half a megabyte each, that are in memory together
FETCHING = 16  # records that the processes of one machine fetch at once


class Publisher:
    """What the one writer of a part may do: called, it publishes what the folder holds by now.

    Of a folder that is no working copy nothing is published, and ``url`` is None.
    """

    def __init__(self, folder: Path, part: Part, lease: Lease | None) -> None:
        self.folder, self._part, self._lease = folder, part, lease
        self.url = None if lease is None else lease.ledger.objects.url
        self._there: dict[str, str] = {}
        self._unfinished: dict[Path, tuple[Collection[str], set[str]]] = {}
        self._publishing = threading.Lock()

    def __call__(self) -> None:
        """Commit what stands in the folder, and is not what the ledger says.

        Raises:
            BusyError: somebody else has taken the ledger over.
            IntegrityError: a record here is damaged; nothing was committed.

        """
        if self._lease is not None:
            with self._publishing:
                publish(self._lease, self.folder, self._part, self._there)
                self._put_unfinished(self._lease.ledger.objects)

    @property
    def token(self) -> int:
        """By which this writer is told from those before and after it; 0 without a URL."""
        return 0 if self._lease is None else self._lease.token

    @property
    def entries(self) -> dict[str, str]:
        """Place → version, of what has been published."""
        return {} if self._lease is None else dict(self._lease.head.entries)

    def take(self, place: str, version: str) -> None:
        """Fetch what another process put at the URL for this one, to publish it with the next."""
        if self._lease is not None:
            self._there[place] = version
            bring(self._lease.ledger.objects, self.folder, place, version)

    def keep(self, folder: Path, patterns: Collection[str]) -> None:
        """Of work that will be a record once it is whole: share its files by the URL until then.

        What an earlier owner left there is brought now; what appears in the folder is put there
        whenever something is published. No ledger names these files: whoever makes one makes the
        same, since the folder's name tells all that they follow from; one that is damaged is no
        more than one that is missing.

        Args:
            folder: where the work is.
            patterns: of the names of its files that are whole.

        """
        if self._lease is None:
            return
        objects, place = self._lease.ledger.objects, self._unfinished_at(folder)
        there = objects.names(place)
        missing = [name for name in there if not (folder / name).is_file()]
        for start in range(0, len(missing), AT_ONCE):
            names = missing[start : start + AT_ONCE]
            found = objects.read_all(f"{place}/{name}" for name in names)
            for name in names:
                write_file(folder / name, found[f"{place}/{name}"])
        with self._publishing:
            self._unfinished[folder] = patterns, set(there)

    def let_go(self, folder: Path) -> None:
        """That work is whole, or given up: what the URL holds of it, and of any below, goes."""
        if self._lease is None or self._lease.lost:
            return
        with self._publishing:
            for kept in [kept for kept in self._unfinished if kept.is_relative_to(folder)]:
                del self._unfinished[kept]
            self._lease.ledger.objects.remove(self._unfinished_at(folder))

    def _unfinished_at(self, folder: Path) -> str:
        return f"{UNFINISHED}/{folder.relative_to(self.folder).as_posix()}"

    def _put_unfinished(self, objects: Objects) -> None:
        for folder, (patterns, there) in self._unfinished.items():
            place = self._unfinished_at(folder)
            paths = (path for pattern in patterns for path in folder.glob(pattern))
            new = sorted(path.name for path in paths if path.name not in there)
            for start in range(0, len(new), AT_ONCE):
                names = new[start : start + AT_ONCE]
                objects.put_all({f"{place}/{name}": (folder / name).read_bytes() for name in names})
                there.update(names)


def bring(objects: Objects, folder: Path, place: str, version: str) -> None:
    """Fetch one version of a record, unless it stands in the folder; only one process here does.

    Raises:
        IntegrityError: what is there is not what was written.
        StorageError: it is not there, or cannot be read.

    """
    path = folder / place
    # A few locks serve for all places: two processes that wait for one seldom want different ones.
    turn = f"fetch-{int(hashlib.sha256(place.encode()).hexdigest(), 16) % FETCHING}"
    if _stands(path, version):
        return
    try:
        with locked(folder / REMOTE, turn, wait=True):
            if not _stands(path, version):
                download(objects, f"{place}/{version}", path)
    except NoSuchObject as error:
        raise StorageError(f"{error}: gone from the store while it was asked for.") from None


def _stands(path: Path, version: str) -> bool:
    with contextlib.suppress(FileNotFoundError):  # not there, or just replaced
        return sha256(path / MANIFEST) == hash_of(version)
    return False


@contextmanager
def mirrored(folder: Path, part: Part, every: float | None = None) -> Iterator[Publisher]:
    """Be the one writer of a part: it is fetched before, and published after.

    What is yielded publishes in between. Of a folder that is no working copy nothing is fetched or
    published.

    Args:
        folder: whose locks for this part are held.
        part: what will be written.
        every: also publish what has been committed, every so many seconds.

    Raises:
        BusyError: another process holds the part, or took it over meanwhile; the tasks of this one
            are asked to stop as soon as it is known.

    """
    url = origin(folder)
    if url is None:
        yield Publisher(folder, part, None)
        return
    lease = Ledger(Objects(url), part.name).acquire()
    now, over, asked = Publisher(folder, part, lease), threading.Event(), threading.Event()

    def often() -> None:
        while every is not None and not over.wait(every):
            # What cannot be published now is published at the end, or said to be amiss there.
            for look in (lease.check, now):
                with contextlib.suppress(StratigraphError, OSError):
                    look()
            if lease.lost:
                asked.set()
                ask_to_stop()  # all that would come of going on is refused
                return

    thread = threading.Thread(target=often, daemon=True)
    try:
        fetch(lease.ledger, folder, part)
        if lease.follows_dead:
            _sweep(lease, _touched(lease, part))
        thread.start()
        try:
            yield now
        except BaseException as error:
            with contextlib.suppress(StratigraphError, OSError):
                now()
            if asked.is_set() and isinstance(error, KeyboardInterrupt):
                raise lease.taken_over() from None
            raise
        now()
    finally:
        over.set()
        if thread.is_alive():
            thread.join()
        if asked.is_set():
            withdraw()
        lease.release()


def publish(lease: Lease, folder: Path, part: Part, there: Mapping[str, str]) -> None:
    """Commit what stands in a folder, if it is not what the ledger says.

    Args:
        lease: the right to.
        folder: the working copy.
        part: which of it.
        there: place → version, of what others put at the URL for this owner.

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
            if there.get(place) != version:
                upload(lease.ledger.objects, folder / place, f"{place}/{version}", digest)
            entries[place] = version
    if entries != before:
        lease.commit(entries)
        old = [f"{p}/{v}" for p, v in before.items() if entries.get(p) != v]
        lease.ledger.objects.remove(*old)
        if lease.follows_dead:
            _sweep(lease, [p for p, version in entries.items() if before.get(p) != version])
    agree(folder, part, entries)


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
