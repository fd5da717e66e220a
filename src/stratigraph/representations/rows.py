"""Where the numbers of a matrix (n, p) lie, and how some of its rows and columns are had.

A `Rows` reads what it is asked for and holds nothing else, so that a file far larger than memory
can be gone through in blocks. What can only be read from beginning to end (compressed arrays,
tables) is unpacked once: into memory while it is small, else into a temporary file, which goes with
the object.
"""

from __future__ import annotations

import itertools
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from stratigraph.errors import DataError
from stratigraph.records import scratch_room

__all__ = ["FlatRows", "HeldRows", "Rows", "runs", "unpack"]

HOLD = 256 << 20  # bytes that are kept in memory when a file is unpacked


class Rows(Protocol):
    """A matrix that is read in parts; axes beyond the second of what is stored are flattened."""

    @property
    def shape(self) -> tuple[int, int]:
        """(n, p)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what `read` gives: a real number of NumPy's."""
        ...

    def read(self, rows: np.ndarray, columns: slice) -> np.ndarray:
        """Some rows, by their numbers (m,), and a run of columns: (m, c)."""
        ...


@dataclass(frozen=True)
class HeldRows:
    """A matrix in memory, or one whose pages the system maps."""

    array: np.ndarray  # (n, p)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, p)."""
        return self.array.shape[0], self.array.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of its numbers."""
        return self.array.dtype

    def read(self, rows: np.ndarray, columns: slice) -> np.ndarray:
        """See `Rows`."""
        return self.array[rows, columns]


class FlatRows:
    """A matrix that lies in a file row by row, from an offset on.

    Args:
        path: the file.
        offset: where its first number begins, in bytes.
        stored: the dtype in the file; uint16 with ``bfloat`` is bfloat16.
        shape: (n, …).
        bfloat: see ``stored``.

    Raises:
        DataError: the file is shorter than that.

    """

    def __init__(
        self,
        path: Path,
        offset: int,
        stored: np.dtype[Any],
        shape: tuple[int, ...],
        *,
        bfloat: bool = False,
    ) -> None:
        self.path, self.offset, self.stored, self.bfloat = path, offset, stored, bfloat
        self.shape = shape[0], prod(shape[1:])
        self.dtype = np.dtype(np.float32) if bfloat else stored.newbyteorder("=")
        end, there = offset + prod(shape) * stored.itemsize, path.stat().st_size
        if end > there:
            raise DataError(
                f"{path}: expected {end:,} bytes for numbers of shape {shape}, got {there:,}; it "
                "is cut."
            )

    def read(self, rows: np.ndarray, columns: slice) -> np.ndarray:
        """See `Rows`."""
        start, stop, _ = columns.indices(self.shape[1])
        found = np.empty((len(rows), stop - start), self.stored)
        whole = stop - start == self.shape[1]
        with self.path.open("rb", buffering=0) as file:
            for at, first, count in (
                runs(rows) if whole else ((i, r, 1) for i, r in enumerate(rows))
            ):
                place = int(first) * self.shape[1] + start
                file.seek(self.offset + place * self.stored.itemsize)
                _fill(file, found[at : at + count], self.path)
        if self.bfloat:
            return (found.astype(np.uint32) << 16).view(np.float32)
        return found.astype(self.dtype, copy=False)


def runs(rows: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Consecutive numbers among rows (m,): the place of each run, its first number, its length."""
    cuts = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
    for start, stop in itertools.pairwise(cuts):
        if stop > start:
            yield start, int(rows[start]), stop - start


def _fill(file: Any, block: np.ndarray, path: Path) -> None:
    view = memoryview(block.reshape(-1).view(np.uint8).data)
    while len(view):
        count = file.readinto(view)
        if not count:
            raise DataError(f"{path}: it became shorter while it was being read.")
        view = view[count:]


def unpack(blocks: Iterable[np.ndarray], units: int | None = None) -> Rows:
    """Blocks of rows (m, p) as one matrix: in memory while it is small, else in a temporary file.

    Raises:
        StorageError: the disk has no room for it.

    """
    held: list[np.ndarray] = []
    size = n = 0
    file: Any = None
    for block in blocks:
        units, n = block.shape[1], n + len(block)
        held.append(np.ascontiguousarray(block))
        size += block.nbytes
        if size > HOLD:
            with scratch_room():
                # Kept open by the object, and without a name of its own once it is closed.
                file = file or tempfile.NamedTemporaryFile(prefix="stratigraph-", suffix=".rows")  # noqa: SIM115
                for part in held:
                    part.tofile(file)
            held, size = [], 0
            dtype = block.dtype
    if file is None:
        return HeldRows(np.concatenate(held) if held else np.empty((0, units or 0)))
    with scratch_room():
        for part in held:
            part.tofile(file)
        file.flush()
    rows = FlatRows(Path(file.name), 0, dtype, (n, units or 0))
    weakref.finalize(rows, file.close)
    return rows
