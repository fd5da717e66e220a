"""NumPy's files: ``.npy``, and the arrays of an ``.npz``; read as data, never as pickles."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from stratigraph.errors import DataError, UnsafeFileError
from stratigraph.npy import read_header
from stratigraph.representations.contents import Contents
from stratigraph.representations.rows import FlatRows, HeldRows, Rows, unpack

__all__ = ["read_npy", "read_npz"]

BLOCK = 16 << 20  # bytes that are unpacked at a time


def read_npy(path: Path, ids: str | None = None) -> Contents:
    """One array, without a name."""
    with path.open("rb") as file:
        shape, order, dtype = _header(file, path.stat().st_size, str(path))
        offset = file.tell()
    if len(shape) < 2:
        return Contents({}, {"": partial(np.load, path, allow_pickle=False)})
    if order and len(shape) == 2:
        flat = np.memmap(path, dtype, "r", offset, shape, "F") if prod(shape) else np.empty(shape)
        return Contents({"": partial(HeldRows, flat)})
    if order:
        raise DataError(f"{path}: {len(shape)} axes in Fortran order; save it in C order.")
    return Contents({"": partial(FlatRows, path, offset, dtype, shape)})


def read_npz(path: Path, ids: str | None = None) -> Contents:
    """Arrays of two axes or more are matrices, those of one may be ids."""
    contents, seen = Contents(), set[str]()
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if name in seen:
                    raise DataError(f"{path}: holds two arrays called {name[:80]!r}.")
                seen.add(name)
                with archive.open(member) as file:
                    shape, order, dtype = _header(file, member.file_size, f"{path}:{name}")
                    skip = file.tell()
                if len(shape) == 1:
                    contents.labels[name] = partial(_whole, path, member)
                elif len(shape) > 1 and dtype.kind in "fiub":
                    contents.matrices[name] = partial(
                        _member, path, member, skip, dtype, shape, order
                    )
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError) as error:
        raise DataError(f"{path}: not a whole .npz ({error}).") from None
    return contents


def _header(file: IO[bytes], size: int, where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        shape, order, dtype = read_header(file, size)
    except (ValueError, EOFError) as error:
        raise DataError(f"{where}: not an array in NumPy's format ({error}).") from None
    if dtype.hasobject:
        raise UnsafeFileError(
            f"{where}: holds Python objects, a pickle that would run code when opened; save "
            "numbers or text: array.astype(float), or array.astype(str)."
        )
    return shape, order, dtype


def _whole(path: Path, member: zipfile.ZipInfo) -> np.ndarray:
    with zipfile.ZipFile(path) as archive, archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _member(
    path: Path,
    member: zipfile.ZipInfo,
    skip: int,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    order: bool,
) -> Rows:
    if order:
        whole = _whole(path, member)
        return HeldRows(whole.reshape(len(whole), prod(shape[1:])))
    if member.compress_type == zipfile.ZIP_STORED:
        with path.open("rb") as file:
            file.seek(member.header_offset + 26)
            name, extra = struct.unpack("<HH", file.read(4))
        return FlatRows(path, member.header_offset + 30 + name + extra + skip, dtype, shape)
    return unpack(_blocks(path, member, skip, dtype, shape), prod(shape[1:]))


def _blocks(
    path: Path, member: zipfile.ZipInfo, skip: int, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> Iterator[np.ndarray]:
    units = prod(shape[1:])
    rows = max(1, BLOCK // max(units * dtype.itemsize, 1))
    try:
        with zipfile.ZipFile(path) as archive, archive.open(member) as file:
            file.read(skip)
            for start in range(0, shape[0], rows):
                count = min(rows, shape[0] - start)
                data = file.read(count * units * dtype.itemsize)
                yield np.frombuffer(data, dtype).reshape(count, units)
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError) as error:
        raise DataError(f"{path}:{member.filename}: cut or damaged ({error}).") from None
