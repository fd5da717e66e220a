"""Claim 5: mean and variance, hence the sample, are the exception to claims 3 and 4.

What similarity drops from the baseline (two seeds of one configuration) to pairs that differ in
strength or objective, in the latents less in the encoder's layers; positive where the latents give
way more. Within each data set and architecture, runs of different seeds. The sample is left out:
runs are read with one noise, which alone makes the samples of collapsed latents alike.
"""

from __future__ import annotations

import numpy as np

from stratigraph.evidence.claims.encoders_alike import (
    across,
    baseline,
    by_layer,
    layer_mean,
    over_groups,
)
from stratigraph.evidence.claims.parts import LATENTS, of_vaes, side_by_side
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.finding import Question

__all__ = ["latents_exception"]

LEAST = 0.05


def _elsewhere(pairs: Pairs) -> np.ndarray:
    return across(pairs, "strength") | across(pairs, "objective")


def _statistic(pairs: Pairs) -> np.ndarray:
    other = _elsewhere(pairs)
    same = baseline(pairs)
    latent = pairs.table["layer_x"].isin(LATENTS).to_numpy()
    encoder = (pairs.table["part_x"] == "encoder").to_numpy()

    def difference(group: np.ndarray) -> np.ndarray:
        drops = [
            layer_mean(pairs, same & part & group) - layer_mean(pairs, other & part & group)
            for part in (latent, encoder)
        ]
        return drops[0] - drops[1]

    return over_groups(pairs, "but_objective", difference)


def latents_exception(evidence: Evidence) -> list[Question]:
    """One question."""
    pairs = of_vaes(evidence.final[evidence.cka])
    asked = bool(baseline(pairs).any() and _elsewhere(pairs).any())
    estimates = side_by_side(evidence, evidence.final, _statistic) if asked else {}
    details = by_layer(
        {measure: of_vaes(evidence.final[measure]) for measure in estimates},
        [z for z in (*LATENTS, "z_sample") if (pairs.table["layer_x"] == z).any()],
        {"across": _elsewhere, "baseline": baseline},
    )
    return [
        Question(
            "latents_exception",
            5,
            "Mean and variance differ across strengths and objectives more than the encoder's "
            "layers do.",
            "drop of similarity from across seeds to across configurations, latents less encoder",
            estimates,
            LEAST,
            details,
            missing="" if asked else "The study has no two configurations, or a single seed.",
        )
    ]
