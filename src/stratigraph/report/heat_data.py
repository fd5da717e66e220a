"""Layers against layers: of one configuration between two steps, and of two configurations."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stratigraph.report.data import Configuration, ReportData, Scored
from stratigraph.study import Run

__all__ = ["Between", "HeatMap", "compare_runs", "comparisons", "heat_map", "panel_steps"]

Place = tuple[str, int]  # a run at a step


@dataclass(frozen=True)
class HeatMap:
    """Layers at one step (rows) against layers at another (columns); NaN where undefined.

    ``values`` is the mean over ``pairs`` pairs of runs: of each run with itself (within), or of
    runs that differ by their seed (across). The two are never mixed.
    """

    rows: list[str]
    columns: list[str]
    values: np.ndarray
    row_step: int
    column_step: int
    pairs: int
    across_seeds: bool


def heat_map(
    scored: Scored, runs: Sequence[Run], row_step: int, column_step: int, *, across_seeds: bool
) -> HeatMap | None:
    """The mean layer × layer map between two steps; None where no pair of runs was compared."""
    pairs = [
        ((a.run_id, row_step), (b.run_id, column_step))
        for a in runs
        for b in runs
        if (a is b) != across_seeds
    ]
    # Across seeds (a, b) and (b, a) are one pair of runs.
    return _mean_map(scored, pairs, across_seeds=across_seeds, each=2 if across_seeds else 1)


def compare_runs(scored: Scored, rows: Sequence[Run], columns: Sequence[Run]) -> HeatMap | None:
    """The mean layer × layer map of runs of different seeds, last steps; None if not compared."""
    last: dict[str, int] = {}
    for run, step in scored.places:
        last[run] = max(step, last.get(run, step))
    pairs = [
        ((a.run_id, last[a.run_id]), (b.run_id, last[b.run_id]))
        for a, b in itertools.product(rows, columns)
        if a.config.seed != b.config.seed and a.run_id in last and b.run_id in last
    ]
    return _mean_map(scored, pairs, across_seeds=True)


def _mean_map(
    scored: Scored, pairs: Sequence[tuple[Place, Place]], *, across_seeds: bool, each: int = 1
) -> HeatMap | None:
    """The mean over pairs of a run at a step, of which ``each`` are one pair of runs."""
    known = [(x, y) for x, y in pairs if x in scored.places and y in scored.places]
    if not known:
        return None
    blocks = [(scored.places[x], scored.places[y]) for x, y in known]
    stack = np.stack([scored.values[np.ix_(i, j)] for i, j in blocks])
    finite = np.isfinite(stack)
    if not finite.any():
        return None
    seen = finite.sum(axis=0)
    mean = np.where(seen > 0, np.nansum(stack, axis=0) / np.maximum(seen, 1), np.nan)
    rows, columns = (scored.layers[place].tolist() for place in blocks[0])
    (_, row_step), (_, column_step) = known[0]
    return HeatMap(rows, columns, mean, row_step, column_step, len(known) // each, across_seeds)


def panel_steps(runs: tuple[Run, ...]) -> list[int]:
    """The first, a middle and the last step that the runs share."""
    shared = sorted(set.intersection(*(set(run.steps) for run in runs)))
    if len(shared) <= 3:
        return shared
    return [shared[0], shared[len(shared) // 2], shared[-1]]


@dataclass(frozen=True)
class Between:
    """Layers of some runs at their last step against layers of others, and what they differ in."""

    title: str
    heat: HeatMap


KINDS = ("strengths", "objectives", "architectures", "classifier")


def comparisons(data: ReportData, scored: Scored, kinds: Sequence[str] = KINDS) -> list[Between]:
    """Maps between strengths, objectives, architectures, and VAE and classifier.

    Of each kind the pairs are few: the weakest and the strongest of each objective; the strongest
    of two objectives; the first of two architectures. Sets of data are not compared with each
    other, since no probe is shown to networks of both.
    """
    every = data.configurations
    vaes = [c for c in every if not c.first.config.supervised]
    pairs: list[tuple[str, Configuration, Configuration]] = []
    by_objective: dict[tuple[str, str, str], list[Configuration]] = {}
    for c in vaes:
        by_objective.setdefault((c.objective, c.data, c.architecture), []).append(c)
    ends = {
        key: sorted(group, key=lambda c: -1.0 if c.strength is None else c.strength)
        for key, group in by_objective.items()
    }
    for ordered in ends.values():
        if len(ordered) > 1:
            pairs.append(("strengths", ordered[0], ordered[-1]))
    for (one, a), (other, b) in itertools.combinations(ends.items(), 2):
        if one[0] != other[0] and one[1:] == other[1:]:
            pairs.append(("objectives", a[-1], b[-1]))
        if one[0] == other[0] and one[1] == other[1]:
            pairs.append(("architectures", a[0], b[0]))
    for c in every:
        if c.first.config.supervised:
            same = [v for v in vaes if v.data == c.data
                    and v.architecture == c.architecture]  # fmt: skip
            pairs += [("classifier", v, c) for v in same[:1]]
    found = []
    for kind, rows, columns in (pair for pair in pairs if pair[0] in kinds):
        heat = compare_runs(scored, rows.runs, columns.runs)
        if heat is not None:
            found.append(Between(f"{kind}: {rows.label} (rows), {columns.label} (columns)", heat))
    return found
