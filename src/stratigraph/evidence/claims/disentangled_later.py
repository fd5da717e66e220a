"""Claim 17: disentanglement is reached after the mean layer has settled.

The area of the mean's progress towards its final state less that of the score's progress towards
its final value (`stratigraph.evidence.claims.course`), in each run: positive where the geometry of
the mean is there before its axes tell the factors apart. CKA and Procrustes similarity do not see
rotations, and a score sees little else.

MIG decides; the other scores of several steps stand in the details.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stratigraph.evidence.claims.course import (
    DECIDES,
    is_mean,
    score_areas,
    scores_over_training,
    why_none,
)
from stratigraph.evidence.claims.encoder_first import LEAST_GAP
from stratigraph.evidence.claims.numbers import Numbers, area, within_runs
from stratigraph.evidence.claims.parts import of_vaes
from stratigraph.evidence.contrast import Contrast
from stratigraph.evidence.evidence import Evidence
from stratigraph.evidence.finding import Question

__all__ = ["disentangled_later"]

STILL = "No run moved its mean and gained in the score, with a snapshot of the untrained network."


def _contrast(evidence: Evidence, measure: str, score: str) -> Contrast | None:
    mean = area(of_vaes(evidence.to_final[measure]), is_mean, "progress")
    both = within_runs(Numbers(mean.table, mean.values[:, :1]), score_areas(evidence, score))
    return both if both is not None and np.isfinite(both.values).any() else None


def disentangled_later(evidence: Evidence) -> list[Question]:
    """One question."""
    missing = why_none(evidence)
    found: dict[str, Contrast] = {}
    details: list[dict[str, Any]] = []
    for measure in () if missing else evidence.side_by_side:
        one = _contrast(evidence, measure, DECIDES)
        if one is not None:
            found[measure] = one
        for score in scores_over_training(evidence):
            own = _contrast(evidence, measure, score)
            if own is not None:
                whole = own.statistic(np.ones(len(own.runs), dtype=bool))
                details.append(
                    {"measure": measure, "score": score, "gap": float(whole[0]),
                     "runs": len(own.runs)}
                )  # fmt: skip
    return [
        Question(
            "disentangled_later",
            17,
            "Disentanglement is reached after the mean layer has settled.",
            "area of the mean's progress less that of the MIG's",
            found,
            LEAST_GAP,
            details if found else [],
            missing or ("" if found else STILL),
            unit="progress",
        )
    ]
