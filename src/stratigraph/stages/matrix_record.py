"""The record of a similarity matrix: written in bands of rows, never in memory as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stratigraph.pairs.comparison import Comparison, Part
from stratigraph.records import Files, write_record

__all__ = ["write_matrix"]

BAND = 384 * 2**20  # bytes of a band of rows


def write_matrix(
    path: Path,
    labels: pd.DataFrame,
    parts: list[tuple[np.ndarray, Comparison]],
    kinds: Sequence[Part],
    about: dict[str, Any],
) -> None:
    """Write the record of a matrix over all sets of probes, in bands of rows.

    Args:
        path: where it will stand.
        labels: one row a representation, (k, …).
        parts: of each set, the rows of the labels that it has, and their scores.
        kinds: the scores, and the ends of their intervals where there are any.
        about: what the record says of itself.

    """

    def fill(files: Files) -> None:
        for kind in kinds:
            shape = len(labels), len(labels)
            files.bands(f"{kind}.npy", shape, _bands(parts, len(labels), kind))
        files.table("labels.parquet", labels)

    write_record(path, fill, about)


def _bands(
    parts: list[tuple[np.ndarray, Comparison]], count: int, kind: Part
) -> Iterator[np.ndarray]:
    """The rows of the matrix, NaN between two sets of probes, some at a time."""
    height = max(BAND // (8 * count), 1)
    for start in range(0, count, height):
        band = np.full((min(height, count - start), count), np.nan)
        for rows, scores in parts:
            chosen = np.flatnonzero((rows >= start) & (rows < start + height))
            if len(chosen):
                band[np.ix_(rows[chosen] - start, rows)] = scores.rows(chosen, kind)
        yield band
