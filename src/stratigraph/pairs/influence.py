"""The influence of each probe on a weighed sum of scores of stored pairs: Σ_p w_p θ_p, by CKA.

Influences add up like scores do (`stratigraph.similarity.influence`), so a sum of thousands of
scores has them for the cost of the scores: per pair one n² pass for the sum without each probe, and
n²c for the sums of c subsets of the probes. Nothing is kept but the sum.

The leave-one-out sums are exact, scores without a probe being exact; so are those of subsets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from stratigraph.engine import Engine, one_thread
from stratigraph.pairs.coordinates import read_coordinates
from stratigraph.pairs.tasks import run_tasks
from stratigraph.similarity.hsic import is_degenerate
from stratigraph.similarity.influence import INFLUENCED
from stratigraph.similarity.left_out import hsic_of_subsets, hsic_without_each

__all__ = ["INFLUENCED", "WeighedSum", "weigh_pairs"]

TASK_PAIRS = 100


class WeighedSum(NamedTuple):
    """Σ_p w_p θ_p of all probes; what it loses without each (n,); and of subsets alone (c,)."""

    value: float
    influence: np.ndarray
    subsets: np.ndarray


@dataclass(frozen=True)
class _Task:
    kind: ClassVar[str] = "compare: influence of probes, block"  # numbered, on dashboards
    files: dict[int, Path]
    pairs: np.ndarray
    weights: np.ndarray
    debiased: bool
    kept: np.ndarray
    each: bool


@dataclass(frozen=True)
class _Kernel:
    """A Gram matrix of trace 1, and its HSIC with itself of every column that is asked for."""

    matrix: np.ndarray
    own: np.ndarray


def _columns(k: np.ndarray, m: np.ndarray, task: _Task) -> np.ndarray:
    """HSIC of all probes; without each, if that is asked for; and of the subsets."""
    if task.each:
        whole, less = hsic_without_each(k, m, task.debiased)
        found = np.r_[whole, less]
    else:
        found = np.empty(0)
    subsets = hsic_of_subsets(k, m, task.kept, task.debiased) if task.kept.shape[1] else ()
    return np.r_[found, subsets]


def _prepare(path: Path, task: _Task) -> _Kernel:
    x = np.asarray(read_coordinates(path))
    dtype, x = x.dtype, x.astype(np.float64)
    x -= x.mean(0)
    x /= np.linalg.norm(x) or 1.0
    gram = x @ x.T
    inner = float(np.square(gram).sum())
    if task.debiased:
        np.fill_diagonal(gram, 0.0)
    own = _columns(gram, gram, task)
    return _Kernel(gram, np.where(is_degenerate(own, inner, 1.0, dtype), np.nan, own))


def _run(task: _Task) -> np.ndarray:
    """The weighed sums of every column."""
    with one_thread():
        at, last = -1, None
        total: np.ndarray | float = 0.0
        for (i, j), weight in zip(task.pairs.tolist(), task.weights, strict=True):
            if last is None or at != j:
                at, last = j, _prepare(task.files[j], task)
            one = _prepare(task.files[i], task)
            cross = _columns(one.matrix, last.matrix, task)
            total = total + weight * cross / np.sqrt(one.own * last.own)
    return np.asarray(total)


def weigh_pairs(
    files: Sequence[Path],
    pairs: np.ndarray,
    weights: np.ndarray,
    measure: str,
    kept: np.ndarray,
    *,
    each: bool = True,
    engine: Engine | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> WeighedSum:
    """A weighed sum of the scores of pairs, without each probe, and of subsets of the probes.

    Args:
        files: reductions of the same probes.
        pairs: rows of ``files``, (m, 2); best ordered so that neighbours share the second.
        weights: of the pairs, (m,).
        measure: one of `INFLUENCED`.
        kept: which probes are in each subset, bool (n, c); c may be 0.
        each: leave each probe out; else value and influence are NaN and nothing.
        engine: where the tasks run.
        progress: called with (tasks done, tasks in all).

    Returns:
        NaN wherever one of the scores has no value.

    """
    tasks = []
    for start in range(0, len(pairs), TASK_PAIRS):
        own = pairs[start : start + TASK_PAIRS]
        rows = {row: files[row] for row in {*own.ravel().tolist()}}
        chosen = weights[start : start + TASK_PAIRS]
        tasks.append(_Task(rows, own, chosen, measure == "debiased_cka", kept, each))
    parts = dict(run_tasks(_run, tasks, len(tasks), engine, progress))
    total = sum(parts[index] for index in sorted(parts))  # in order: the same bits each time
    found = np.asarray(total if parts else np.zeros((1 + len(kept)) * each + kept.shape[1]))
    if not each:
        return WeighedSum(np.nan, np.empty(0), found)
    n = len(kept)
    return WeighedSum(float(found[0]), found[0] - found[1 : 1 + n], found[1 + n :])
