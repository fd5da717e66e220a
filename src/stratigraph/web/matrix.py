"""A study's matrices as views read them: pieces of the file, by run, step and layer."""

from __future__ import annotations

import os
import weakref
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stratigraph.errors import IntegrityError
from stratigraph.study import similarity_path
from stratigraph.web.watch import Watched

__all__ = ["Index", "Scores", "cut", "index_matrix"]


class Scores:
    """A matrix of scores on disk, read a piece of a row at a time.

    It is not mapped into memory: a mapped file that is cut short takes the whole server with it.

    Raises:
        IntegrityError: the file is not a matrix, or no longer as long as one.

    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = getattr(np.lib.format, f"read_array_header_{version[0]}_{version[1]}")
            (_, self.columns), _, self.dtype = read(file)
            self.start = file.tell()
            # A descriptor of its own, which goes on reading this file where another takes its name.
            self.file = os.dup(file.fileno())
        self.path = path
        weakref.finalize(self, os.close, self.file)

    def piece(self, row: int, low: int, high: int) -> np.ndarray:
        """Some consecutive columns of a row, (high − low,)."""
        size = self.dtype.itemsize
        wanted = size * (high - low)
        at = self.start + size * (row * self.columns + low)
        read = os.pread(self.file, wanted, at)
        if len(read) != wanted:
            raise IntegrityError(f"{self.path}: it is shorter than when it was written.")
        return np.frombuffer(read, self.dtype)

    def at(self, row: int, column: int) -> float:
        """One score."""
        return float(self.piece(row, column, column + 1)[0])


@dataclass(frozen=True)
class Index:
    """Where in a matrix each representation is.

    Attributes:
        scores: the matrix (k, k).
        ends: the ends of the intervals of scores that are certain to a tolerance, or None.
        labels: one row a representation.
        rows: run → step → layer → row.

    """

    scores: Scores
    ends: tuple[Scores, Scores] | None
    labels: pd.DataFrame
    rows: dict[str, dict[int, dict[str, int]]]


def index_matrix(watched: Watched, way: str, measure: str) -> Index:
    """The matrix of a measure, and where in it things are."""

    def make() -> Index:
        study = watched.study(way)
        labels = study.labels(measure)  # its hashes are checked here
        rows: dict[str, dict[int, dict[str, int]]] = {}
        columns = (labels["run"], labels["step"], labels["layer"])
        for row, (run, step, layer) in enumerate(zip(*columns, strict=True)):
            rows.setdefault(str(run), {}).setdefault(int(step), {})[str(layer)] = row
        record = similarity_path(study.path, measure, study.way.folder)
        certain = (record / "lower.npy").is_file()
        ends = (Scores(record / "lower.npy"), Scores(record / "upper.npy")) if certain else None
        return Index(Scores(record / "values.npy"), ends, labels, rows)

    return watched.keep(("index", way, measure), make)


def cut(scores: Scores, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Some rows and columns of a matrix, (r, c) float32; NaN where a place is −1."""
    known = columns >= 0
    found = np.full((len(rows), len(columns)), np.nan, np.float32)
    if known.any():
        wanted = columns[known]
        low, high = int(wanted.min()), int(wanted.max()) + 1
        for target in np.flatnonzero(rows >= 0):
            found[target, known] = scores.piece(int(rows[target]), low, high)[wanted - low]
    return found
