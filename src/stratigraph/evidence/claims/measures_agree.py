"""Claim 8: CKA and Procrustes lead to the same conclusions.

Spearman's rank correlation of the two measures over every pair that findings read and both scored:
each layer against its final state, and layers of two runs. Supported where it is above
`AGREEMENT`. Pooled over runs and steps, it is also of what both measures must show (the first steps
are far from the last); so the correlation within one run and step, over its layers, stands beside
it. Whether the verdicts agree is said by the findings themselves.

Source: Fisher 1915 (z = artanh r, in which the interval is taken).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy

from stratigraph.evidence.claims.parts import of_vaes
from stratigraph.evidence.contrast import Contrast, keep_replicated, runs_of
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.finding import Question

__all__ = ["AGREEMENT", "measures_agree"]

AGREEMENT = 0.8
LEAST_PAIRS = 10
FEW = 4  # layers below which a rank correlation says nothing
LEAST_SPREAD = (
    0.1  # of similarities, from the 5th to the 95th of a hundred; below, ranks order noise
)


def _both(one: Pairs, other: Pairs) -> Pairs:
    """The pairs scored by both, with the two scores as columns; NaN pairs are left out."""
    values = np.column_stack([one.values[:, 0], other.values[:, 0]])
    pairs = Pairs(one.table, values)
    moved = (one.table["run_x"] != one.table["run_y"]) | (
        one.table["step_x"] != one.table["step_y"]
    )
    changing = one.table["part_x"] != "input"
    return pairs.where(np.isfinite(values).all(axis=1) & (moved & changing).to_numpy())


def _rank(values: np.ndarray) -> float:
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(scipy.stats.spearmanr(values[:, 0], values[:, 1]).statistic)


def _contrast(every: Pairs, measures: Sequence[str]) -> Contrast:
    pairs = every.where(every.table.index.isin(keep_replicated(every.table).index))
    runs = runs_of(pairs.table)
    place = pd.Index(runs["run"])
    x, y = (place.get_indexer(pairs.table[f"run_{side}"]) for side in "xy")

    def statistic(keep: np.ndarray) -> np.ndarray:
        kept = pairs.values[keep[x] & keep[y]]
        return np.array([np.arctanh(_rank(kept)) if len(kept) >= LEAST_PAIRS else np.nan])

    return Contrast(
        runs, statistic, pairs.table, pairs.values,
        null=AGREEMENT, correlation=True, scores=tuple(measures),
    )  # fmt: skip


def _within(pairs: Pairs) -> float:
    """The mean correlation over the layers of one run (of two runs) at one step."""
    table = pairs.table
    found = []
    for _, own in table.groupby(["run_x", "run_y", "step_x"], sort=False):
        values = pairs.values[own.index]
        if len(own) >= FEW and (np.ptp(values, axis=0) > 0).all():
            found.append(_rank(values))
    return float(np.mean(found)) if found else float("nan")


def measures_agree(evidence: Evidence) -> list[Question]:
    """By both kinds of pairs."""
    questions = []
    for key, kind, what in (
        ("measures_agree", evidence.to_final, "layers against their final state"),
        ("measures_agree_across_runs", evidence.final, "layers of two runs"),
    ):
        measures = evidence.side_by_side
        contrasts: dict[str, Contrast] = {}
        within = float("nan")
        missing = "The study lacks one of the measures for these pairs."
        inexact = [m for m in measures if m in evidence.tolerances]
        if len(measures) == 2 and inexact:
            missing = (
                f"Scores of {' and '.join(inexact)} are certified to a tolerance, within which "
                "their ranks are not known."
            )
        elif len(measures) == 2:
            both = _both(of_vaes(kind[measures[0]]), of_vaes(kind[measures[1]]))
            if 0 < len(both) < LEAST_PAIRS:
                missing = (
                    f"{len(both)} of these pairs are scored by both, fewer than {LEAST_PAIRS}."
                )
            elif len(both):
                spread = np.ptp(np.quantile(both.values, (0.05, 0.95), axis=0), axis=0)
                if (spread >= LEAST_SPREAD).all():
                    contrasts = {"spearman": _contrast(both, measures)}
                    within = _within(both)
                else:
                    missing = (
                        f"These pairs score alike, to within {spread.min():.2f}: no rank to agree "
                        "on."
                    )
        questions.append(
            Question(
                key,
                8,
                f"The ranks that CKA and Procrustes give {what} correlate above {AGREEMENT}.",
                f"Spearman correlation of the two, {what}; threshold {AGREEMENT}",
                contrasts,
                details=[{"pairs": "within one run and step", "correlation": within}]
                if contrasts
                else (),
                missing="" if contrasts else missing,
                note=f"Within one run and step: {within:.2f}." if np.isfinite(within) else "",
                unit="correlations",
                one_sided=True,
            )
        )
    return questions
