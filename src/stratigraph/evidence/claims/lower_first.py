"""Claim 14: inside the encoder, the lower layers settle first.

The area under the curve of similarity to the final state (`stratigraph.evidence.settling`) of the
lower half of the encoder's layers less the upper half's (a middle layer is in neither), raw and as
progress above the untrained network.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from stratigraph.evidence.claims.encoder_first import (
    LEAST_GAP,
    VERSIONS,
    without_parts,
    without_untrained,
)
from stratigraph.evidence.claims.parts import encoder, settling, side_by_side
from stratigraph.evidence.evidence import Evidence
from stratigraph.evidence.finding import Question

__all__ = ["lower_first"]


def _depth(rows: pd.DataFrame) -> np.ndarray:
    """The place of each encoder layer in its run's encoder, from 0 to 1; NaN for other layers."""
    inside = encoder(rows)
    place = np.full(len(rows), np.nan)
    # Rows of a run stand in the order of the network.
    own = rows[inside].groupby("run_x", sort=False)
    count = own["layer_x"].transform("size").to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        place[inside] = own.cumcount().to_numpy() / (count - 1)
    return place


def _lower(rows: pd.DataFrame) -> np.ndarray:
    return _depth(rows) < 0.5


def _upper(rows: pd.DataFrame) -> np.ndarray:
    return _depth(rows) > 0.5


def lower_first(evidence: Evidence) -> list[Question]:
    """The raw version, and progress."""
    questions = []
    for version, kind, what in VERSIONS:
        questions.append(
            Question(
                f"lower_first{version}",
                14,
                f"Inside the encoder the lower layers settle first{what}.",
                f"area of {kind}, lower half of the encoder less the upper half",
                side_by_side(evidence, evidence.to_final, settling(kind, _lower, _upper)),
                LEAST_GAP,
                missing=without_parts(evidence) or (without_untrained(evidence) if version else ""),
                unit="progress" if version else "scores",
            )
        )
    return questions
