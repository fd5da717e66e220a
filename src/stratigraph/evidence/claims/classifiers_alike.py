"""Claim 11: how alike encoders and classifiers with the same trunk are, layer by layer.

The mean similarity of a VAE's encoder layer with the classifier's, less that of two VAEs of one
configuration; different seeds, last step. "Alike" is the margin of claims 3 and 4; the layers
stand in the details.
"""

from __future__ import annotations

import numpy as np

from stratigraph.evidence.claims.encoders_alike import (
    MARGIN,
    baseline,
    by_layer,
    chance,
    layer_mean,
)
from stratigraph.evidence.claims.parts import side_by_side
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.finding import Question

__all__ = ["classifiers_alike"]


def _encoders(pairs: Pairs) -> Pairs:
    return pairs.where(pairs.table["part_x"] == "encoder")


def _masks(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """A VAE with a classifier on the same data; and two VAEs of such a trunk."""
    table = pairs.table
    one, other = table["supervised_x"].astype(bool), table["supervised_y"].astype(bool)
    trunk = (table["architecture_x"] == table["architecture_y"]).to_numpy()
    apart = (table["seed_x"] != table["seed_y"]).to_numpy()
    mixed = (one ^ other).to_numpy() & trunk & apart
    known = set(zip(table["data_x"][mixed], table["architecture_x"][mixed], strict=True))
    shared = np.array(
        [key in known for key in zip(table["data_x"], table["architecture_x"], strict=True)],
        dtype=bool,
    )
    return mixed, baseline(pairs) & ~one.to_numpy() & ~other.to_numpy() & shared


def _statistic(pairs: Pairs) -> np.ndarray:
    mixed, same = _masks(pairs)
    return layer_mean(pairs, mixed) - layer_mean(pairs, same)


def classifiers_alike(evidence: Evidence) -> list[Question]:
    """One question."""
    pairs = _encoders(evidence.final[evidence.cka])
    mixed_pairs, same = _masks(pairs)
    asked = bool(mixed_pairs.any() and same.any())
    estimates = (
        side_by_side(evidence, evidence.final, _statistic, _encoders, -MARGIN) if asked else {}
    )
    details = by_layer(
        {measure: _encoders(evidence.final[measure]) for measure in estimates},
        dict.fromkeys(pairs.table["layer_x"]),
        {
            "with_classifier": lambda one: _masks(one)[0],
            "baseline": lambda one: _masks(one)[1],
        },
    )
    return [
        Question(
            "classifiers_alike",
            11,
            "Encoders and classifiers with the same trunk learn alike layers.",
            f"similarity with a classifier less across seeds, encoder layers; margin {MARGIN}",
            estimates,
            details=details,
            missing="" if asked else "The study has no classifier, or a single seed.",
            note=chance(evidence, pairs, mixed_pairs) if asked else "",
        )
    ]
