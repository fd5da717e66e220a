"""The networks: an encoder and a decoder by name, one architecture a file (`build`)."""

from stratigraph.models.architecture import Architecture as Architecture
from stratigraph.models.build import (
    DECODERS as DECODERS,
    ENCODERS as ENCODERS,
    WHOLE as WHOLE,
    Network as Network,
    architecture_of as architecture_of,
    architectures as architectures,
    build_classifier as build_classifier,
    build_quantised as build_quantised,
    build_vae as build_vae,
)
from stratigraph.models.classifier import Classifier as Classifier
from stratigraph.models.initialisation import (
    INITIALISATIONS as INITIALISATIONS,
    initialise as initialise,
    seeded as seeded,
)
from stratigraph.models.quantised import (
    Codes as Codes,
    QuantisedAutoencoder as QuantisedAutoencoder,
)
from stratigraph.models.vae import (
    VAE as VAE,
    FlatVAE as FlatVAE,
    Posterior as Posterior,
    VAEOutput as VAEOutput,
)
