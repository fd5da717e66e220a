"""A ledger: numbered catalogues at a URL, of which the highest is the truth; one writer at a time.

A catalogue says which version of each record counts. It is never changed: to commit is to *create*
the next number, which a store lets one process do and refuses all others, so no clock and no lock
is needed to be safe::

    … 16: token 3, {snapshots/000000100: 00000003-9ab4…}
      17: token 4, the same        a process took the ledger over: the token grew
      17: token 3, …               refused: 17 exists. A process that was thought dead, and woke,
                                   cannot commit, whatever it believes

The *fencing token* is in every catalogue and in the name of every version, so that what an old
owner writes or removes is never what a new one refers to. Who holds a ledger says so in it, and
every few seconds beside it. That is a courtesy: it tells a second writer at once whom to wait for.
A holder that falls silent is followed after a minute; one of this machine whose process has ended,
at once. A wrong clock costs a writer its place, never a record.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stratigraph.errors import BusyError, DataError, StorageError
from stratigraph.snapshots.files import sealed_json, unsealed_json
from stratigraph.snapshots.objects import NoSuchObject, Objects

__all__ = ["Head", "Lease", "Ledger", "writer_of"]

LEASE_SECONDS = 60.0  # of silence after which a holder is taken for dead
RENEW_SECONDS = 15.0
KEPT = 3  # catalogues: a reader of an older one finds it gone, and looks again
ATTEMPTS = 50


@dataclass(frozen=True)
class Head:
    """The highest catalogue: ``entries`` are the version of each record, by place."""

    number: int = 0
    token: int = 0
    time: float = 0.0
    holder: Mapping[str, Any] | None = None
    entries: Mapping[str, str] = field(default_factory=dict)


class Ledger:
    """The catalogues in a folder of objects."""

    def __init__(self, objects: Objects, folder: str) -> None:
        self.objects, self.folder = objects, folder

    def __str__(self) -> str:
        return f"{self.objects.url}/{self.folder}"

    def _name(self, number: int) -> str:
        return f"{self.folder}/{number:09d}.json"

    def numbers(self) -> list[int]:
        """The numbers of the catalogues that are there."""
        names = (name.removesuffix(".json") for name in self.objects.names(self.folder))
        return sorted(int(name) for name in names if name.isdigit())

    def head(self) -> Head:
        """The highest catalogue; an empty one where there is none."""
        for _ in range(ATTEMPTS):
            numbers = self.numbers()
            if not numbers:
                return Head()
            with contextlib.suppress(NoSuchObject):  # replaced by the next, meanwhile
                name = self._name(numbers[-1])
                facts = unsealed_json(self.objects.read(name), f"{self.objects.url}/{name}")
                del facts["format"]
                return Head(**facts)
        raise StorageError(f"{self}: its catalogues vanish faster than they can be read.")

    def heard(self, head: Head) -> float | None:
        """When the holder was last heard of; None if nobody holds the ledger."""
        if head.holder is None or not _lives(head.holder):
            return None
        last = head.time
        with contextlib.suppress(NoSuchObject, DataError, KeyError):
            name = f"{self.folder}/lease-{head.token}.json"
            last = max(last, float(unsealed_json(self.objects.read(name), name)["time"]))
        return last if time.time() - last < LEASE_SECONDS else None

    def create(self, head: Head) -> None:
        """Create a catalogue.

        Raises:
            FileExistsError: one of that number is there, or was.

        """
        facts = {
            "format": 1,
            "number": head.number,
            "token": head.token,
            "time": head.time,
            "holder": head.holder,
            "entries": dict(head.entries),
        }
        self.objects.create(self._name(head.number), sealed_json(facts))
        numbers = self.numbers()
        if numbers[-1] > head.number:
            # The number was free because it had been removed for its age.
            self.objects.remove(self._name(head.number))
            raise FileExistsError(self._name(head.number))
        self.objects.remove(*map(self._name, numbers[:-KEPT]))

    def acquire(self) -> Lease:
        """Become the one that commits.

        Raises:
            BusyError: somebody else holds the ledger; the message says who.

        """
        self.objects.check_writable()
        me = {"owner": uuid.uuid4().hex, "pid": os.getpid(), "host": socket.gethostname()}
        for _ in range(ATTEMPTS):
            head = self.head()
            heard = self.heard(head)
            if heard is not None:
                raise BusyError(
                    f"{self} is being written by {writer_of(head)}, heard of "
                    f"{max(time.time() - heard, 0):.0f} s ago; wait for it to end, or stop it. If "
                    f"it is dead, it is followed {LEASE_SECONDS:.0f} s after it was last heard of."
                )
            taken = Head(head.number + 1, head.token + 1, time.time(), me, head.entries)
            with contextlib.suppress(FileExistsError):
                self.create(taken)
                return Lease(self, taken, follows_dead=head.holder is not None)
        raise BusyError(f"{self}: others are faster; try again.")


class Lease:
    """The right to commit to a ledger, until it is released or somebody else takes it."""

    def __init__(self, ledger: Ledger, head: Head, *, follows_dead: bool = False) -> None:
        self.ledger, self.head, self.follows_dead = ledger, head, follows_dead
        self.follower: Head | None = None  # the catalogue by which this process knows that it lost
        self._over = threading.Event()
        self._committing = threading.Lock()
        self._beat = threading.Thread(target=self._renew, daemon=True)
        self._beat.start()

    @property
    def token(self) -> int:
        """The number that grows with each owner."""
        return self.head.token

    def check(self) -> None:
        """Look whether the right is still this process's.

        Raises:
            BusyError: somebody else has taken the ledger over.

        """
        with self._committing:
            if not self.lost:
                now = self.ledger.head()
                if now.token > self.token:
                    self.follower = now
        if self.lost:
            raise self.taken_over()

    @property
    def lost(self) -> bool:
        """Whether it is known that somebody else has taken the ledger over."""
        return self.follower is not None

    def taken_over(self) -> BusyError:
        """What is to be said of a right that was lost."""
        now = self.follower or Head()
        return BusyError(
            f"{self.ledger}: this process held token {self.token} and fell silent; token "
            f"{now.token} was given to {writer_of(now)}. Nothing of this process was "
            "committed after that; the same command goes on when that one has ended."
        )

    def commit(self, entries: Mapping[str, str]) -> None:
        """Make these the truth, in one step.

        Raises:
            BusyError: somebody else has taken the ledger over; nothing was committed.

        """
        self._commit(entries, self.head.holder)

    def _commit(self, entries: Mapping[str, str], holder: Mapping[str, Any] | None) -> None:
        with self._committing:
            mine = self.head
            new = Head(mine.number + 1, mine.token, time.time(), holder, dict(entries))
            try:
                if self.lost:
                    raise FileExistsError
                self.ledger.create(new)
            except FileExistsError:
                self.follower = self.follower or self.ledger.head()
                raise self.taken_over() from None
            self.head = new

    def release(self) -> None:
        """Let the next one have it at once; one that cannot be told must wait a minute."""
        self._over.set()
        self._beat.join()
        with contextlib.suppress(BusyError, StorageError):
            if not self.lost:
                self._commit(self.head.entries, None)
        self.ledger.objects.remove(self._beside)

    @property
    def _beside(self) -> str:
        return f"{self.ledger.folder}/lease-{self.token}.json"

    def _renew(self) -> None:
        while not self._over.wait(RENEW_SECONDS):
            with contextlib.suppress(StorageError):  # the next one may be taken
                self.ledger.objects.put_all({self._beside: sealed_json({"time": time.time()})})


def writer_of(head: Head) -> str:
    """Who holds the ledger, for people."""
    if head.holder is None:
        return "another process, which has ended since"
    return f"pid {head.holder['pid']} on {head.holder['host']}"


def _lives(holder: Mapping[str, Any]) -> bool:
    """False where it is certain that a holder's process has ended: it was one of this machine."""
    if holder["host"] != socket.gethostname():
        return True
    try:
        os.kill(int(holder["pid"]), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
