"""The header of NumPy's format, read from a file that anybody may have written.

NumPy reads as many bytes as a header says that it has, up to 4 GB, before it looks at any, and
hands them to Python's own parser, which has errors of its own for open brackets. Here the length is
checked first, and whatever the parser raises is one error.
"""

from __future__ import annotations

import io
import math
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from stratigraph.values import told_value

__all__ = ["read_arrays", "read_header"]

LONGEST_HEADER = 10_000  # bytes, numpy's own limit of what it will parse
MOST_EMPTY = 1_000_000  # rows of an array that holds nothing
DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError)
READERS = {
    (1, 0): (2, np.lib.format.read_array_header_1_0),
    (2, 0): (4, np.lib.format.read_array_header_2_0),
}


class Readable(Protocol):
    """A file, or a member of an archive."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        ...


def read_header(file: Readable, size: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran's order, and type; the file stands at the first value then.

    Args:
        file: at its start.
        size: how many bytes it has.

    Raises:
        ValueError: it is not NumPy's format, in version 1 or 2, or declares more or less than the
            file holds.

    """
    start = file.read(8)
    if start[:6] != np.lib.format.MAGIC_PREFIX or len(start) < 8:
        raise ValueError(f"it begins with {start!r}")
    width, parse = READERS.get((start[6], start[7]), (0, None))
    if parse is None:
        raise ValueError(f"version {(start[6], start[7])} of the format")
    stated = file.read(width)
    length = int.from_bytes(stated, "little")
    if len(stated) < width or length > LONGEST_HEADER:
        raise ValueError(f"its header is {length:,} bytes long; at most {LONGEST_HEADER:,}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's, of what is no Python
            shape, order, dtype = parse(io.BytesIO(stated + file.read(length)))
    except Exception as error:  # of the tokenizer, the parser, the type, or memory
        told = str(error).partition("\n")[0][:200] or type(error).__name__
        raise ValueError(f"its header cannot be read: {told}") from None
    if any(side < 0 for side in shape):
        raise ValueError(f"its header says that it has the shape {shape}")
    values = math.prod(shape)
    if dtype.hasobject:
        return shape, order, dtype  # for the caller to refuse: their bytes are a pickle's
    held = size - 8 - width - length
    if values * dtype.itemsize != held:
        declared = f"{told_value(shape)} of {dtype}, {told_value(values * dtype.itemsize)} bytes"
        raise ValueError(f"its header declares {declared}; {held:,} follow: cut or damaged")
    if max(shape, default=0) > MOST_EMPTY and not values * dtype.itemsize:
        raise ValueError(f"its header declares {shape} of {dtype}, which holds nothing")
    return shape, order, dtype


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file by their names; that of an ``.npy`` file by ``""``.

    Raises:
        ValueError: it is neither, or is cut or damaged.

    """
    try:
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                return {"": _read(file, path.stat().st_size)}
        found = {}
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                with archive.open(member) as packed:
                    name = member.filename.removesuffix(".npy")
                    found[name] = _read(packed, member.file_size)
    except DAMAGE as error:
        raise ValueError(str(error) or type(error).__name__) from error
    return found


def _read(file: Readable, size: int) -> np.ndarray:
    shape, order, dtype = read_header(file, size)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    values = np.frombuffer(file.read(), dtype)
    return values.reshape(shape, order="F" if order else "C")
