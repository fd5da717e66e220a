"""The evidence lower bound: R + KL (Kingma & Welling 2014, arXiv 1312.6114)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stratigraph.models import Posterior
from stratigraph.objectives.terms import kl_divergence
from stratigraph.shapes import Scalar

__all__ = ["PlainVAE"]


@dataclass(frozen=True)
class PlainVAE:
    """R + KL, the negative evidence lower bound."""

    strength: ClassVar[str | None] = None

    def regulariser(self, posterior: Posterior, step: int) -> Scalar:
        """KL(q(z|x) ‖ p(z))."""
        return kl_divergence(posterior.mean, posterior.log_var)
