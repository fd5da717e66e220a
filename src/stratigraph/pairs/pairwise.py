"""All pairs: the only loop over pairs in this package.

K representations (or K against K′) are cut into fixed blocks, so that the bits of a result depend
neither on the number of workers nor on the order in which blocks finish. Two ways:

``vectors``  the measure is a cosine of one vector for each representation, and a block of pairs is
             one matrix product (`by_vectors`).
``pairs``    each block prepares its representations once and compares the pairs that are wanted;
             within a tolerance, Procrustes does too (`procrustes.bracket`).

For a symmetric measure only the upper triangle is computed, then mirrored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, TypeAlias

import numpy as np

from stratigraph.durable import make_folder
from stratigraph.engine import Engine
from stratigraph.errors import InputError, StratigraphError
from stratigraph.pairs.blocks import (
    Notes,
    Run,
    Source,
    Wanted,
    blocks,
    folded,
    kept,
    prepared,
    read_scores,
)
from stratigraph.pairs.by_vectors import by_vectors
from stratigraph.pairs.comparison import LAYERS, Comparison
from stratigraph.records import storage
from stratigraph.similarity.factors import factored
from stratigraph.similarity.measure import Measure, Prepared, between
from stratigraph.similarity.procrustes import bracket

__all__ = ["PAIR_BLOCK", "Progress", "Source", "all_pairs"]

Progress: TypeAlias = Callable[[int, int], None]

PAIR_BLOCK = 16  # representations a side of a block that is compared pair by pair


def all_pairs(
    xs: Sequence[Source],
    ys: Sequence[Source] | None,
    measure: Measure,
    *,
    vectors: bool,
    wanted: np.ndarray | Wanted | None = None,
    tolerance: float | None = None,
    engine: Engine | None = None,
    spill: bool = False,
    scratch: Path | None = None,
    disk: float | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compare every representation of ``xs`` with every one of ``ys`` (of ``xs`` where None).

    Args:
        xs: finite matrices of the same probes, or paths of stored coordinates.
        ys: the same for the other axis.
        measure: what to compute.
        vectors: compare through embedded vectors.
        wanted: boolean ``(k, k′)``, or a function that gives any block of it; other pairs are NaN.
            Within one set, a pair of a symmetric measure is wanted if either order is.
        tolerance: settle for intervals no wider than this (`certified`); not through vectors.
        engine: where blocks run; None is this process, with torch's own threads.
        spill: keep the vectors in a temporary folder rather than in memory.
        scratch: a folder that outlives the call, for this comparison alone: what an interrupted
            call left there is not computed again, and blocks are read from it. The caller removes
            it.
        disk: bytes that vectors may take there; None is what is free.
        progress: called with (tasks done, tasks in all).

    """
    same = ys is None
    sides = [list(xs)] if ys is None else [list(xs), list(ys)]
    mask = _mask(wanted, len(sides[0]), len(sides[-1]))
    if same and measure.symmetric:
        mask = folded(mask)
    run = partial(_each, engine=engine, progress=progress)
    if scratch is not None:
        with storage(scratch):
            make_folder(scratch)
    if not vectors:
        return _by_pairs(sides, measure, mask, run, scratch, tolerance)
    if scratch is not None:
        return by_vectors(sides, measure, mask, run, scratch, keep=True, disk=disk)
    if not spill and (engine is None or engine.workers == 1):
        return by_vectors(sides, measure, mask, run, None, keep=False)
    with TemporaryDirectory(prefix="stratigraph-") as folder:
        return by_vectors(sides, measure, mask, run, Path(folder), keep=False, disk=disk)


def _mask(wanted: np.ndarray | Wanted | None, rows: int, columns: int) -> Wanted:
    if callable(wanted):
        return wanted
    if wanted is None:
        return lambda r, c: np.ones((r.stop - r.start, c.stop - c.start), bool)
    mask = np.asarray(wanted)
    if mask.shape != (rows, columns) or mask.dtype != bool:
        raise InputError(
            f"wanted: expected a boolean matrix of shape {(rows, columns)}, "
            f"got {mask.dtype} of shape {mask.shape}."
        )
    return lambda r, c: mask[r, c]


def _each(
    function: Callable[[Any], Any],
    tasks: Iterable[Any],
    count: int,
    *,
    engine: Engine | None,
    progress: Progress | None,
) -> Iterator[tuple[int, Any]]:
    """(index, value) of each task as it ends; a task's failure is raised."""
    if engine is None:
        for index, task in enumerate(tasks):
            yield index, function(task)
            if progress:
                progress(index + 1, count)
        return
    for done, outcome in enumerate(engine.map(function, tasks), 1):
        if outcome.failure is not None:
            raise outcome.failure.error or StratigraphError(
                f"comparing block {outcome.index}: {outcome.failure.message}"
            )
        yield outcome.index, outcome.value
        if progress:
            progress(done, count)


@dataclass(frozen=True)
class _CompareTask:
    """A block of pairs; ``path`` is where its scores are kept, and None returns them."""

    kind: ClassVar[str] = "compare block"  # numbered, in a cluster's dashboard
    left: tuple[Source, ...]
    right: tuple[Source, ...]
    same: bool
    wanted: np.ndarray
    measure: Measure
    tolerance: float | None
    path: Path | None


def _by_pairs(
    sides: list[list[Source]],
    measure: Measure,
    mask: Wanted,
    run: Run,
    scratch: Path | None,
    tolerance: float | None,
) -> Comparison:
    shape = (len(sides[0]), len(sides[-1]))
    cut_up = blocks(mask, shape, PAIR_BLOCK)
    paths = [None if scratch is None else scratch / f"pairs-{block.name}" for block in cut_up]

    def tasks() -> Iterator[_CompareTask]:
        for block, path in zip(cut_up, paths, strict=True):
            yield _CompareTask(
                tuple(sides[0][block.rows]),
                tuple(sides[-1][block.columns]),
                len(sides) == 1 and block.rows == block.columns,
                mask(block.rows, block.columns),
                measure,
                tolerance,
                path,
            )

    done: list[np.ndarray | None] = [None] * len(cut_up)
    found: list[list[list[str | None]]] = [[[None] * len(s), [None] * len(s)] for s in sides]
    for index, (scores, left, right) in run(_compare, tasks(), len(cut_up)):
        block, done[index] = cut_up[index], scores
        for side, cut, notes in ((found[0], block.rows, left), (found[-1], block.columns, right)):
            side[0][cut] = [a or b for a, b in zip(side[0][cut], notes.reasons, strict=True)]
            side[1][cut] = [a or b for a, b in zip(side[1][cut], notes.doubts, strict=True)]
    each = [Notes(tuple(side[0]), tuple(side[1])) for side in found]

    def load(number: int) -> np.ndarray:
        return read_scores(paths[number], done[number])

    mirrored = len(sides) == 1 and measure.symmetric
    return Comparison(shape, cut_up, load, mirrored, each[0], each[-1])


def _compare(task: _CompareTask) -> tuple[np.ndarray | None, Notes, Notes]:
    """A block's scores (l, r, c), or None where they are kept in a file, and its notes."""
    found = kept(task.path, partial(_arrays, task))
    scores = found["scores"] if task.path is None else None
    return scores, Notes.of(found, "left_"), Notes.of(found, "right_")


def _arrays(task: _CompareTask) -> dict[str, np.ndarray]:
    """A block as its file has it."""
    scores, left, right = _score_pairs(task)
    return {"scores": scores, **left.arrays("left_"), **right.arrays("right_")}


def _score_pairs(task: _CompareTask) -> tuple[np.ndarray, Notes, Notes]:
    """Each representation that is wanted is prepared once; then every wanted pair is scored."""
    measure, tolerance = task.measure, task.tolerance
    prepare = measure.prepare if tolerance is None else partial(factored, tolerance=tolerance)
    left: dict[int, Prepared] = {}
    right = left if task.same else {}
    scores = np.full((1 if tolerance is None else len(LAYERS), *task.wanted.shape), math.nan)
    for i, j in np.argwhere(task.wanted).tolist():
        if i not in left:
            left[i] = prepared(task.left[i], prepare, measure)
        if j not in right:
            right[j] = prepared(task.right[j], prepare, measure)
        if tolerance is None:
            scores[:, i, j] = between(measure, left[i], right[j])
        else:
            scores[:, i, j] = bracket(left[i], right[j], tolerance)
    return scores, _note_results(left, len(task.left)), _note_results(right, len(task.right))


def _note_results(prepared: dict[int, Prepared], count: int) -> Notes:
    nothing = Prepared(0, "none")
    every = [prepared.get(index, nothing) for index in range(count)]
    return Notes(tuple(p.reason for p in every), tuple(p.doubt for p in every))
