"""KL-annealed VAE: R + βw·KL, w = min(1, step / annealing_steps) (Bowman et al. 2016).

The weight rises linearly from 0, so that the decoder learns to use the latents before the KL can
switch them off. β is 1 in the source: arXiv 1511.06349, section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stratigraph.models import Posterior
from stratigraph.objectives.parameters import STEPS, declared
from stratigraph.objectives.terms import kl_divergence
from stratigraph.shapes import Scalar

__all__ = ["KLAnnealedVAE"]


@dataclass(frozen=True)
class KLAnnealedVAE:
    """R + βw·KL, w growing linearly to 1 in ``annealing_steps`` steps."""

    annealing_steps: int = declared(STEPS)
    beta: float = 1.0
    strength: ClassVar[str | None] = "annealing_steps"

    def regulariser(self, posterior: Posterior, step: int) -> Scalar:
        """β · w(step) · KL(q(z|x) ‖ p(z))."""
        weight = min(1.0, step / self.annealing_steps)
        return self.beta * weight * kl_divergence(posterior.mean, posterior.log_var)
