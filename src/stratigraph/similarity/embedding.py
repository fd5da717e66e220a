"""The vectors of representations, for measures that are a cosine of them.

They are made a chunk at a time, in memory or in a file of the scratch folder; and once more on
each other machine that multiplies them (`stratigraph.similarity.travel`), where its disk has room.
A file's norms, notes and hash lie beside it, and say that it is whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np
import torch

from stratigraph.durable import sha256
from stratigraph.errors import InputError, StorageError
from stratigraph.similarity.blocks import Block, Notes, Run, Source, joined, loaded, prepared, put
from stratigraph.similarity.gram import norm64
from stratigraph.similarity.measure import Measure
from stratigraph.similarity.travel import OfRepresentations, in_turn, is_short
from stratigraph.snapshots import npy, write_file

__all__ = ["Chunk", "EmbedTask", "Embedded", "Embeddings", "vectors_of"]

Chunk: TypeAlias = np.ndarray | Path  # some vectors; or the file that they are in


@dataclass(frozen=True)
class EmbedTask(OfRepresentations):
    """To make some vectors, in a file or in memory."""

    kind: ClassVar[str] = "compare: vectors of block"  # numbered, in a cluster's dashboard
    sources: tuple[Source, ...]
    measure: Measure
    path: Path | None

    def stored(self) -> Iterable[Source]:
        """Those of its block."""
        return self.sources

    def away(self) -> EmbedTask | None:
        """The same: vectors stay on the machine that makes them, and norms and notes come back."""
        files = () if self.path is None else (self.path, self.path.with_suffix(".npz"))
        done = bool(files) and all(file.is_file() for file in files)
        return None if done else replace(self, travels=True)


@dataclass(frozen=True)
class Embedded:
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
        self.made_by: dict[Path, EmbedTask] = {}
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

    def _task(self, key: tuple[int, int], path: Path | None) -> EmbedTask:
        side, number = key
        cut = slice(number * self.chunk, (number + 1) * self.chunk)
        return EmbedTask(tuple(self.sides[side][cut]), self.measure, path)

    def _embed(self, missing: list[tuple[int, int]]) -> None:
        tasks = [self._task(key, self._path(key)) for key in missing]
        for index, made in self.run(_embed, tasks, len(tasks)):
            key, path = missing[index], tasks[index].path
            if path is not None:
                self.at_hand[key] = path
                self.made_by[path] = replace(tasks[index], travels=True)
            elif made.vectors is not None:
                self.at_hand[key] = made.vectors
            self.known[key] = made.norms, made.notes

    def makers(self, some: Iterable[Chunk]) -> dict[Path, EmbedTask]:
        """What makes those that are in files, elsewhere."""
        return {path: self.made_by[path] for path in some if isinstance(path, Path)}

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
            # No pair of theirs was wanted, or their vectors are elsewhere: the notes are enough.
            tasks = [self._task(key, None) for key in missing]
            noted |= {missing[index]: made for index, made in self.run(_note, tasks, len(tasks))}
        return [joined([notes for key in keys if (notes := noted[key])]) for keys in every]

    def _noted(self, key: tuple[int, int]) -> Notes | None:
        if key in self.known:
            return self.known[key][1]
        path = self._path(key)
        beside = None if path is None else loaded(path.with_suffix(".npz"))
        return None if beside is None else Notes.of(beside)


def _embed(task: EmbedTask) -> Embedded:
    """Norms and notes of vectors; and the vectors, of a task that has no file."""
    made = vectors_of(task)
    return made if task.path is None else replace(made, vectors=None)


def _note(task: EmbedTask) -> Notes:
    """The notes alone."""
    return _made(task).notes


def vectors_of(task: EmbedTask) -> Embedded:
    """Vectors as rows of float32, zero where a representation has none, and their norms.

    They are in the task's file; or with what is returned, if it has none, or the disk of another
    machine, to which it was sent, is short.
    """
    path = task.path
    if path is None or (task.travels and not path.is_file() and is_short(path.parent)):
        return _made(task)
    with in_turn(path):
        beside = loaded(path.with_suffix(".npz"))
        if beside is not None and _stands(path, str(beside["sha256"])):
            return Embedded(None, beside["norms"], Notes.of(beside))
        made = _made(task)
        try:
            # The small file comes last: while it is missing, the large one counts for nothing.
            digest = write_file(path, *npy(np.asarray(made.vectors)))
            facts = {"norms": made.norms, "sha256": np.array(digest), **made.notes.arrays()}
            put(path.with_suffix(".npz"), facts)
        except StorageError:
            if not task.travels:
                raise
            return made
        _stand[path] = path.stat().st_mtime_ns
        return replace(made, vectors=None)


_stand: dict[Path, int] = {}  # when files were written that this process found whole, or wrote


def _stands(path: Path, digest: str) -> bool:
    """Whether a file has this hash; it is read once in each process."""
    try:
        written = path.stat().st_mtime_ns
        if _stand.get(path) != written:
            if sha256(path) != digest:
                return False
            _stand[path] = written
    except FileNotFoundError:
        return False
    return True


def _made(task: EmbedTask) -> Embedded:
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
    return Embedded(rows, np.array(norms), Notes(tuple(reasons), tuple(doubts)))
