"""Files that are whole or not there: the one way in which anything of ours reaches the disk.

A file is written under a temporary name in its own folder, flushed to the disk, and renamed into
place; then the folder is flushed, or the rename may not survive a loss of power. What stood there
before stands until the rename, and a killed process leaves nothing that could be taken for data.

Every byte goes through ``os.write`` here, none through a library's own writing: a full disk then
says so at the byte that does not fit, and the crash tests (`tests/crash`) can stop, refuse and
replay each operation.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from stratigraph.errors import StorageError

__all__ = [
    "TEMPORARY",
    "Bytes",
    "Output",
    "check_held",
    "create_new",
    "exchange",
    "find_leftovers",
    "fresh_beside",
    "gone",
    "holding",
    "make_folder",
    "replacing",
    "sha256",
    "sync",
]

Bytes: TypeAlias = bytes | bytearray | memoryview

TEMPORARY = ".new-"
EXCHANGE = 2  # Linux's RENAME_EXCHANGE
DEPTH = 4  # levels of folders that a study makes below its own
_flushed: set[Path] = set()
_held: list[tuple[Path, tuple[int, int]]] = []  # folders, and which they are
AT_CWD = -100  # and AT_FDCWD


def sha256(path: Path) -> str:
    """The hash of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Flush a file, or a folder's list of names, to the disk."""
    if path.is_dir() and os.name != "posix":
        return  # Windows opens no folders
    folder = path.is_dir()
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems know no flush of a folder; their names are as safe as they are.
        if not folder or error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, so that they survive a loss of power; it may be there.

    Raises:
        StorageError: one above it is held, and gone (`holding`).

    """
    check_held(path)
    missing = []
    place = path
    while not place.is_dir():
        missing.append(place)
        place = place.parent
    for folder in reversed(missing):
        try:
            folder.mkdir()
        except FileExistsError:
            if not folder.is_dir():
                raise
        sync(folder.parent)
    # A folder that is there may be of a process that was killed before it flushed the name.
    for folder in [path, *path.parents][: len(missing) + DEPTH]:
        if folder not in _flushed:
            with contextlib.suppress(PermissionError):  # not ours to make, so not ours to lose
                sync(folder.parent)
            _flushed.add(folder)


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Within, nothing is made in a folder that was moved, removed or replaced in the meantime.

    A folder made anew in its place would hold a part of what it held, and nobody would be told.

    Raises:
        StorageError: it is not there.

    """
    held = Path(os.path.abspath(folder)), _identity(folder)  # noqa: PTH100 - links stay links
    _held.append(held)
    try:
        yield
    finally:
        _held.remove(held)


def check_held(path: Path) -> None:
    """See that the folders that this process holds, and ``path`` lies in, are where they were.

    Raises:
        StorageError: one is not.

    """
    place = Path(os.path.abspath(path))  # noqa: PTH100 - links stay links
    for folder, identity in _held:
        if place.is_relative_to(folder) and _identity(folder) != identity:
            raise gone(folder)


def _identity(folder: Path) -> tuple[int, int]:
    try:
        found = folder.stat()
    except FileNotFoundError:
        raise gone(folder) from None
    return found.st_dev, found.st_ino


def gone(path: Path | str) -> StorageError:
    """What is said of a place that somebody took away while it was written."""
    return StorageError(
        f"{path} is not there any more, or is another: it was moved, removed or replaced while it "
        "was written. What it held is whole, wherever it is now; run the command again on it there."
    )


def fresh_beside(path: Path) -> Path:
    """A name that nothing has, in the folder of ``path``."""
    return path.parent / f"{TEMPORARY}{uuid.uuid4().hex[:12]}-{path.name}"


def find_leftovers(folder: Path, of: str = "*") -> Iterator[Path]:
    """What interrupted writes left in a folder: of the records and files of a name, or of all."""
    return folder.glob(f"{TEMPORARY}*-{of}")


class Output:
    """A new file being written, with the hash and number of its bytes so far.

    Args:
        path: where; nothing may be there.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes = 0
        self._hash = hashlib.sha256()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(path, flags, 0o666)

    def write(self, data: Bytes) -> int:
        """Write all of ``data``, however many calls of the system it takes."""
        view = memoryview(data)
        if not view.nbytes:
            return 0  # a view without elements has no bytes to be cast to
        view = view.cast("B")
        self._hash.update(view)
        written = 0
        while written < len(view):
            written += os.write(self._descriptor, view[written:])
        self.bytes += written
        return written

    @property
    def sha256(self) -> str:
        """The hash of what was written, in hexadecimal."""
        return self._hash.hexdigest()

    def sync(self) -> None:
        """Flush the file to the disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file; what was not synced may be lost with the power."""
        os.close(self._descriptor)


@contextmanager
def replacing(path: Path) -> Iterator[Output]:
    """A new file that takes the name ``path`` if the block ends well, and is removed if not."""
    fresh = fresh_beside(path)
    output = Output(fresh)
    try:
        try:
            yield output
            output.sync()
        finally:
            output.close()
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    sync(path.parent)


def create_new(path: Path, data: Bytes) -> None:
    """A flushed file under a name that nothing has: the link is one step, and fails if one has.

    Raises:
        FileExistsError: the name is taken.

    """
    fresh = fresh_beside(path)
    try:
        output = Output(fresh)
        try:
            output.write(data)
            output.sync()
        finally:
            output.close()
        os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    sync(path.parent)


def exchange(one: Path, other: Path) -> bool:
    """Let two folders of one file system trade places, in one step; False where it cannot be done.

    Linux alone has the call (``renameat2``), and not on every file system.
    """
    rename = _renameat2()
    if rename is None:
        return False
    if rename(AT_CWD, os.fsencode(one), AT_CWD, os.fsencode(other), EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code), str(other))


@functools.cache
def _renameat2() -> Callable[..., int] | None:
    try:
        return ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return None
