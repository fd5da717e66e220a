"""The evidence lower bound: R + KL (Kingma & Welling 2014, arXiv 1312.6114)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from stratigraph.models import Posterior
from stratigraph.objectives.terms import kl_divergence
from stratigraph.shapes import Scalar

__all__ = ["PlainVAE"]


@dataclass(frozen=True)
class PlainVAE:
    """R + KL, the negative evidence lower bound."""

    strength: ClassVar[str | None] = None

    def same_as(self) -> dict[str, Any] | None:
        """The β-VAE with β = 1."""
        return {"name": "beta_vae", "beta": 1}

    def regulariser(self, posterior: Posterior, step: int) -> Scalar:
        """KL(q(z|x) ‖ p(z))."""
        return kl_divergence(posterior.mean, posterior.log_var)
