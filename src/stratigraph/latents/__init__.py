"""What latents and layers hold: regimes, information, dimension, decodability, disentanglement."""

from stratigraph.latents.decoding import decodability as decodability
from stratigraph.latents.information import (
    Information as Information,
    information as information,
    information_of_codes as information_of_codes,
)
from stratigraph.latents.intrinsic_dimension import (
    intrinsic_dimensions as intrinsic_dimensions,
    levina_bickel as levina_bickel,
    two_nn as two_nn,
)
from stratigraph.latents.latent_size import latent_size as latent_size
from stratigraph.latents.regime import (
    REGIMES as REGIMES,
    kl_by_latent as kl_by_latent,
    regimes as regimes,
)
from stratigraph.latents.scores.catalog import disentanglement_scores as disentanglement_scores
