r"""σ-VAE: R_σ + KL, the scale of the decoder's Gaussian learned or set to its best value.

With one σ for all D pixels, and MSE the mean square error of the batch,

    R_σ = −E_i log N(x_i; output, σ² I) = D · [½ log 2π + log σ + ½ MSE / σ²],

so 1/σ² weighs the reconstruction against the KL as 1/β does in a β-VAE, without a strength to tune.

``learned``
    log σ is one weight, trained with the network by the run's Adam from σ = 1 on; at a learning
    rate η it moves by about η a step, so short trainings at small rates stop short of its best.
``optimal``
    σ² = MSE of each batch, the value of σ at which R_σ is least: R_σ = ½ D (1 + log 2π + log MSE).

As in the source, log σ is held above −6 by a soft clip, c(s) = −6 + log(1 + e^{s + 6}), or a
decoder that draws an image exactly would make it diverge; the weight begins where c is 0. At σ = 1
it is the VAE with the Gaussian likelihood.

Source: Rybkin, Daniilidis & Levine 2021, arXiv 2006.13202, section 3, and its code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from stratigraph.objectives.parameters import Choice, declared
from stratigraph.objectives.passes import Parts, Pass, Terms
from stratigraph.objectives.terms import LOG_2PI, kl_divergence
from stratigraph.shapes import Images, Scalar

__all__ = ["DecoderScale", "SigmaVAE", "scaled_reconstruction", "soft_clipped"]

LEAST = -6.0  # of log σ
TINY = torch.finfo(torch.float32).tiny  # of an error whose logarithm is taken


def soft_clipped(log_sigma: Scalar) -> Scalar:
    """Log σ held above `LEAST`, smoothly: −6 + log(1 + e^{s + 6})."""
    return LEAST + functional.softplus(log_sigma - LEAST)


def scaled_reconstruction(output: Images, images: Images, log_sigma: Scalar) -> Scalar:
    """Negative log-density of the images under N(output, σ² I), summed over pixels."""
    error = functional.mse_loss(output, images)
    return images[0].numel() * (0.5 * LOG_2PI + log_sigma + 0.5 * error * (-2 * log_sigma).exp())


class DecoderScale(nn.Module):
    """Log σ of the decoder's Gaussian: one weight, σ = 1 at first."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(LEAST + math.log(math.expm1(-LEAST))))

    def forward(self) -> Scalar:
        """Log σ, soft-clipped."""
        return soft_clipped(self.weight)


@dataclass(frozen=True)
class SigmaVAE:
    """R_σ + KL, with ``sigma`` learned or optimal; it needs the Gaussian reconstruction."""

    sigma: str = declared(Choice("learned", "optimal"), "learned")
    strength: ClassVar[str | None] = None
    likelihoods: ClassVar[tuple[str, ...]] = ("gaussian",)
    error: ClassVar[str | None] = "scaled_gaussian"

    def parts(self, latents: int) -> Parts:
        """The scale, where it is learned."""
        return Parts({"decoder_scale": DecoderScale()} if self.sigma == "learned" else {})

    def terms(self, given: Pass) -> Terms:
        """R_σ + KL."""
        output, images = given.result.output, given.images
        if self.sigma == "learned":
            log_sigma = given.parts["decoder_scale"]()
        else:
            error = functional.mse_loss(output, images)
            log_sigma = soft_clipped(0.5 * error.clamp_min(TINY).log())
        error = scaled_reconstruction(output, images, log_sigma)
        kl = kl_divergence(given.result.posterior.mean, given.result.posterior.log_var)
        return Terms(error + kl, error, kl, kl, None, {"sigma": log_sigma.exp()})
