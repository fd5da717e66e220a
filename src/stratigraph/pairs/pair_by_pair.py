"""Pair by pair: a block prepares its representations once and compares the pairs that are wanted.

Within a tolerance, Procrustes too (`similarity.procrustes.bracket`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from stratigraph.durable import make_folder
from stratigraph.engine import Engine
from stratigraph.pairs.blocks import (
    Notes,
    Progress,
    Source,
    Wanted,
    blocks,
    device_of,
    is_square,
    make_once,
    prepare_source,
    read_matrix,
    read_scores,
)
from stratigraph.pairs.comparison import LAYERS, Comparison
from stratigraph.pairs.tasks import run_tasks
from stratigraph.records import storage
from stratigraph.similarity.factors import factorise
from stratigraph.similarity.measure import Measure, Prepared, between
from stratigraph.similarity.procrustes import bracket
from stratigraph.similarity.threads import Each, spread_over_threads

__all__ = ["PAIR_BLOCK", "PairByPair"]

PAIR_BLOCK = 16  # representations a side of a block that is a task
HELD = 1 << 30  # bytes of n × n matrices of a block that is compared here


@dataclass(frozen=True)
class PairByPair:
    """Prepare each representation, then score pair by pair.

    Attributes:
        name: what a plan calls it.
        folder: one that outlives the call, where blocks that an interrupted call finished are not
            computed again; None keeps scores in memory.
        tolerance: settle for intervals no wider than this (`certified`); of Procrustes.

    """

    name: str = "pairs"
    folder: Path | None = None
    tolerance: float | None = None

    def compare(
        self,
        sides: Sequence[Sequence[Source]],
        measure: Measure,
        wanted: Wanted,
        engine: Engine | None,
        progress: Progress | None,
    ) -> Comparison:
        """See `Strategy`."""
        shape = (len(sides[0]), len(sides[-1]))
        here = engine is None and self.folder is None
        n = len(read_matrix(sides[0][0], measure))
        size = max(PAIR_BLOCK, HELD // (16 * n * n)) if here else PAIR_BLOCK
        cut_up = blocks(wanted, shape, size)
        paths: list[Path | None] = [None] * len(cut_up)
        if self.folder is not None:
            with storage(self.folder):
                make_folder(self.folder)
            paths = [self.folder / f"pairs-{block.name}" for block in cut_up]

        def tasks() -> Iterator[_CompareTask]:
            for block, path in zip(cut_up, paths, strict=True):
                yield _CompareTask(
                    tuple(sides[0][block.rows]),
                    tuple(sides[-1][block.columns]),
                    is_square(sides, block),
                    wanted(block.rows, block.columns),
                    measure,
                    self.tolerance,
                    path,
                )

        if here:
            found = _compare_here(tasks(), sum(block.pairs for block in cut_up), progress)
        else:
            found = run_tasks(_compare, tasks(), len(cut_up), engine, progress)
        done: list[np.ndarray | None] = [None] * len(cut_up)
        notes: list[list[list[str | None]]] = [[[None] * len(s), [None] * len(s)] for s in sides]
        for index, (scores, left, right) in found:
            block, done[index] = cut_up[index], scores
            for side, cut, own in ((notes[0], block.rows, left), (notes[-1], block.columns, right)):
                side[0][cut] = [a or b for a, b in zip(side[0][cut], own.reasons, strict=True)]
                side[1][cut] = [a or b for a, b in zip(side[1][cut], own.doubts, strict=True)]
        each = [Notes(tuple(side[0]), tuple(side[1])) for side in notes]

        def load(number: int) -> np.ndarray:
            return read_scores(paths[number], done[number])

        mirrored = len(sides) == 1 and measure.symmetric
        return Comparison(shape, cut_up, load, mirrored, each[0], each[-1])


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


def _compare_here(
    tasks: Iterator[_CompareTask], pairs: int, progress: Progress | None
) -> Iterator[tuple[int, tuple[np.ndarray, Notes, Notes]]]:
    """Block by block in this process, representations and pairs shared out over threads."""
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, pairs)

    with spread_over_threads() as (each, _):
        for index, task in enumerate(tasks):
            gpu = any(device_of(source) != "cpu" for source in (*task.left, *task.right))
            yield index, _score_pairs(task, map if gpu else each, tick)


def _compare(task: _CompareTask) -> tuple[np.ndarray | None, Notes, Notes]:
    """A block's scores (l, r, c), or None where they are kept in a file, and its notes."""
    found = make_once(task.path, partial(_arrays, task))
    scores = found["scores"] if task.path is None else None
    return scores, Notes.of(found, "left_"), Notes.of(found, "right_")


def _arrays(task: _CompareTask) -> dict[str, np.ndarray]:
    """A block as its file has it."""
    scores, left, right = _score_pairs(task)
    return {"scores": scores, **left.arrays("left_"), **right.arrays("right_")}


def _score_pairs(
    task: _CompareTask, each: Each = map, tick: Callable[[], None] = lambda: None
) -> tuple[np.ndarray, Notes, Notes]:
    """Each representation that is wanted is prepared once; then every wanted pair is scored."""
    measure, tolerance = task.measure, task.tolerance
    prepare = measure.prepare if tolerance is None else partial(factorise, tolerance=tolerance)
    pairs = np.argwhere(task.wanted)

    def prepare_all(sources: tuple[Source, ...], chosen: set[int]) -> dict[int, Prepared]:
        order = sorted(chosen)
        made = each(lambda i: prepare_source(sources[i], prepare, measure), order)
        return dict(zip(order, made, strict=True))

    rows, columns = (set(side.tolist()) for side in pairs.T)
    if task.same:
        left = right = prepare_all(task.left, rows | columns)
    else:
        left, right = prepare_all(task.left, rows), prepare_all(task.right, columns)

    def score(pair: np.ndarray) -> object:
        i, j = pair.tolist()
        if tolerance is None:
            return between(measure, left[i], right[j])
        return bracket(left[i], right[j], tolerance)

    scores = np.full((1 if tolerance is None else len(LAYERS), *task.wanted.shape), math.nan)
    for (i, j), found in zip(pairs.tolist(), each(score, pairs), strict=True):
        scores[:, i, j] = found
        tick()
    return scores, _note_results(left, len(task.left)), _note_results(right, len(task.right))


def _note_results(prepared: dict[int, Prepared], count: int) -> Notes:
    nothing = Prepared(0, "none")
    return Notes.of_each([prepared.get(index, nothing) for index in range(count)])
