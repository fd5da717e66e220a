"""What latents and layers hold: regimes, intrinsic dimension, decodability, disentanglement."""

from stratigraph.latents.decoding import decodability
from stratigraph.latents.intrinsic_dimension import intrinsic_dimensions, levina_bickel, two_nn
from stratigraph.latents.latent_size import LatentSize, Trial, latent_size
from stratigraph.latents.regime import REGIMES, kl_by_latent, regimes
from stratigraph.latents.scores import disentanglement_scores

__all__ = [
    "REGIMES",
    "LatentSize",
    "Trial",
    "decodability",
    "disentanglement_scores",
    "intrinsic_dimensions",
    "kl_by_latent",
    "latent_size",
    "levina_bickel",
    "regimes",
    "two_nn",
]
