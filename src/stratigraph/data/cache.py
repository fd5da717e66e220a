"""Where decoded data lives on the disk, and how it gets there whole.

An array is written to a temporary file of the same folder, flushed to the disk, and renamed to its
name, so that a file under its name is complete: two processes may build the same array at once, and
a killed one leaves nothing that could be taken for data. The SHA-256 of the bytes stands beside it
in the format of ``sha256sum``, and is written first: an array without one is never seen.
"""

from __future__ import annotations

import functools
import io
import math
import os
import warnings
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pooch

from stratigraph.durable import make_folder, replacing, sha256
from stratigraph.errors import ConfigError, IntegrityError, StorageError
from stratigraph.paths import user_path

__all__ = [
    "ENVIRONMENT",
    "StoredArray",
    "build_array",
    "cache_dir",
    "check_array",
    "check_switches",
    "open_array",
    "read_checksum",
    "write_array",
]

ENVIRONMENT = "STRATIGRAPH_CACHE"


def cache_dir(folder: str | Path | None = None) -> Path:
    """`folder`, or ``$STRATIGRAPH_CACHE``, or the platform's own place for caches."""
    chosen = folder or os.environ.get(ENVIRONMENT) or pooch.os_cache("stratigraph")
    return user_path(chosen)


def write_array(
    path: Path, shape: tuple[int, ...], dtype: np.dtype, blocks: Iterable[np.ndarray]
) -> None:
    """Write consecutive `blocks` as one ``.npy`` file, atomically; memory holds one block.

    Raises:
        StorageError: the disk would not take it; nothing is left behind.

    """
    expected = math.prod(shape) * dtype.itemsize
    header = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_2_0(
        header, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    try:
        make_folder(path.parent)
        with replacing(path) as stream:
            stream.write(header.getbuffer())
            for block in blocks:
                stream.write(np.ascontiguousarray(block, dtype=dtype).data)
            written = stream.bytes - header.tell()
            if written != expected:
                raise StorageError(f"{path}: {written} bytes for {shape}, which takes {expected}")
            with replacing(_checksum(path)) as beside:
                beside.write(f"{stream.sha256}  {path.name}\n".encode())
    except OSError as error:
        raise StorageError(
            f"{path}: {error.strerror or error}; the array takes {expected:,} bytes. "
            f"Free some space, or point {ENVIRONMENT} at another folder"
        ) from error


def check_switches(name: str, colour: Any, cache: Any) -> None:
    """Refuse values of a rendered set's ``colour`` and ``cache`` that are no switch's.

    Raises:
        ConfigError: the message names the set, the option and the value.

    """
    for option, value in (("colour", colour), ("cache", cache)):
        if not (isinstance(value, bool) or (option == "cache" and value is None)):
            raise ConfigError(f"{name}: {option} {value!r}; expected true or false")


def build_array(
    path: Path, shape: tuple[int, ...], blocks: Callable[[], Iterable[np.ndarray]], what: str
) -> None:
    """Write the bytes of `blocks` unless they are there and whole; of damaged ones it is said."""
    dtype = np.dtype(np.uint8)
    try:
        if open_array(path, shape, dtype) is not None:
            check_array(path)
            return
    except IntegrityError as error:
        warnings.warn(f"rebuilding {what}: {error}", stacklevel=3)
    write_array(path, shape, dtype, blocks())


class StoredArray:
    """A ``.npy`` file whose rows are read by position.

    A memory map would do, but its pages count as the process's own until the kernel wants them:
    random batches would seem to take the memory of the whole set, in every worker.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
        try:
            found = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise IntegrityError(f"{path}: not a whole .npy file ({error}); remove it") from error
        if found.shape != shape or found.dtype != dtype or not found.flags.c_contiguous:
            raise IntegrityError(
                f"{path}: holds {found.dtype} {found.shape}; expected {dtype} {shape}; remove it"
            )
        self._map = found
        self._offset: int = found.offset
        self._descriptor: int | None = None
        if hasattr(os, "preadv"):
            self._descriptor = os.open(path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._descriptor)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Copies of some rows."""
        if self._descriptor is None:  # Windows
            return np.take(self._map, rows, axis=0)
        taken = np.empty((len(rows), *self._map.shape[1:]), dtype=self._map.dtype)
        if not taken.size:
            return taken
        width = taken.nbytes // len(rows)
        into = taken.reshape(-1).view(np.uint8).data
        for i, row in enumerate(rows.tolist()):
            piece = into[i * width : (i + 1) * width]
            if os.preadv(self._descriptor, [piece], self._offset + row * width) != width:
                raise IntegrityError(f"{self._map.filename}: ends before row {row}; remove it")
        return taken


def open_array(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> StoredArray | None:
    """The array at `path`, or None where there is none; opened once in a process.

    Raises:
        IntegrityError: the file is not of this shape and type.

    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    # Size, time and inode are part of the key: a file that was replaced is opened anew.
    return _open(path, shape, dtype, status.st_size, status.st_mtime_ns, status.st_ino)


@functools.lru_cache(maxsize=16)
def _open(path: Path, shape: tuple[int, ...], dtype: np.dtype, *_identity: int) -> StoredArray:
    return StoredArray(path, shape, dtype)


def check_array(path: Path) -> None:
    """Compare an array's bytes with the hash that was written beside it.

    Raises:
        IntegrityError: they differ, or there is no hash.

    """
    expected = read_checksum(path)
    found = sha256(path)
    if found != expected:
        raise IntegrityError(f"{path}: its SHA-256 is {found}; {expected} was written; remove it")


def read_checksum(path: Path) -> str:
    """The hash that was written beside an array.

    Raises:
        IntegrityError: there is none.

    """
    try:
        return _checksum(path).read_text().split(maxsplit=1)[0]
    except (OSError, IndexError, UnicodeDecodeError) as error:
        raise IntegrityError(
            f"{path}: no readable hash in {_checksum(path).name}; remove both"
        ) from error


def _checksum(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")
