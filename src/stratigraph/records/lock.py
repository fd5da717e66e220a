"""One writer a run: an advisory lock on a file, freed by the system when its process ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stratigraph.durable import holding, make_folder
from stratigraph.errors import BusyError
from stratigraph.records.files import storage

__all__ = ["LOCK", "locked"]

LOCK = ".lock"
LOOKS = 20


@contextmanager
def locked(directory: Path, name: str = "", *, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a folder, or of what in it has a ``name``; readers need none.

    Args:
        directory: made if it is not there.
        name: of one lock among several.
        wait: until whoever holds it lets it go, for what takes seconds.

    Raises:
        StorageError: the folder cannot be made or written.
        BusyError: another process holds it; the message names its pid and host.

    """
    path = directory / f"{name and f'.{name}'}{LOCK}"
    with storage(path):
        make_folder(directory)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise BusyError(
                f"{directory} is being written by {_holder(descriptor)}; wait for it to end, or "
                "stop it."
            ) from None
        _name(descriptor, f"pid {os.getpid()} on {socket.gethostname()}\n")
        try:
            with holding(directory):
                yield
        finally:
            _name(descriptor, "")
    finally:
        os.close(descriptor)


def _name(descriptor: int, holder: str) -> None:
    """Who holds the lock: a courtesy, which a full disk may refuse."""
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, holder.encode(), 0)


def _holder(descriptor: int) -> str:
    """Who holds the lock; it writes its name just after taking it."""
    for _ in range(LOOKS):
        text = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
        if text:
            return text
        time.sleep(0.01)
    return "another process"
