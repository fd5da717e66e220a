"""Scores of many stored pairs, all probes and each group of them left out (`group_sums`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from stratigraph.engine import Engine, one_thread
from stratigraph.errors import InputError
from stratigraph.pairs.coordinates import read_coordinates
from stratigraph.pairs.group_sums import GROUPS, HELD, GroupScores
from stratigraph.pairs.tasks import run_tasks

__all__ = ["JACKKNIFED", "MOST_PROBES", "TASK_PAIRS", "jackknife_pairs", "order_in_tiles"]

JACKKNIFED = ("debiased_cka", "linear_cka", "deconfounded_cka")
MOST_PROBES = 3000  # beyond, the error over probes is small beside that over seeds
TASK_PAIRS = 400


@dataclass(frozen=True)
class _Task:
    kind: ClassVar[str] = "compare: leave probes out of block"  # numbered, in a cluster's dashboard
    files: dict[int, Path]
    pairs: np.ndarray
    measure: str
    groups: int
    confounder: int | None
    halves: int


def _run(task: _Task) -> np.ndarray:
    with one_thread():
        scores = GroupScores(
            lambda row: np.asarray(read_coordinates(task.files[row])),
            task.measure,
            task.groups,
            task.confounder,
            task.halves,
        )
        return np.stack([scores.score(int(i), int(j)) for i, j in task.pairs])


def order_in_tiles(pairs: np.ndarray, kinds: np.ndarray, n: int) -> np.ndarray:
    """An order of pairs (m, 2) in which few Gram matrices are made twice.

    Args:
        pairs: rows of representations.
        kinds: pairs of one kind (m,) stand together: those of one layer.
        n: probes.

    Returns:
        Places of the pairs, (m,): by kind, then in square tiles whose rows fit in memory together.

    """
    side = max(2, HELD // (8 * n * n) // 2)
    order = np.empty(len(pairs), dtype=np.int64)
    start = 0
    for kind in dict.fromkeys(kinds.tolist()):
        mine = np.flatnonzero(kinds == kind)
        place = np.unique(pairs[mine], return_inverse=True)[1].reshape(-1, 2)
        tile = place // side
        order[start : start + len(mine)] = mine[
            np.lexsort((place[:, 0], place[:, 1], tile[:, 0], tile[:, 1]))
        ]
        start += len(mine)
    return order


def jackknife_pairs(
    files: Sequence[Path],
    pairs: np.ndarray,
    measure: str,
    *,
    confounder: int | None = None,
    groups: int = GROUPS,
    halves: int = 0,
    engine: Engine | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """The scores of pairs of stored representations, and those without each group of probes.

    Args:
        files: reductions (`reduction.reduce_units`) of the same probes.
        pairs: rows of ``files``, (m, 2); best ordered so that neighbours share a row.
        measure: one of `JACKKNIFED`.
        confounder: the row of the input, for ``deconfounded_cka``.
        groups: G; every group is left out once.
        halves: so many times they are split in two, always alike, and both halves scored.
        engine: where the tasks run.
        progress: called with (tasks done, tasks in all).

    Returns:
        (m, 1 + G + 2 halves) float64: the score, the score without each group, and of each split
        the score of either half; NaN where undefined.

    Raises:
        InputError: another measure, or the input is missing where it is regressed out.

    """
    if measure not in JACKKNIFED or (measure == "deconfounded_cka") != (confounder is not None):
        raise InputError(
            f"measure: expected one of {', '.join(JACKKNIFED)}, the last and only the last with a "
            f"confounder; got {measure!r} with {confounder!r}."
        )
    tasks = []
    for start in range(0, len(pairs), TASK_PAIRS):
        own = pairs[start : start + TASK_PAIRS]
        rows = {*own.ravel().tolist(), *([] if confounder is None else [confounder])}
        own_files = {row: files[row] for row in rows}
        tasks.append(_Task(own_files, own, measure, groups, confounder, halves))
    found: list[np.ndarray] = [np.empty(0)] * len(tasks)
    for index, scores in run_tasks(_run, tasks, len(tasks), engine, progress):
        found[index] = scores
    return np.concatenate(found) if found else np.empty((0, 1 + groups + 2 * halves))
