"""Claim 10: the results are stable across seeds.

For two replicates of one configuration, Pearson's correlation of their whole tables of similarity
to the final state (layer × step, the last step and the input left out); z = artanh r is averaged
over pairs, then over configurations. Supported where r is above `STABLE`. Tables of two
configurations correlate too, since every network begins near its final state and ends in it: what
pairs across configurations of one data set and architecture score stands beside it.

Source: Fisher 1915 (z).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pandas as pd

from stratigraph.evidence.claims.parts import of_vaes, side_by_side
from stratigraph.evidence.contrast import Contrast, weigh
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.finding import Question

__all__ = ["STABLE", "stable_across_seeds"]

STABLE = 0.9
SIDES = ("run", "config", "stream")


def _moving(pairs: Pairs) -> Pairs:
    vaes = of_vaes(pairs)
    table = vaes.table
    return vaes.where((table["step_x"] != table["step_y"]) & (table["part_x"] != "input"))


def _correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Artanh of Pearson's correlation of each column, over the rows that both define."""
    known = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
    if not known.any():
        return np.full(a.shape[1], np.nan)
    a, b = a[known] - a[known].mean(axis=0), b[known] - b[known].mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (a * b).sum(axis=0) / np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
        return np.asarray(np.arctanh(np.clip(r, -1, 1)))


def _tables(pairs: Pairs) -> tuple[pd.DataFrame, np.ndarray]:
    """One row a run, with its labels; and their tables (runs, layers × steps, 1 + g)."""
    table = pairs.table
    run, names = pd.factorize(table["run_x"])
    place, keys = pd.factorize(pd.MultiIndex.from_frame(table[["layer_x", "step_x"]]))
    found = np.full((len(names), len(keys), pairs.values.shape[1]), np.nan)
    found[run, place] = pairs.values
    return table.drop_duplicates("run_x").reset_index(drop=True), found


def _correlate(
    runs: pd.DataFrame, tables: np.ndarray, couples: Iterable[tuple[int, int]]
) -> tuple[pd.DataFrame, np.ndarray]:
    """A row a couple of runs, and z of their tables (m, 1 + g)."""
    chosen = np.array(list(couples), dtype=int).reshape(-1, 2)
    labels = [
        runs[[f"{name}_x" for name in SIDES]].iloc[chosen[:, side]].reset_index(drop=True)
        for side in (0, 1)
    ]
    other = labels[1].set_axis([f"{name}_y" for name in SIDES], axis=1)
    values = [_correlations(tables[i], tables[j]) for i, j in chosen]
    rows = pd.concat([labels[0], other], axis=1)
    return rows, np.array(values).reshape(len(chosen), tables.shape[2])


def _contrast(pairs: Pairs) -> Contrast | None:
    runs, tables = _tables(pairs)
    config = runs["config_x"].to_numpy()
    couples = ((i, j) for i, j in itertools.combinations(range(len(runs)), 2)
               if config[i] == config[j])  # fmt: skip
    rows, values = _correlate(runs, tables, couples)
    layers = tuple(dict.fromkeys(pairs.table["layer_x"]))
    rows = rows.assign(group="", side="pair", layers=pd.Series([layers] * len(rows), dtype=object))
    return weigh(rows, values, {"pair": 1.0}, replicates=3, null=STABLE, correlation=True)


def _across_configurations(pairs: Pairs) -> float:
    """The same of runs of two configurations of one data set and architecture."""
    runs, tables = _tables(pairs)
    couples: list[tuple[int, int]] = []
    for _, own in runs.groupby(["data_x", "architecture_x"], sort=False):
        # The first run of each configuration: some correlations of many, all alike.
        couples += itertools.combinations(own.drop_duplicates("config_x").index, 2)
    found = _correlate(runs, tables[:, :, :1], couples)[1]
    found = found[np.isfinite(found)]
    return float(np.tanh(found.mean())) if len(found) else float("nan")


def stable_across_seeds(evidence: Evidence) -> list[Question]:
    """One question."""
    pairs = _moving(evidence.to_final[evidence.cka])
    asked = bool(pairs.table.groupby("config_x")["run_x"].nunique().gt(1).any())
    other = _across_configurations(pairs) if asked else float("nan")
    return [
        Question(
            "stable_across_seeds",
            10,
            f"Two seeds' courses of similarity to the final state correlate above {STABLE}.",
            f"correlation of two seeds' similarities to the final state; threshold {STABLE}",
            side_by_side(evidence, evidence.to_final, _contrast, _moving) if asked else {},
            details=[{"pairs": "another configuration's", "correlation": other}] if asked else (),
            missing="" if asked else "Every configuration has a single replicate.",
            note=f"Another configuration's correlates {other:.2f}." if np.isfinite(other) else "",
            unit="correlations",
            one_sided=True,
        )
    ]
