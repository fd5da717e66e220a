r"""The terms that objectives are made of. Each is a mean over the batch, in nats.

With x the images (M of them), l the decoder's output, and q(z|x_i) = N(μ_i, diag e^{lv_i}):

- Bernoulli reconstruction  R = −E_i Σ_pixels [x log s(l) + (1 − x) log(1 − s(l))], s the sigmoid;
- Gaussian reconstruction   R = E_i Σ_pixels ½ [(x − l)² + log 2π], unit variance;
- Kullback-Leibler          KL = E_i ½ Σ_j (μ² + e^{lv} − lv − 1);
- total correlation         TC = E_j [LSE_i Σ_l log q(z_jl|x_i) − log M
                                       − Σ_l (LSE_i log q(z_jl|x_i) − log M)],
  with q(z) the mean of the batch's posteriors: the minibatch-weighted estimate of Chen et al. 2018
  (arXiv 1802.04942) but for a constant, (z − 1) log N of their N images, which has no gradient; so
  a batch twice over has the same;
- the covariances of DIP-VAE (Kumar et al. 2018, arXiv 1711.00848), divided by M.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from stratigraph.models import Posterior
from stratigraph.shapes import Images, Latents, Scalar

__all__ = [
    "RECONSTRUCTIONS",
    "bernoulli_reconstruction",
    "covariance",
    "gaussian_reconstruction",
    "kl_divergence",
    "log_density",
    "pairwise_log_density",
    "total_correlation",
]

LOG_2PI = math.log(2 * math.pi)


def bernoulli_reconstruction(output: Images, images: Images) -> Scalar:
    """Cross-entropy of images in [0, 1] under logits, summed over pixels and channels."""
    total = functional.binary_cross_entropy_with_logits(output, images, reduction="sum")
    return total / len(images)


def gaussian_reconstruction(output: Images, images: Images) -> Scalar:
    """Negative log-density of the images under N(output, I), summed over pixels and channels."""
    total = functional.mse_loss(output, images, reduction="sum") / len(images)
    return 0.5 * (total + LOG_2PI * images[0].numel())


RECONSTRUCTIONS = {"bernoulli": bernoulli_reconstruction, "gaussian": gaussian_reconstruction}


def kl_divergence(mean: Latents, log_var: Latents) -> Scalar:
    """KL(q(z|x) ‖ N(0, I)), summed over latents."""
    return 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum(dim=1).mean()


def log_density(points: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """Log N(points; mean, e^{log_var}), elementwise with broadcasting."""
    return -0.5 * ((points - mean).square() * (-log_var).exp() + log_var + LOG_2PI)


def pairwise_log_density(posterior: Posterior) -> Tensor:
    """Log q(z_jl | x_i) for every sample j, posterior i and latent l: (b, b, z)."""
    return log_density(posterior.sample[:, None], posterior.mean[None], posterior.log_var[None])


def total_correlation(posterior: Posterior) -> Scalar:
    """Total correlation of q(z), q(z) estimated by the mean of the batch's posteriors."""
    density = pairwise_log_density(posterior)
    count, latents = density.shape[1:]
    joint = torch.logsumexp(density.sum(dim=2), dim=1)
    marginals = torch.logsumexp(density, dim=1).sum(dim=1)
    return (joint - marginals).mean() + (latents - 1) * math.log(count)


def covariance(mean: Latents) -> Tensor:
    """Cov(μ) over the batch, divided by its size: (z, z)."""
    centred = mean - mean.mean(dim=0)
    return centred.T @ centred / len(mean)
