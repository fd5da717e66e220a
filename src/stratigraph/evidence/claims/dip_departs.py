"""Claim 7: DIP-VAE II departs from the KL-weighted objectives in the latents.

The mean similarity of the latents (mean and log-variance; not the sample, whose noise runs share)
of two objectives that weigh the KL term, less that of DIP-VAE II with one of them; within each data
set and architecture, last step, runs that share no random streams.
"""

from __future__ import annotations

import numpy as np

from stratigraph.evidence.claims.parts import (
    LATENTS,
    across,
    of_vaes,
    pairs_of_runs,
    side_by_side,
)
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.finding import Question

__all__ = ["dip_departs"]

LEAST = 0.05
WEIGHTED = ("beta_vae", "annealed_vae", "beta_tc_vae")
DIP = "dip_vae_ii"


def _latents(pairs: Pairs) -> np.ndarray:
    latent = pairs.table["layer_x"].isin(LATENTS).to_numpy()
    return across(pairs, "objective") & latent


def _weighted(pairs: Pairs) -> np.ndarray:
    one, other = pairs.table["objective_x"], pairs.table["objective_y"]
    return _latents(pairs) & (one.isin(WEIGHTED) & other.isin(WEIGHTED)).to_numpy()


def _dip(pairs: Pairs) -> np.ndarray:
    one, other = pairs.table["objective_x"], pairs.table["objective_y"]
    mixed = (one == DIP) & other.isin(WEIGHTED) | (other == DIP) & one.isin(WEIGHTED)
    return _latents(pairs) & mixed.to_numpy()


CONTRAST = pairs_of_runs({"weighted": (1.0, _weighted), "dip": (-1.0, _dip)}, ["but_objective"])


def dip_departs(evidence: Evidence) -> list[Question]:
    """One question."""
    pairs = of_vaes(evidence.final[evidence.cka])
    asked = bool(_weighted(pairs).any() and _dip(pairs).any())
    return [
        Question(
            "dip_departs",
            7,
            "DIP-VAE II departs from the objectives that weigh the KL term in the latents.",
            "similarity of latents among KL-weighted objectives less that with DIP-VAE II",
            side_by_side(evidence, evidence.final, CONTRAST) if asked else {},
            LEAST,
            missing=""
            if asked
            else "The study lacks DIP-VAE II, two KL-weighted objectives, or a second replicate.",
        )
    ]
