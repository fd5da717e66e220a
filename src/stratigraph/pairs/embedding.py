"""The vectors of representations, for measures that are a cosine of them.

They are made a chunk at a time, in memory or in a file of the scratch folder. A file's norms, notes
and hash lie beside it, and say that it is whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np
import torch

from stratigraph.durable import sha256
from stratigraph.errors import InputError
from stratigraph.pairs.blocks import Block, Notes, Run, Source, joined, loaded, prepared, put
from stratigraph.records import npy, write_file
from stratigraph.similarity.gram import norm64
from stratigraph.similarity.measure import Measure

__all__ = ["Chunk", "Embeddings"]

Chunk: TypeAlias = np.ndarray | Path  # some vectors; or the file that they are in


@dataclass(frozen=True)
class _EmbedTask:
    """To make some vectors, in a file or in memory."""

    kind: ClassVar[str] = "compare: vectors of block"  # numbered, in a cluster's dashboard
    sources: tuple[Source, ...]
    measure: Measure
    path: Path | None


@dataclass(frozen=True)
class _Embedded:
    """What is known of some vectors; and they themselves, unless they are in the task's file."""

    vectors: np.ndarray | None
    norms: np.ndarray  # NaN where a representation has no vector
    notes: Notes


class Embeddings:
    """The vectors of the chunks that are wanted now, and what is known of all chunks so far."""

    def __init__(
        self,
        sides: list[list[Source]],
        measure: Measure,
        folder: Path | None,
        chunk: int,
        run: Run,
    ) -> None:
        self.sides, self.measure, self.folder = sides, measure, folder
        self.chunk, self.run = chunk, run
        self.at_hand: dict[tuple[int, int], Chunk] = {}
        self.known: dict[tuple[int, int], tuple[np.ndarray, Notes]] = {}

    def _chunks(self, cut: slice) -> range:
        return range(cut.start // self.chunk, -(-cut.stop // self.chunk))

    def _path(self, key: tuple[int, int]) -> Path | None:
        side, chunk = key
        name = f"vectors-{side}-{chunk * self.chunk}.npy"
        return None if self.folder is None else self.folder / name

    def make(self, found: list[Block], panels: bool) -> None:
        """Make the vectors that some blocks multiply; with panels, all others go first."""
        last = len(self.sides) - 1
        needed = {(0, c) for b in found for c in self._chunks(b.rows)}
        needed |= {(last, c) for b in found for c in self._chunks(b.columns)}
        if panels and self.folder is not None:
            self.at_hand = {key: self.at_hand[key] for key in self.at_hand.keys() & needed}
            stay = {self._path(key) for key in needed}
            for path in self.folder.glob("vectors-*.npy"):
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
            key, path = missing[index], tasks[index].path
            if path is not None:
                self.at_hand[key] = path
            elif made.vectors is not None:
                self.at_hand[key] = made.vectors
            self.known[key] = made.norms, made.notes

    def of(self, side: int, cut: slice) -> tuple[tuple[Chunk, ...], np.ndarray]:
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
        return [joined([notes for key in keys if (notes := noted[key])]) for keys in every]

    def _noted(self, key: tuple[int, int]) -> Notes | None:
        if key in self.known:
            return self.known[key][1]
        path = self._path(key)
        beside = None if path is None else loaded(path.with_suffix(".npz"))
        return None if beside is None else Notes.of(beside)


def _embed(task: _EmbedTask) -> _Embedded:
    """Vectors as rows of float32, zero where a representation has none, and their norms.

    They are in the task's file; or with what is returned, if it has none.
    """
    path = task.path
    if path is None:
        return _make_vectors(task)
    beside = loaded(path.with_suffix(".npz"))
    if beside is not None and path.is_file() and sha256(path) == str(beside["sha256"]):
        return _Embedded(None, beside["norms"], Notes.of(beside))
    made = _make_vectors(task)
    # The small file comes last: while it is missing, the large one counts for nothing.
    digest = write_file(path, *npy(np.asarray(made.vectors)))
    facts = {"norms": made.norms, "sha256": np.array(digest), **made.notes.arrays()}
    put(path.with_suffix(".npz"), facts)
    return _Embedded(None, made.norms, made.notes)


def _note(task: _EmbedTask) -> Notes:
    """The notes alone."""
    return _make_vectors(task).notes


def _make_vectors(task: _EmbedTask) -> _Embedded:
    embed = task.measure.embed
    if embed is None:
        raise InputError(f"measure: {task.measure.name} cannot be embedded as vectors.")
    rows, reasons, doubts, norms = np.zeros((len(task.sources), 0), np.float32), [], [], []
    for index, source in enumerate(task.sources):
        found = prepared(source, embed, task.measure)
        reasons.append(found.reason)
        doubts.append(found.doubt)
        norms.append(math.nan if found.reason else 1.0)
        if found.parts:
            vector = found.parts[0].to("cpu", torch.float32)
            norms[-1] = norm64(vector)
            if not rows.shape[1]:
                rows = np.zeros((len(rows), len(vector)), np.float32)
            rows[index] = vector.numpy()
    return _Embedded(rows, np.array(norms), Notes(tuple(reasons), tuple(doubts)))
