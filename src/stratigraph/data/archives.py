"""Reading containers without trusting them: ``.npy`` and ``.npz``, tar, gzip.

Nothing is extracted to the disk and nothing is unpickled. What a header declares (a shape, a size)
is compared with what the file holds before memory is given to it, and what any parser raises comes
out as one `DataError` that names the file.
"""

from __future__ import annotations

import gzip
import math
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, final, runtime_checkable

import numpy as np

from stratigraph.errors import DataError, UnsafeFileError
from stratigraph.npy import read_header

__all__ = ["ArrayStream", "Readable", "array_stream", "guarded", "gzip_bytes", "tar_files"]

MAX_MEMBERS = 10_000
BLOCK = 8 << 20
DAMAGE = (
    EOFError,
    OSError,
    ValueError,
    zlib.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
)


@contextmanager
def guarded(path: Path, what: str) -> Iterator[None]:
    """Let a damaged file come out as a `DataError`, whatever its parser raises."""
    try:
        yield
    except DAMAGE as error:
        raise DataError(f"{path} is not a whole {what}: {error or type(error).__name__}") from error


@runtime_checkable
class Readable(Protocol):
    """What a plain file, a gzip file and a member of a zip archive have in common."""

    def read(self, size: int = -1, /) -> bytes:
        """The next `size` bytes, or fewer at the end."""
        ...

    def tell(self) -> int:
        """How many bytes were read."""
        ...


@final
@dataclass(frozen=True)
class ArrayStream:
    """An array that is read from the front, a block of rows at a time."""

    path: Path
    stream: Readable
    shape: tuple[int, ...]
    dtype: np.dtype

    def blocks(self) -> Iterator[np.ndarray]:
        """Consecutive rows, some eight megabytes at a time."""
        width = math.prod(self.shape[1:]) * self.dtype.itemsize
        rows = max(1, BLOCK // max(1, width))
        for start in range(0, self.shape[0], rows):
            count = min(rows, self.shape[0] - start)
            with guarded(self.path, "array"):
                data = self.stream.read(count * width)
            if len(data) != count * width:
                raise DataError(f"{self.path} ends in row {start + len(data) // max(width, 1)}")
            yield np.frombuffer(data, dtype=self.dtype).reshape(count, *self.shape[1:])

    def whole(self) -> np.ndarray:
        """All rows."""
        blocks = list(self.blocks())
        return np.concatenate(blocks) if blocks else np.empty(self.shape, self.dtype)


@contextmanager
def array_stream(path: Path, key: str | None = None) -> Iterator[ArrayStream]:
    """The array of a ``.npy`` file, or with `key` one member of a ``.npz`` file.

    Raises:
        DataError: there is no such array, or the header does not fit the bytes that follow.
        UnsafeFileError: it holds Python objects, which would have to be unpickled.

    """
    if key is None:
        with path.open("rb") as plain:
            yield _array(path, path.name, plain, path.stat().st_size)
        return
    with guarded(path, ".npz archive"):
        archive = zipfile.ZipFile(path)
    with archive:
        member = f"{key}.npy"
        if member not in archive.namelist():
            held = ", ".join(npz_keys(archive)[:10]) or "no arrays"
            raise DataError(f"{path} lacks the array {key!r}; it holds {held}")
        with guarded(path, ".npz archive"):
            stream = archive.open(member)
        with stream:
            yield _array(path, key, stream, archive.getinfo(member).file_size)


def npz_keys(archive: zipfile.ZipFile) -> list[str]:
    """Names of the arrays of a ``.npz`` file."""
    return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def _array(path: Path, name: str, stream: Readable, size: int) -> ArrayStream:
    with guarded(path, ".npy array"):
        shape, fortran, dtype = read_header(stream, size)
    if dtype.hasobject:
        raise UnsafeFileError(
            f"{path}: {name} holds Python objects, and opening them would run code; "
            f"save it with a numeric type"
        )
    if not shape:
        raise DataError(f"{path}: {name} is one number, {dtype} (); expected rows")
    if fortran and len(shape) > 1:
        raise DataError(f"{path}: {name} is in Fortran order; save it with numpy.ascontiguousarray")
    return ArrayStream(path, stream, shape, dtype)


@contextmanager
def gzip_bytes(path: Path) -> Iterator[Readable]:
    """A file's bytes, uncompressed if its name ends in ``.gz``; read them inside `guarded`."""
    if path.suffix == ".gz":
        with gzip.open(path, "rb") as unzipped:
            yield unzipped
    else:
        with path.open("rb") as plain:
            yield plain


def tar_files(path: Path, pattern: str, largest: int) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the regular files whose whole name matches `pattern`; others are skipped.

    Raises:
        DataError: a file is larger than `largest` bytes or comes twice, or the archive is damaged.
        UnsafeFileError: a link or a device bears an expected name.

    """
    seen: set[str] = set()
    with guarded(path, "tar archive"), tarfile.open(path, "r|*") as archive:
        for count, member in enumerate(archive):
            if count >= MAX_MEMBERS:
                raise DataError(f"{path} has more than {MAX_MEMBERS} members")
            name = member.name.removeprefix("./")
            if re.fullmatch(pattern, name) is None:
                continue
            if not member.isreg():
                raise UnsafeFileError(f"{path}: {name} is not a regular file")
            if member.size > largest or name in seen:
                fault = "comes twice" if name in seen else f"takes {member.size} bytes"
                raise DataError(f"{path}: {name} {fault}; at most {largest} were expected, once")
            seen.add(name)
            stream = archive.extractfile(member)
            data = stream.read() if stream is not None else b""
            if len(data) != member.size:
                raise DataError(f"{path} ends inside {name}")
            yield name, data
