"""The networks, by name.

An architecture names an encoder and a decoder; each is a function of the image's shape, so that
any encoder can be joined to any decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

import torch
from torch import nn

from stratigraph.errors import ConfigError, suggest
from stratigraph.models.classifier import Classifier
from stratigraph.models.convolutional import convolutional_decoder, convolutional_encoder
from stratigraph.models.fully_connected import fully_connected_decoder, fully_connected_encoder
from stratigraph.models.initialisation import INITIALISATIONS, initialise
from stratigraph.models.vae import VAE, Posterior, Sampler, VAEOutput

__all__ = [
    "ARCHITECTURES",
    "INITIALISATIONS",
    "VAE",
    "Classifier",
    "Network",
    "Posterior",
    "Sampler",
    "VAEOutput",
    "build_classifier",
    "build_vae",
    "check_architecture",
]

Shape: TypeAlias = tuple[int, int, int]
Network: TypeAlias = VAE | Classifier

ARCHITECTURES: dict[
    str, tuple[Callable[[Shape], nn.Sequential], Callable[[Shape, int], nn.Sequential]]
] = {
    "convolutional": (partial(convolutional_encoder, kernel=2), convolutional_decoder),
    "convolutional_k4": (partial(convolutional_encoder, kernel=4), convolutional_decoder),
    "fully_connected": (fully_connected_encoder, fully_connected_decoder),
}


def check_architecture(name: str) -> None:
    """Raise a ConfigError unless ``name`` is an architecture."""
    if name not in ARCHITECTURES:
        raise ConfigError(f"architecture: none is called {name!r}.{suggest(name, ARCHITECTURES)}")


def build_vae(
    architecture: str,
    image_shape: Shape,
    latents: int,
    *,
    seed: int = 0,
    initialisation: str = "keras",
) -> VAE:
    """A fresh VAE, its weights a function of ``seed`` alone.

    Args:
        architecture: a key of `ARCHITECTURES`.
        image_shape: (c, h, w).
        latents: dimensions of z, at least 1.
        seed: of the initial weights.
        initialisation: ``keras`` (the study's) or ``torch``.

    Raises:
        ConfigError: an unknown name, or images that the architecture cannot take.

    """
    make_encoder, make_decoder = _parts(architecture, initialisation)
    width = _width(make_encoder, image_shape)
    with torch.random.fork_rng(devices=[]):  # torch's layers draw weights as they are made
        encoder, decoder = make_encoder(image_shape), make_decoder(image_shape, latents)
        model = VAE(encoder, width, latents, decoder)
    initialise(model, initialisation, seed)
    return model


def build_classifier(
    architecture: str,
    image_shape: Shape,
    factors: Mapping[str, int],
    *,
    seed: int = 0,
    initialisation: str = "keras",
) -> Classifier:
    """A fresh classifier; its encoder begins with the weights of the VAE of the same seed.

    Args:
        architecture: a key of `ARCHITECTURES`, of which the encoder is taken.
        image_shape: (c, h, w).
        factors: factor → number of its values; those with one value are left out.
        seed: of the initial weights.
        initialisation: ``keras`` (the study's) or ``torch``.

    Raises:
        ConfigError: an unknown name, images that the encoder cannot take, or no factor.

    """
    make_encoder, _ = _parts(architecture, initialisation)
    told_apart = {name: size for name, size in factors.items() if size > 1}
    if not told_apart:
        raise ConfigError("objective classification: the data have no factor to classify.")
    width = _width(make_encoder, image_shape)
    with torch.random.fork_rng(devices=[]):
        model = Classifier(make_encoder(image_shape), width, told_apart)
    initialise(model, initialisation, seed)
    return model


def _parts(
    architecture: str, initialisation: str
) -> tuple[Callable[[Shape], nn.Sequential], Callable[[Shape, int], nn.Sequential]]:
    check_architecture(architecture)
    if initialisation not in INITIALISATIONS:
        raise ConfigError(
            f"initialisation: no scheme is called {initialisation!r}."
            + suggest(initialisation, INITIALISATIONS)
        )
    return ARCHITECTURES[architecture]


def _width(make_encoder: Callable[[Shape], nn.Sequential], image_shape: Shape) -> int:
    """Features that an encoder gives for images of a shape."""
    with torch.device("meta"):
        return make_encoder(image_shape)(torch.empty(1, *image_shape)).shape[1]
