r"""InfoVAE and MMD-VAE: R + (1 − α)·KL + (α + λ − 1)·MMD²(q(z), p(z)).

Of the divergences between the aggregate posterior q(z) = E_i q(z|x_i) and the prior, this is the
squared maximum mean discrepancy with the kernel k(z, z') = e^{−‖z − z'‖² / h}:

    MMD² = E k(z, z') − 2 E k(z, y) + E k(y, y'),    z, z' ~ q(z) and y, y' ~ N(0, I) independent.

The first term is the mean over the pairs of *different* samples of the batch (the U-statistic). The
others need no draws from the prior, for which the source takes as many as there are images: with d
latents,

    E_y k(z, y) = (h / (h + 2))^{d/2} e^{−‖z‖² / (h + 2)},    E k(y, y') = (h / (h + 4))^{d/2}.

So the estimate is unbiased, with no noise of its own, and can be negative. The bandwidth h is d²
unless given: the kernel of the source's code, e^{−mean_l (z_l − z'_l)² / d}.

At α = 0, λ = 1 it is the VAE, at λ = 1 − α the β-VAE with β = λ, and at α = 1 it has no KL: the
MMD-VAE, R + λ·MMD². Since q(z|x) is then held by nothing but its sample, its variance falls.

Source: Zhao, Song & Ermon 2017, arXiv 1706.02262, equation 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from stratigraph.errors import ConfigError
from stratigraph.models import Posterior
from stratigraph.objectives.parameters import Number, declared
from stratigraph.objectives.terms import kl_divergence
from stratigraph.shapes import Latents, Scalar

__all__ = ["MMDVAE", "InfoVAE", "discrepancy"]

BANDWIDTH = Number(1e-12, what="finite number")


def discrepancy(sample: Latents, bandwidth: float | None = None) -> Scalar:
    """MMD² of the distribution of samples (b, z) from N(0, I), unbiased.

    A single sample, where a data set has one held-out image, has only itself for a pair.
    """
    count, latents = sample.shape
    h = float(latents**2) if bandwidth is None else bandwidth
    distances = (sample[:, None] - sample[None]).square().sum(dim=2)
    alike = (-distances / h).exp()
    # The diagonal is 1 whatever the samples are.
    among = (alike.sum() - count) / (count * (count - 1)) if count > 1 else alike.sum()
    towards = (-sample.square().sum(dim=1) / (h + 2)).exp().mean() * (h / (h + 2)) ** (latents / 2)
    return among - 2 * towards + (h / (h + 4)) ** (latents / 2)


@dataclass(frozen=True)
class InfoVAE:
    """R + (1 − α)·KL + (α + λ − 1)·MMD², with ``lambda_mmd`` = λ ≥ 1 − α."""

    lambda_mmd: float
    alpha: float = declared(Number(0, 1), 0.0)
    bandwidth: float | None = declared(BANDWIDTH, None)
    strength: ClassVar[str | None] = "lambda_mmd"

    def same_as(self) -> dict[str, Any] | None:
        """Without MMD², the β-VAE with β = 1 − α; without KL, the MMD-VAE."""
        if self.alpha + self.lambda_mmd - 1 == 0:
            return {"name": "beta_vae", "beta": self.lambda_mmd}
        if self.alpha == 1:
            kernel = {} if self.bandwidth is None else {"bandwidth": self.bandwidth}
            return {"name": "mmd_vae", "lambda_mmd": self.lambda_mmd, **kernel}
        return None

    def __post_init__(self) -> None:
        if self.alpha + self.lambda_mmd < 1:
            raise ConfigError(
                f"objective info_vae: lambda_mmd: expected a number ≥ 1 − alpha = "
                f"{1 - self.alpha:g}, got {self.lambda_mmd:g}: a smaller one would drive the "
                "latents away from the prior."
            )

    def regulariser(self, posterior: Posterior, step: int) -> Scalar:
        """(1 − α)·KL + (α + λ − 1)·MMD²."""
        kl = kl_divergence(posterior.mean, posterior.log_var)
        weight = self.alpha + self.lambda_mmd - 1
        return (1 - self.alpha) * kl + weight * discrepancy(posterior.sample, self.bandwidth)


@dataclass(frozen=True)
class MMDVAE:
    """R + λ·MMD²: the InfoVAE with α = 1."""

    lambda_mmd: float
    bandwidth: float | None = declared(BANDWIDTH, None)
    strength: ClassVar[str | None] = "lambda_mmd"

    def same_as(self) -> dict[str, Any] | None:
        """At λ = 0, the β-VAE with β = 0."""
        return {"name": "beta_vae", "beta": 0} if self.lambda_mmd == 0 else None

    def regulariser(self, posterior: Posterior, step: int) -> Scalar:
        """λ·MMD²."""
        return self.lambda_mmd * discrepancy(posterior.sample, self.bandwidth)
