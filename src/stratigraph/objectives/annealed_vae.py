"""Annealed (capacity) VAE: R + γ·|KL − C|, C = min(c_max, c_max·step / annealing_steps).

The absolute value is of the batch-mean KL, not a mean of absolute values.
Source: Burgess et al. 2018, arXiv 1804.03599.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from stratigraph.models import Posterior
from stratigraph.objectives.parameters import STEPS, declared
from stratigraph.objectives.terms import kl_divergence
from stratigraph.shapes import Scalar

__all__ = ["AnnealedVAE"]


@dataclass(frozen=True)
class AnnealedVAE:
    """R + γ·|KL − C|, with a capacity C that grows linearly to c_max nats."""

    c_max: float
    gamma: float = 1000.0
    annealing_steps: int = declared(STEPS, 100_000)
    strength: ClassVar[str | None] = "c_max"

    def same_as(self) -> dict[str, Any] | None:
        """At γ = 0, the β-VAE with β = 0."""
        return {"name": "beta_vae", "beta": 0} if self.gamma == 0 else None

    def capacity(self, step: int) -> float:
        """C at a step, in nats."""
        return min(self.c_max, self.c_max * step / self.annealing_steps)

    def regulariser(self, posterior: Posterior, step: int) -> Scalar:
        """γ · |KL − C|."""
        kl = kl_divergence(posterior.mean, posterior.log_var)
        return self.gamma * (kl - self.capacity(step)).abs()
