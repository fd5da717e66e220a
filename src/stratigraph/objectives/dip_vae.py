"""DIP-VAE I and II: R + KL + λ_od Σ_{i≠j} C_ij² + λ_d Σ_i (C_ii − 1)².

- type I:  C = Cov(μ),                      λ_d = 10·λ_od;
- type II: C = Cov(μ) + E[diag(e^{lv})],    λ_d = λ_od.

E[diag(e^{lv})] is the batch mean of the *diagonal matrices* of the variances: it adds to the
diagonal of C only. Source: Kumar et al. 2018, arXiv 1711.00848.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from stratigraph.models import Posterior
from stratigraph.objectives.terms import covariance, kl_divergence
from stratigraph.shapes import Scalar

__all__ = ["DIPVAEI", "DIPVAEII"]


def _penalty(matrix: Tensor, off_diagonal: float, diagonal: float) -> Scalar:
    on = matrix.diagonal()
    off = matrix.square().sum() - on.square().sum()
    return off_diagonal * off + diagonal * (on - 1).square().sum()


@dataclass(frozen=True)
class DIPVAEI:
    """R + KL + the penalty on Cov(μ); ``lambda_d`` is 10·``lambda_od`` unless given."""

    lambda_od: float
    lambda_d: float | None = None
    strength: ClassVar[str | None] = "lambda_od"

    def same_as(self) -> dict[str, Any] | None:
        """Without a penalty, the β-VAE with β = 1."""
        free = self.lambda_od == 0 and not self.lambda_d
        return {"name": "beta_vae", "beta": 1} if free else None

    def regulariser(self, posterior: Posterior, step: int) -> Scalar:
        """KL + penalty(Cov(μ))."""
        diagonal = 10 * self.lambda_od if self.lambda_d is None else self.lambda_d
        kl = kl_divergence(posterior.mean, posterior.log_var)
        return kl + _penalty(covariance(posterior.mean), self.lambda_od, diagonal)


@dataclass(frozen=True)
class DIPVAEII:
    """R + KL + the penalty on Cov(μ) + E[diag(e^{lv})]; ``lambda_d`` is λ_od unless given."""

    lambda_od: float
    lambda_d: float | None = None
    strength: ClassVar[str | None] = "lambda_od"

    def same_as(self) -> dict[str, Any] | None:
        """Without a penalty, the β-VAE with β = 1."""
        free = self.lambda_od == 0 and not self.lambda_d
        return {"name": "beta_vae", "beta": 1} if free else None

    def regulariser(self, posterior: Posterior, step: int) -> Scalar:
        """KL + penalty(Cov(μ) + E[diag(e^{lv})])."""
        diagonal = self.lambda_od if self.lambda_d is None else self.lambda_d
        kl = kl_divergence(posterior.mean, posterior.log_var)
        spread = posterior.log_var.exp().mean(dim=0).diag()
        return kl + _penalty(covariance(posterior.mean) + spread, self.lambda_od, diagonal)
