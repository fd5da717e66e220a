"""Blocks of pairs, and what every way of filling them shares.

The partition is fixed by the numbers of representations alone, so that the bits of a result depend
neither on the number of workers nor on the order in which blocks finish.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from stratigraph.similarity.measure import Measure, Prepared
from stratigraph.similarity.reduction import read_coordinates
from stratigraph.snapshots import write_file

__all__ = ["Block", "Notes", "Run", "Source", "blocks", "cuts", "joined", "kept", "prepared"]

Source: TypeAlias = Tensor | Path
Run: TypeAlias = Callable[..., Iterator[tuple[int, Any]]]


@dataclass(frozen=True)
class Block:
    """A rectangle of pairs: rows of one side, columns of the other."""

    rows: slice
    columns: slice


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
    def of(cls, arrays: dict[str, np.ndarray], prefix: str = "") -> Notes:
        """Back from `arrays`."""
        return cls(
            tuple(str(text) or None for text in arrays[f"{prefix}reasons"]),
            tuple(str(text) or None for text in arrays[f"{prefix}doubts"]),
        )


def cuts(count: int, size: int) -> list[slice]:
    """``count`` things in runs of ``size``, the last one shorter."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def blocks(mask: np.ndarray, size: int) -> list[Block]:
    """The rectangles that hold a wanted pair."""
    return [
        Block(rows, columns)
        for rows in cuts(mask.shape[0], size)
        for columns in cuts(mask.shape[1], size)
        if mask[rows, columns].any()
    ]


def _matrix(source: Source, measure: Measure) -> Tensor:
    if isinstance(source, Tensor):
        return source
    return read_coordinates(source, centred=measure.translation)


def prepared(source: Source, prepare: Callable[[Tensor], Prepared], measure: Measure) -> Prepared:
    """A representation read and prepared; one with NaN or infinities has its reason instead."""
    matrix = _matrix(source, measure)
    if isinstance(source, Path) and not bool(torch.isfinite(matrix).all()):
        return Prepared(len(matrix), "none", reason="not finite: its activations held NaN or inf")
    return prepare(matrix)


def kept(path: Path | None, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What ``make`` gives, read from ``path`` where an earlier attempt left it whole."""
    if path is None:
        return make()
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return dict(stored)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        made = make()
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **made)
    write_file(path, buffer.getbuffer())
    return made


def joined(notes: list[Notes]) -> Notes:
    """The notes of consecutive blocks as those of all their representations."""
    return Notes(
        tuple(reason for part in notes for reason in part.reasons),
        tuple(doubt for part in notes for doubt in part.doubts),
    )
