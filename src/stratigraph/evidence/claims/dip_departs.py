"""Claim 7: DIP-VAE II departs from the KL-weighted objectives in the latents.

The mean similarity of the latents (mean and log-variance; not the sample, whose noise runs share)
of two objectives that weigh the KL term, less that of DIP-VAE II with one of them; within each data
set and architecture, last step, different seeds.
"""

from __future__ import annotations

import numpy as np

from stratigraph.evidence.claims.encoders_alike import across, layer_mean, over_groups
from stratigraph.evidence.claims.parts import LATENTS, of_vaes, side_by_side
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.finding import Question

__all__ = ["dip_departs"]

LEAST = 0.05
WEIGHTED = ("beta_vae", "annealed_vae", "beta_tc_vae")
DIP = "dip_vae_ii"


def _masks(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    one, other = pairs.table["objective_x"], pairs.table["objective_y"]
    latent = pairs.table["layer_x"].isin(LATENTS).to_numpy()
    apart = across(pairs, "objective") & latent
    weighted = (one.isin(WEIGHTED) & other.isin(WEIGHTED)).to_numpy()
    dip = ((one == DIP) & other.isin(WEIGHTED) | (other == DIP) & one.isin(WEIGHTED)).to_numpy()
    return apart & weighted, apart & dip


def _statistic(pairs: Pairs) -> np.ndarray:
    weighted, dip = _masks(pairs)
    return over_groups(
        pairs,
        "but_objective",
        lambda group: layer_mean(pairs, weighted & group) - layer_mean(pairs, dip & group),
    )


def dip_departs(evidence: Evidence) -> list[Question]:
    """One question."""
    weighted, dip = _masks(of_vaes(evidence.final[evidence.cka]))
    asked = bool(weighted.any() and dip.any())
    return [
        Question(
            "dip_departs",
            7,
            "DIP-VAE II departs from the objectives that weigh the KL term in the latents.",
            "similarity of latents among KL-weighted objectives less that with DIP-VAE II",
            side_by_side(evidence, evidence.final, _statistic) if asked else {},
            LEAST,
            missing=""
            if asked
            else "The study lacks DIP-VAE II, two KL-weighted objectives, or a second seed.",
        )
    ]
