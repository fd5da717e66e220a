"""Claim 10: the results are stable across seeds.

For two seeds of one configuration, Pearson's correlation of their whole tables of similarity to
the final state (layer × step, the last step and the input left out); averaged over pairs and
configurations. Supported where it is above `STABLE` beyond chance.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from stratigraph.evidence.claims.parts import of_vaes, side_by_side
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.finding import Question

__all__ = ["STABLE", "stable_across_seeds"]

STABLE = 0.9


def _moving(pairs: Pairs) -> Pairs:
    vaes = of_vaes(pairs)
    table = vaes.table
    return vaes.where((table["step_x"] != table["step_y"]) & (table["part_x"] != "input"))


def _correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each column of two arrays, over the rows that both define."""
    known = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
    a, b = a[known] - a[known].mean(axis=0), b[known] - b[known].mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (a * b).sum(axis=0) / np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))


def _statistic(pairs: Pairs) -> np.ndarray:
    found = []
    table = pairs.table
    for _, group in table.groupby("config_x", sort=False):
        keys = pd.MultiIndex.from_frame(group[["layer_x", "step_x"]])
        every = keys.unique()
        curves = []
        for _, own in group.groupby("seed_x", sort=True):
            values = np.full((len(every), pairs.values.shape[1]), np.nan)
            place = every.get_indexer(pd.MultiIndex.from_frame(own[["layer_x", "step_x"]]))
            values[place] = pairs.values[own.index]
            curves.append(values)
        found += [_correlations(a, b) for a, b in itertools.combinations(curves, 2)]
    known = [one for one in found if np.isfinite(one[0])]
    return np.mean(known, axis=0) if known else np.full(pairs.values.shape[1], np.nan)


def stable_across_seeds(evidence: Evidence) -> list[Question]:
    """One question."""
    pairs = _moving(evidence.to_final[evidence.cka])
    asked = bool(pairs.table.groupby("config_x")["seed_x"].nunique().gt(1).any())
    return [
        Question(
            "stable_across_seeds",
            10,
            "How layers approach their final state is stable across seeds.",
            f"correlation of two seeds' similarities to the final state; threshold {STABLE}",
            side_by_side(evidence, evidence.to_final, _statistic, _moving, STABLE) if asked else {},
            missing="" if asked else "Every configuration has a single seed.",
            unit="correlations",
        )
    ]
