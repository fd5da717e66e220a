"""Blocks of pairs, and what every way of filling them shares.

The partition is fixed by the numbers of representations alone, so that the bits of a result depend
neither on the number of workers nor on the order in which blocks finish.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from torch import Tensor

from stratigraph.errors import StorageError
from stratigraph.pairs.coordinates import read_coordinates
from stratigraph.records import write_file
from stratigraph.similarity.measure import Measure, Prepared
from stratigraph.similarity.threads import Each
from stratigraph.similarity.vectors import Vector, write_vector

__all__ = [
    "Block",
    "Notes",
    "Progress",
    "Source",
    "Wanted",
    "blocks",
    "cuts",
    "device_of",
    "fold",
    "is_square",
    "join_notes",
    "make_once",
    "prepare_source",
    "read_matrix",
    "read_scores",
    "read_whole",
    "reread",
    "write_arrays",
    "write_source",
]

Source: TypeAlias = Tensor | Path
Progress: TypeAlias = Callable[[int, int], None]  # tasks done, tasks in all
Wanted: TypeAlias = Callable[[slice, slice], np.ndarray]  # rows, columns → bool (r, c)


@dataclass(frozen=True)
class Block:
    """A rectangle of pairs: rows of one side, columns of the other, and how many are wanted."""

    rows: slice
    columns: slice
    pairs: int

    @property
    def name(self) -> str:
        """What its file is called."""
        return f"{self.rows.start}-{self.columns.start}.npz"


@dataclass(frozen=True)
class Notes:
    """Why representations are NaN or weak, in the order of their block."""

    reasons: tuple[str | None, ...]
    doubts: tuple[str | None, ...]

    def arrays(self, prefix: str = "") -> dict[str, np.ndarray]:
        """As arrays of text, "" for None, to be stored."""
        return {
            f"{prefix}reasons": np.array([reason or "" for reason in self.reasons], str),
            f"{prefix}doubts": np.array([doubt or "" for doubt in self.doubts], str),
        }

    @classmethod
    def of_each(cls, known: Sequence[Prepared | Vector]) -> Notes:
        """Those of representations that were prepared, or written as vectors."""
        return cls(tuple(one.reason for one in known), tuple(one.doubt for one in known))

    @classmethod
    def of(cls, arrays: dict[str, np.ndarray], prefix: str = "") -> Notes:
        """Back from `arrays`."""
        return cls(
            tuple(str(text) or None for text in arrays[f"{prefix}reasons"]),
            tuple(str(text) or None for text in arrays[f"{prefix}doubts"]),
        )


def cuts(count: int, size: int) -> list[slice]:
    """``count`` things in runs of ``size``, the last one shorter."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def fold(wanted: Wanted) -> Wanted:
    """Each pair of one set once, whichever order was asked for: the upper triangle."""

    def either(rows: slice, columns: slice) -> np.ndarray:
        first, second = (np.arange(cut.start, cut.stop) for cut in (rows, columns))
        mask = wanted(rows, columns) | wanted(columns, rows).T
        return np.asarray(mask & (first[:, None] <= second[None, :]))

    return either


def blocks(wanted: Wanted, shape: tuple[int, int], size: int) -> list[Block]:
    """The rectangles that hold a wanted pair; the mask is never there as a whole."""
    columns = cuts(shape[1], size)
    found = []
    for rows in cuts(shape[0], size):
        band = wanted(rows, slice(0, shape[1])).sum(0)
        counts = np.add.reduceat(band, [cut.start for cut in columns]).tolist()
        found += [Block(rows, cut, n) for cut, n in zip(columns, counts, strict=True) if n]
    return found


def is_square(sides: Sequence[object], block: Block) -> bool:
    """Whether a block is of representations with themselves."""
    return len(sides) == 1 and block.rows == block.columns


def read_matrix(source: Source, measure: Measure) -> Tensor:
    """A representation; of a file, its coordinates, without their mean where no score sees it."""
    if isinstance(source, Tensor):
        return source
    return read_coordinates(source, centred=measure.translation)


def device_of(source: Source) -> str:
    """Where a representation is: files are read by the CPU."""
    return str(source.device) if isinstance(source, Tensor) else "cpu"


def not_finite(source: Source, matrix: Tensor) -> str | None:
    """Why a file's representation has no score; tensors were looked at before."""
    if isinstance(source, Tensor) or np.isfinite(matrix.numpy()).all():
        return None
    return "not finite: its activations held NaN or inf"


def prepare_source(
    source: Source, prepare: Callable[[Tensor], Prepared], measure: Measure
) -> Prepared:
    """A representation read and prepared; one with NaN or infinities has its reason instead."""
    matrix = read_matrix(source, measure)
    reason = not_finite(source, matrix)
    return prepare(matrix) if reason is None else Prepared(len(matrix), "none", reason=reason)


def write_source(measure: Measure, source: Source, row: np.ndarray, each: Each = map) -> Vector:
    """Write the vector of a representation into a row of zeros (`write_vector`)."""
    matrix = read_matrix(source, measure)
    if reason := not_finite(source, matrix):
        return Vector(reason, None, math.nan)
    return write_vector(measure, matrix, row, each)


def read_whole(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a file that an earlier attempt left whole, or None."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return dict(stored)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def make_once(
    path: Path | None, make: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """What ``make`` gives, read from ``path`` where an earlier attempt left it whole."""
    found = None if path is None else read_whole(path)
    if found is not None:
        return found
    made = make()
    if path is not None:
        write_arrays(path, made)
    return made


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays to a file, whole or not at all."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_file(path, buffer.getbuffer())


def reread(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file that this comparison wrote.

    Raises:
        StorageError: it is gone or damaged.

    """
    found = read_whole(path)
    if found is None:
        raise StorageError(f"{path}: gone or damaged since it was written; compare again.")
    return found


def read_scores(path: Path | None, scores: np.ndarray | None) -> np.ndarray:
    """A block's scores, from its file or from memory."""
    return np.asarray(scores) if path is None else reread(path)["scores"]


def join_notes(notes: list[Notes]) -> Notes:
    """The notes of consecutive blocks as those of all their representations."""
    return Notes(
        tuple(reason for part in notes for reason in part.reasons),
        tuple(doubt for part in notes for doubt in part.doubts),
    )
