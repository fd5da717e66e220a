"""Claim 8: CKA and Procrustes lead to the same conclusions.

Spearman's rank correlation of the two measures over every pair that findings read and both scored:
each layer against its final state, and layers of two runs. Supported where it is above `AGREEMENT`
beyond chance. Whether the verdicts agree is said by the findings themselves.
"""

from __future__ import annotations

import numpy as np
import scipy

from stratigraph.evidence.claims.parts import of_vaes
from stratigraph.evidence.estimate import estimate
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.finding import Question

__all__ = ["AGREEMENT", "measures_agree"]

AGREEMENT = 0.8
LEAST_PAIRS = 10
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


def _statistic(pairs: Pairs) -> np.ndarray:
    if len(pairs) < LEAST_PAIRS:
        return np.array([np.nan])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.array([scipy.stats.spearmanr(pairs.values[:, 0], pairs.values[:, 1]).statistic])


def measures_agree(evidence: Evidence) -> list[Question]:
    """By both kinds of pairs."""
    questions = []
    for key, kind, what in (
        ("measures_agree", evidence.to_final, "layers against their final state"),
        ("measures_agree_across_runs", evidence.final, "layers of two runs"),
    ):
        measures = evidence.side_by_side
        estimates = {}
        missing = "The study lacks one of the measures for these pairs."
        inexact = [m for m in measures if m in evidence.tolerances]
        if len(measures) == 2 and inexact:
            missing = (
                f"Scores of {' and '.join(inexact)} are certified to a tolerance, within which "
                "their ranks are not known."
            )
        elif len(measures) == 2:
            both = _both(of_vaes(kind[measures[0]]), of_vaes(kind[measures[1]]))
            if len(both) >= LEAST_PAIRS:
                spread = np.ptp(np.quantile(both.values, (0.05, 0.95), axis=0), axis=0)
                if (spread >= LEAST_SPREAD).all():
                    estimates = {"spearman": estimate(both, _statistic, AGREEMENT)}
                else:
                    missing = (
                        f"These pairs score alike, to within {spread.min():.2f}: no rank to agree "
                        "on."
                    )
        questions.append(
            Question(
                key,
                8,
                f"CKA and Procrustes rank {what} alike.",
                f"Spearman correlation of the two, {what}; threshold {AGREEMENT}",
                estimates,
                missing="" if estimates else missing,
                unit="correlations",
            )
        )
    return questions
