"""β-TC-VAE: R + KL + (β − 1)·TC (Chen et al. 2018, arXiv 1802.04942).

At β = 1 it is the VAE. It is *not* the β-VAE elsewhere: of the three parts of the KL (mutual
information, total correlation, dimension-wise KL) only the second is weighted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from stratigraph.models import Posterior
from stratigraph.objectives.terms import kl_divergence, total_correlation
from stratigraph.shapes import Scalar

__all__ = ["BetaTCVAE"]


@dataclass(frozen=True)
class BetaTCVAE:
    """R + KL + (β − 1)·TC."""

    beta: float
    strength: ClassVar[str | None] = "beta"
    pairwise: ClassVar[bool] = True  # it needs the density of each sample under each posterior

    def same_as(self) -> dict[str, Any] | None:
        """At β = 1, the β-VAE with β = 1."""
        return {"name": "beta_vae", "beta": 1} if self.beta == 1 else None

    def regulariser(self, posterior: Posterior, step: int) -> Scalar:
        """KL + (β − 1) · TC."""
        kl = kl_divergence(posterior.mean, posterior.log_var)
        return kl + (self.beta - 1) * total_correlation(posterior)
