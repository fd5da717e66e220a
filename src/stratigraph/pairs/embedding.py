"""The vectors of representations, for measures that are a cosine of them.

They are made a chunk at a time, each in a file of the scratch folder. A file's norms, notes and
hash lie beside it, and say that it is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np

from stratigraph.durable import sha256
from stratigraph.pairs.blocks import (
    Block,
    Notes,
    Source,
    join_notes,
    read_matrix,
    read_whole,
    write_arrays,
    write_source,
)
from stratigraph.records import npy, write_file
from stratigraph.similarity.measure import Measure
from stratigraph.similarity.packed import LAYOUT

__all__ = ["VECTORS", "Embeddings", "Run"]

VECTORS = f"packed{LAYOUT}-"  # how their files' names begin: those of another layout are not read

Run: TypeAlias = Callable[..., Iterator[tuple[int, Any]]]  # function, tasks, their number


@dataclass(frozen=True)
class _EmbedTask:
    """To make some vectors, in a file; without one, what is known of them alone."""

    kind: ClassVar[str] = "compare: vectors of block"  # numbered, in a cluster's dashboard
    sources: tuple[Source, ...]
    measure: Measure
    path: Path | None


@dataclass(frozen=True)
class _Embedded:
    """What is known of some vectors."""

    norms: np.ndarray  # NaN where a representation has no vector
    notes: Notes


class Embeddings:
    """The vectors of the chunks that are wanted now, and what is known of all chunks so far."""

    def __init__(
        self,
        sides: Sequence[Sequence[Source]],
        measure: Measure,
        folder: Path,
        chunk: int,
        run: Run,
    ) -> None:
        self.sides, self.measure, self.folder = sides, measure, folder
        self.chunk, self.run = chunk, run
        self.at_hand: dict[tuple[int, int], Path] = {}
        self.known: dict[tuple[int, int], tuple[np.ndarray, Notes]] = {}

    def _chunks(self, cut: slice) -> range:
        return range(cut.start // self.chunk, -(-cut.stop // self.chunk))

    def _path(self, key: tuple[int, int]) -> Path:
        side, chunk = key
        return self.folder / f"{VECTORS}{side}-{chunk * self.chunk}.npy"

    def make(self, found: list[Block], panels: bool) -> None:
        """Make the vectors that some blocks multiply; with panels, all others go first."""
        last = len(self.sides) - 1
        needed = {(0, c) for b in found for c in self._chunks(b.rows)}
        needed |= {(last, c) for b in found for c in self._chunks(b.columns)}
        if panels:
            self.at_hand = {key: self.at_hand[key] for key in self.at_hand.keys() & needed}
            stay = {self._path(key) for key in needed}
            for path in self.folder.glob(f"{VECTORS}*.npy"):
                if path not in stay:
                    path.unlink(missing_ok=True)
        missing = sorted(needed - self.at_hand.keys())
        if missing:
            self._embed(missing)

    def _task(self, key: tuple[int, int], path: Path | None) -> _EmbedTask:
        side, number = key
        cut = slice(number * self.chunk, (number + 1) * self.chunk)
        return _EmbedTask(tuple(self.sides[side][cut]), self.measure, path)

    def _embed(self, missing: list[tuple[int, int]]) -> None:
        tasks = [self._task(key, self._path(key)) for key in missing]
        for index, made in self.run(_embed, tasks, len(tasks)):
            key = missing[index]
            self.at_hand[key] = self._path(key)
            self.known[key] = made.norms, made.notes

    def of(self, side: int, cut: slice) -> tuple[tuple[Path, ...], np.ndarray]:
        """The vectors and the norms of a side's representations."""
        keys = [(side, chunk) for chunk in self._chunks(cut)]
        return (
            tuple(self.at_hand[key] for key in keys),
            np.concatenate([self.known[key][0] for key in keys]),
        )

    def notes(self) -> list[Notes]:
        """Each side's notes; those of chunks that an earlier call was done with are read."""
        every = [
            [(side, chunk) for chunk in self._chunks(slice(0, len(sources)))]
            for side, sources in enumerate(self.sides)
        ]
        noted = {key: self._noted(key) for keys in every for key in keys}
        if missing := [key for key, notes in noted.items() if notes is None]:
            # No pair of theirs was wanted: the notes are enough.
            tasks = [self._task(key, None) for key in missing]
            noted |= {missing[index]: made for index, made in self.run(_note, tasks, len(tasks))}
        return [join_notes([notes for key in keys if (notes := noted[key])]) for keys in every]

    def _noted(self, key: tuple[int, int]) -> Notes | None:
        if key in self.known:
            return self.known[key][1]
        beside = read_whole(self._path(key).with_suffix(".npz"))
        return None if beside is None else Notes.of(beside)


def _embed(task: _EmbedTask) -> _Embedded:
    """Vectors as rows of float32, zero where a representation has none, in the task's file."""
    path = task.path
    if path is None:
        return _make_vectors(task)[1]
    beside = read_whole(path.with_suffix(".npz"))
    if beside is not None and path.is_file() and sha256(path) == str(beside["sha256"]):
        return _Embedded(beside["norms"], Notes.of(beside))
    rows, made = _make_vectors(task)
    # The small file comes last: while it is missing, the large one counts for nothing.
    digest = write_file(path, *npy(rows))
    facts = {"norms": made.norms, "sha256": np.array(digest), **made.notes.arrays()}
    write_arrays(path.with_suffix(".npz"), facts)
    return made


def _note(task: _EmbedTask) -> Notes:
    """The notes alone."""
    return _embed(task).notes


def _make_vectors(task: _EmbedTask) -> tuple[np.ndarray, _Embedded]:
    sources, measure = task.sources, task.measure
    n = len(read_matrix(sources[0], measure))
    rows = np.zeros((len(sources), measure.entries(n)), np.float32)
    found = [write_source(measure, source, row) for source, row in zip(sources, rows, strict=True)]
    return rows, _Embedded(
        np.sqrt([vector.squared for vector in found]),
        Notes.of_each(found),
    )
