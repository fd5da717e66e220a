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
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stratigraph.durable import sha256
from stratigraph.engine import ask_to_stop, withdraw
from stratigraph.errors import StorageError, StratigraphError
from stratigraph.snapshots.ledger import Lease, Ledger
from stratigraph.snapshots.lock import locked
from stratigraph.snapshots.mirror import REMOTE, Part, agree, fetch, origin, standing
from stratigraph.snapshots.objects import NoSuchObject, Objects
from stratigraph.snapshots.store import MANIFEST
from stratigraph.snapshots.versions import download, hash_of, upload, version_name

__all__ = ["Publisher", "bring", "mirrored"]

FETCHING = 16  # records that the processes of one machine fetch at once


class Publisher:
    """What the one writer of a part may do: called, it publishes what the folder holds by now.

    Of a folder that is no working copy nothing is published, and ``url`` is None.
    """

    def __init__(self, folder: Path, part: Part, lease: Lease | None) -> None:
        self.folder, self._part, self._lease = folder, part, lease
        self.url = None if lease is None else lease.ledger.objects.url
        self._there: dict[str, str] = {}
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
    now, over = Publisher(folder, part, lease), threading.Event()

    def often() -> None:
        while every is not None and not over.wait(every):
            # What cannot be published now is published at the end, or said to be amiss there.
            with contextlib.suppress(StratigraphError, OSError):
                now()
                lease.check()
            if lease.lost:
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
            if lease.lost and isinstance(error, KeyboardInterrupt):  # asked for above
                raise lease.taken_over() from None
            raise
        now()
    finally:
        over.set()
        if thread.is_alive():
            thread.join()
        if lease.lost:
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
