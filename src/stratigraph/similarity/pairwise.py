"""All pairs: the only loop over pairs in this package.

K representations (or K against K′) are cut into fixed blocks, so that the bits of a result depend
neither on the number of workers nor on the order in which blocks finish. Two ways:

``vectors``  the measure is a cosine of one vector for each representation, and a block of pairs is
             one matrix product (`by_vectors`).
``pairs``    each block prepares its representations once and compares the pairs that are wanted.

For a symmetric measure only the upper triangle is computed, then mirrored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, TypeAlias

import numpy as np

from stratigraph.durable import make_folder
from stratigraph.engine import Engine
from stratigraph.errors import InputError, StratigraphError
from stratigraph.similarity.blocks import Notes, Run, Source, blocks, kept, prepared
from stratigraph.similarity.by_vectors import by_vectors
from stratigraph.similarity.measure import Measure, Prepared, between
from stratigraph.snapshots import storage

__all__ = ["PAIR_BLOCK", "Comparison", "Source", "all_pairs"]

Progress: TypeAlias = Callable[[int, int], None]

PAIR_BLOCK = 16  # representations a side of a block that is compared pair by pair


@dataclass(frozen=True)
class Comparison:
    """Scores ``(k, k′)`` in float64, and for each representation why its scores are NaN or weak."""

    values: np.ndarray
    reasons_x: tuple[str | None, ...]
    reasons_y: tuple[str | None, ...]
    doubts_x: tuple[str | None, ...]
    doubts_y: tuple[str | None, ...]


def all_pairs(
    xs: Sequence[Source],
    ys: Sequence[Source] | None,
    measure: Measure,
    *,
    vectors: bool,
    wanted: np.ndarray | None = None,
    engine: Engine | None = None,
    spill: bool = False,
    scratch: Path | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compare every representation of ``xs`` with every one of ``ys`` (of ``xs`` where None).

    Args:
        xs: finite matrices of the same probes, or paths of stored coordinates.
        ys: the same for the other axis.
        measure: what to compute.
        vectors: compare through embedded vectors.
        wanted: boolean ``(k, k′)``; other pairs are NaN. Within one set, a pair of a symmetric
            measure is wanted if either order is.
        engine: where blocks run; None is this process, with torch's own threads.
        spill: keep the vectors in a temporary folder rather than in memory.
        scratch: a folder that outlives the call, for this comparison alone: what an interrupted
            call left there is not computed again. The caller removes it.
        progress: called with (tasks done, tasks in all).

    """
    same = ys is None
    sides = [list(xs)] if ys is None else [list(xs), list(ys)]
    mask = _mask(wanted, len(sides[0]), len(sides[-1]), fold=same and measure.symmetric)
    run = partial(_each, engine=engine, progress=progress)
    if scratch is not None:
        with storage(scratch):
            make_folder(scratch)
    if vectors and scratch is not None:
        values, notes = by_vectors(sides, measure, mask, run, scratch)
    elif vectors:
        spilled = spill or (engine is not None and engine.workers > 1)
        with TemporaryDirectory(prefix="stratigraph-") as folder:
            into = Path(folder) if spilled else None
            values, notes = by_vectors(sides, measure, mask, run, into)
    else:
        values, notes = _by_pairs(sides, measure, mask, run, scratch)
    for axis, side in ((0, notes[0]), (1, notes[-1])):
        bad = [i for i, reason in enumerate(side.reasons) if reason]
        values[(bad, slice(None)) if axis == 0 else (slice(None), bad)] = math.nan
    if same and measure.symmetric:
        values = np.where(mask, values, values.T)
    return Comparison(
        values, notes[0].reasons, notes[-1].reasons, notes[0].doubts, notes[-1].doubts
    )


def _mask(wanted: np.ndarray | None, rows: int, columns: int, *, fold: bool) -> np.ndarray:
    mask = np.ones((rows, columns), bool) if wanted is None else np.asarray(wanted)
    if mask.shape != (rows, columns) or mask.dtype != bool:
        raise InputError(
            f"wanted: expected a boolean matrix of shape {(rows, columns)}, "
            f"got {mask.dtype} of shape {mask.shape}."
        )
    return np.triu(mask | mask.T) if fold else mask


def _each(
    function: Callable[[Any], Any],
    tasks: Sequence[Any],
    *,
    engine: Engine | None,
    progress: Progress | None,
) -> Iterator[tuple[int, Any]]:
    """(index, value) of each task as it ends; a task's failure is raised."""
    if engine is None:
        for index, task in enumerate(tasks):
            yield index, function(task)
            if progress:
                progress(index + 1, len(tasks))
        return
    for done, outcome in enumerate(engine.map(function, tasks), 1):
        if outcome.failure is not None:
            raise outcome.failure.error or StratigraphError(
                f"comparing block {outcome.index}: {outcome.failure.message}"
            )
        yield outcome.index, outcome.value
        if progress:
            progress(done, len(tasks))


@dataclass(frozen=True)
class _CompareTask:
    kind: ClassVar[str] = "compare block"  # numbered, in a cluster's dashboard
    left: tuple[Source, ...]
    right: tuple[Source, ...]
    same: bool
    wanted: np.ndarray
    measure: Measure
    path: Path | None


def _by_pairs(
    sides: list[list[Source]],
    measure: Measure,
    mask: np.ndarray,
    run: Run,
    scratch: Path | None,
) -> tuple[np.ndarray, list[Notes]]:
    cut_up = blocks(mask, PAIR_BLOCK)
    tasks = [
        _CompareTask(
            tuple(sides[0][block.rows]),
            tuple(sides[-1][block.columns]),
            len(sides) == 1 and block.rows == block.columns,
            mask[block.rows, block.columns],
            measure,
            None
            if scratch is None
            else scratch / f"pairs-{block.rows.start}-{block.columns.start}.npz",
        )
        for block in cut_up
    ]
    values = np.full(mask.shape, math.nan)
    found: list[list[list[str | None]]] = [[[None] * len(s), [None] * len(s)] for s in sides]
    for index, (scores, left, right) in run(_compare, tasks):
        block = cut_up[index]
        values[block.rows, block.columns] = scores
        for side, cut, notes in ((found[0], block.rows, left), (found[-1], block.columns, right)):
            side[0][cut] = [a or b for a, b in zip(side[0][cut], notes.reasons, strict=True)]
            side[1][cut] = [a or b for a, b in zip(side[1][cut], notes.doubts, strict=True)]
    return values, [Notes(tuple(side[0]), tuple(side[1])) for side in found]


def _compare(task: _CompareTask) -> tuple[np.ndarray, Notes, Notes]:
    def make() -> dict[str, np.ndarray]:
        values, left, right = _scored(task)
        return {"values": values, **left.arrays("left_"), **right.arrays("right_")}

    found = kept(task.path, make)
    return found["values"], Notes.of(found, "left_"), Notes.of(found, "right_")


def _scored(task: _CompareTask) -> tuple[np.ndarray, Notes, Notes]:
    """Each representation that is wanted is prepared once; then every wanted pair is scored."""
    left: dict[int, Prepared] = {}
    right = left if task.same else {}
    values = np.full(task.wanted.shape, math.nan)
    for i, j in np.argwhere(task.wanted).tolist():
        if i not in left:
            left[i] = prepared(task.left[i], task.measure.prepare, task.measure)
        if j not in right:
            right[j] = prepared(task.right[j], task.measure.prepare, task.measure)
        values[i, j] = between(task.measure, left[i], right[j])
    return values, _noted(left, len(task.left)), _noted(right, len(task.right))


def _noted(prepared: dict[int, Prepared], count: int) -> Notes:
    nothing = Prepared(0, "none")
    every = [prepared.get(index, nothing) for index in range(count)]
    return Notes(tuple(p.reason for p in every), tuple(p.doubt for p in every))
