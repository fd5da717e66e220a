"""Claim 5: mean and variance, hence the sample, are the exception to claims 3 and 4.

What similarity drops from the baseline (two runs of one configuration) to pairs that differ in
strength or objective, in the latents less in the encoder's layers; positive where the latents give
way more. Within each data set and architecture, runs that share no random streams. The sample is
left out: runs are read with one noise, which alone makes the samples of collapsed latents alike.
"""

from __future__ import annotations

import numpy as np

from stratigraph.evidence.claims.encoders_alike import by_layer
from stratigraph.evidence.claims.parts import (
    LATENTS,
    across,
    baseline,
    of_vaes,
    pairs_of_runs,
    side_by_side,
)
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.finding import Question

__all__ = ["latents_exception"]

LEAST = 0.05


def _elsewhere(pairs: Pairs) -> np.ndarray:
    return across(pairs, "strength") | across(pairs, "objective")


def _latent(pairs: Pairs) -> np.ndarray:
    return pairs.table["layer_x"].isin(LATENTS).to_numpy()


def _encoder(pairs: Pairs) -> np.ndarray:
    return (pairs.table["part_x"] == "encoder").to_numpy()


CONTRAST = pairs_of_runs(
    {
        "latents, baseline": (1.0, lambda pairs: baseline(pairs) & _latent(pairs)),
        "latents, across": (-1.0, lambda pairs: _elsewhere(pairs) & _latent(pairs)),
        "encoder, baseline": (-1.0, lambda pairs: baseline(pairs) & _encoder(pairs)),
        "encoder, across": (1.0, lambda pairs: _elsewhere(pairs) & _encoder(pairs)),
    },
    ["but_objective"],
)


def latents_exception(evidence: Evidence) -> list[Question]:
    """One question."""
    pairs = of_vaes(evidence.final[evidence.cka])
    asked = bool(baseline(pairs).any() and _elsewhere(pairs).any())
    found = side_by_side(evidence, evidence.final, CONTRAST) if asked else {}
    details = by_layer(
        {measure: of_vaes(evidence.final[measure]) for measure in found},
        [z for z in (*LATENTS, "z_sample") if (pairs.table["layer_x"] == z).any()],
        {"across": _elsewhere, "baseline": baseline},
    )
    return [
        Question(
            "latents_exception",
            5,
            "Mean and variance differ across strengths and objectives more than the encoder's "
            "layers do.",
            "similarity lost from replicates to other configurations, latents less encoder",
            found,
            LEAST,
            details,
            missing="" if asked else "The study has no two configurations, or a single replicate.",
            family="primary",
        )
    ]
