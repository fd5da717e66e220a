"""β-VAE: R + β·KL (Higgins et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stratigraph.models import Posterior
from stratigraph.objectives.terms import kl_divergence
from stratigraph.shapes import Scalar

__all__ = ["BetaVAE"]


@dataclass(frozen=True)
class BetaVAE:
    """R + β·KL."""

    beta: float
    strength: ClassVar[str | None] = "beta"

    def regulariser(self, posterior: Posterior, step: int) -> Scalar:
        """β · KL(q(z|x) ‖ p(z))."""
        return self.beta * kl_divergence(posterior.mean, posterior.log_var)
