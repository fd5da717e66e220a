"""Claim 11: how alike encoders and classifiers with the same trunk are, layer by layer.

The mean similarity of a VAE's encoder layer with the classifier's, less that of two VAEs of one
configuration; runs that share no random streams, last step. "Alike" is the margin of claims 3 and
4; the layers stand in the details.
"""

from __future__ import annotations

import numpy as np

from stratigraph.evidence.claims.encoders_alike import MARGIN, by_layer, chance
from stratigraph.evidence.claims.parts import (
    apart,
    baseline,
    pairs_of_runs,
    same,
    side_by_side,
)
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.finding import Question

__all__ = ["classifiers_alike"]

TRUNK = ["data", "architecture"]


def _encoders(pairs: Pairs) -> Pairs:
    return pairs.where(pairs.table["part_x"] == "encoder")


def _mixed(pairs: Pairs) -> np.ndarray:
    """A VAE with a classifier of its trunk."""
    one, other = (pairs.table[f"supervised{side}"].astype(bool) for side in ("_x", "_y"))
    return (one ^ other).to_numpy() & same(pairs, *TRUNK) & apart(pairs)


def _vaes(pairs: Pairs) -> np.ndarray:
    """Two VAEs of one configuration."""
    return baseline(pairs) & ~pairs.table["supervised_x"].astype(bool).to_numpy()


CONTRAST = pairs_of_runs(
    {"with_classifier": (1.0, _mixed), "baseline": (-1.0, _vaes)}, TRUNK, null=-MARGIN
)


def classifiers_alike(evidence: Evidence) -> list[Question]:
    """One question."""
    pairs = _encoders(evidence.final[evidence.cka])
    asked = bool(_mixed(pairs).any() and _vaes(pairs).any())
    found = side_by_side(evidence, evidence.final, CONTRAST, _encoders) if asked else {}
    details = by_layer(
        {measure: _encoders(evidence.final[measure]) for measure in found},
        dict.fromkeys(pairs.table["layer_x"]),
        {"with_classifier": _mixed, "baseline": _vaes},
    )
    return [
        Question(
            "classifiers_alike",
            11,
            "Encoders and classifiers with the same trunk learn alike layers.",
            f"similarity with a classifier less across replicates, encoder layers; margin {MARGIN}",
            found,
            details=details,
            missing="" if asked else "The study has no classifier, or a single replicate.",
            note=chance(evidence, pairs, _mixed(pairs)) if asked else "",
            one_sided=True,
        )
    ]
