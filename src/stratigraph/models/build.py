"""The networks, by name.

An architecture names an encoder and a decoder; each is a function of the image's shape, so that
any encoder can be joined to any decoder (`stratigraph.models.architecture`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import nn

from stratigraph.errors import ConfigError, suggest
from stratigraph.models.architecture import Architecture, parse_architecture
from stratigraph.models.classifier import Classifier
from stratigraph.models.convolutional import (
    convolutional_decoder,
    convolutional_encoder,
    convolutional_encoder_k4,
)
from stratigraph.models.deep_convolutional import (
    deep_convolutional_decoder,
    deep_convolutional_encoder,
)
from stratigraph.models.fully_connected import fully_connected_decoder, fully_connected_encoder
from stratigraph.models.heads import heads
from stratigraph.models.initialisation import INITIALISATIONS, initialise, seeded
from stratigraph.models.kl_autoencoder import kl_decoder, kl_encoder
from stratigraph.models.ladder import LadderVAE
from stratigraph.models.quantised import Codebook, Codes, QuantisedAutoencoder
from stratigraph.models.residual import residual_decoder, residual_encoder
from stratigraph.models.vae import VAE, FlatVAE, Posterior, Sampler, VAEOutput
from stratigraph.models.vit import vit_decoder, vit_encoder
from stratigraph.plugins import is_plugin

__all__ = [
    "DECODERS",
    "ENCODERS",
    "INITIALISATIONS",
    "VAE",
    "WHOLE",
    "Architecture",
    "Classifier",
    "Codes",
    "FlatVAE",
    "Network",
    "Posterior",
    "QuantisedAutoencoder",
    "Sampler",
    "VAEOutput",
    "architecture_of",
    "architectures",
    "build_classifier",
    "build_quantised",
    "build_vae",
    "initialise",
    "seeded",
]

Shape: TypeAlias = tuple[int, int, int]
Network: TypeAlias = VAE | QuantisedAutoencoder | Classifier

# Images (b, c, h, w) → features (b, width), or a map (b, c, h, w); the children are the layers.
ENCODERS: dict[str, Callable[..., nn.Module]] = {
    "convolutional": convolutional_encoder,
    "convolutional_k4": convolutional_encoder_k4,
    "deep_convolutional": deep_convolutional_encoder,
    "fully_connected": fully_connected_encoder,
    "kl_autoencoder": kl_encoder,
    "residual": residual_encoder,
    "vit": vit_encoder,
}

# Latents (b, z) → logits or means (b, c, h, w).
DECODERS: dict[str, Callable[..., nn.Module]] = {
    "convolutional": convolutional_decoder,
    "convolutional_k4": convolutional_decoder,
    "deep_convolutional": deep_convolutional_decoder,
    "fully_connected": fully_connected_decoder,
    "kl_autoencoder": kl_decoder,
    "residual": residual_decoder,
    "vit": vit_decoder,
}

# Networks that are not an encoder and a decoder: (image shape, latents) → VAE.
WHOLE: dict[str, Callable[..., VAE]] = {"ladder": LadderVAE}


def architectures() -> list[str]:
    """The names that a study file may give as its architecture."""
    return [*(name for name in ENCODERS if name in DECODERS), *WHOLE]


def architecture_of(value: Any) -> Architecture:
    """The architecture that a setting means: a name, or a mapping of parts and options.

    Raises:
        ConfigError: an unknown name or option.

    """
    return parse_architecture(value, ENCODERS, DECODERS, WHOLE)


def build_vae(
    architecture: str | Mapping[str, Any],
    image_shape: Shape,
    latents: int,
    *,
    seed: int = 0,
    initialisation: str = "keras",
) -> VAE:
    """A fresh VAE, its weights a function of ``seed`` alone.

    Args:
        architecture: as `architecture_of` takes it.
        image_shape: (c, h, w).
        latents: dimensions of z, at least 1.
        seed: of the initial weights.
        initialisation: ``keras`` (the study's) or ``torch``.

    Raises:
        ConfigError: an unknown name, or images or latents that the architecture cannot take.

    """
    parts = architecture_of(architecture)
    _check_scheme(initialisation)
    with seeded(~seed):  # other numbers than `initialise` draws: some weights stay as they are made
        if parts.whole:
            model: VAE = parts.encoder(image_shape, latents)
        else:
            encoder, decoder = parts.encoder(image_shape), parts.decoder(image_shape, latents)
            features = features_of(parts, image_shape)
            model = FlatVAE(encoder, *heads(features, latents), decoder)
        _check_own(parts, model, image_shape, latents)
    initialise(model, initialisation, seed)
    return model


def build_quantised(
    architecture: str | Mapping[str, Any],
    image_shape: Shape,
    latents: int,
    codebook: tuple[int, int],
    *,
    seed: int = 0,
    initialisation: str = "keras",
) -> QuantisedAutoencoder:
    """A fresh autoencoder whose latents are codes; its encoder begins as the VAE's of the seed.

    Args:
        architecture: as `architecture_of` takes it.
        image_shape: (c, h, w).
        latents: positions; of an encoder that ends in a map, a multiple of its places.
        codebook: how many codes, and of how many dimensions each.
        seed: of the initial weights.
        initialisation: ``keras`` (the study's) or ``torch``.

    Raises:
        ConfigError: an unknown name, or images or latents that the architecture cannot take.

    """
    parts = architecture_of(architecture)
    _check_scheme(initialisation)
    if parts.whole:
        raise ConfigError(
            f"objective: {parts} has its own latents, which cannot be quantised; choose an "
            "architecture with an encoder and a decoder."
        )
    codes, dimensions = codebook
    features = features_of(parts, image_shape)
    with seeded(~seed):
        heads(features, latents)  # refuses positions that cannot be spread over a map's places
        head, _ = heads(features, latents * dimensions)
        decoder = parts.decoder(image_shape, latents * dimensions)
        book = Codebook(codes, dimensions, features[1:].numel())
        model = QuantisedAutoencoder(parts.encoder(image_shape), head, book, decoder)
    initialise(model, initialisation, seed)
    return model


def build_classifier(
    architecture: str | Mapping[str, Any],
    image_shape: Shape,
    factors: Mapping[str, int],
    *,
    seed: int = 0,
    initialisation: str = "keras",
) -> Classifier:
    """A fresh classifier; its encoder begins with the weights of the VAE of the same seed.

    Args:
        architecture: as `architecture_of` takes it; its encoder is taken.
        image_shape: (c, h, w).
        factors: factor → number of its values; those with one value are left out.
        seed: of the initial weights.
        initialisation: ``keras`` (the study's) or ``torch``.

    Raises:
        ConfigError: an unknown name, images that the encoder cannot take, or no factor.

    """
    parts = architecture_of(architecture)
    _check_scheme(initialisation)
    if parts.whole:
        raise ConfigError(
            f"objective classification: {parts} has no separate encoder; choose another "
            "architecture."
        )
    told_apart = {name: size for name, size in factors.items() if size > 1}
    if not told_apart:
        raise ConfigError("objective classification: the data have no factor to classify.")
    features = features_of(parts, image_shape)
    with seeded(~seed):
        model = Classifier(parts.encoder(image_shape), features.numel(), told_apart)
    initialise(model, initialisation, seed)
    return model


def _check_scheme(initialisation: str) -> None:
    if initialisation not in INITIALISATIONS:
        raise ConfigError(
            f"initialisation: no scheme is called {initialisation!r}."
            + suggest(initialisation, INITIALISATIONS)
        )


def _check_own(
    architecture: Architecture, model: nn.Module, image_shape: Shape, latents: int
) -> None:
    """Pass one image, where the decoder or the whole network is a user's own.

    Raises:
        ConfigError: it fails, is no VAE, or gives what is no image.

    """
    part = architecture.decoder
    if not is_plugin(part.name):
        return
    if not isinstance(model, VAE):
        raise ConfigError(
            f"architecture: {part}: expected a stratigraph.models.VAE, got a "
            f"{type(model).__name__}."
        )
    with torch.no_grad(), part.blamed("fails on an image"):
        output, posterior = model.eval()(torch.zeros(1, *image_shape), torch.zeros(1, latents))
        shapes = tuple(output.shape), tuple(posterior.mean.shape)
    model.train()
    if shapes != ((1, *image_shape), (1, latents)):
        raise ConfigError(
            f"architecture: {part}: expected images {(1, *image_shape)} from latents "
            f"{(1, latents)}, got {shapes[0]} of {shapes[1]}."
        )


def features_of(architecture: Architecture, image_shape: Shape) -> torch.Size:
    """The shape of what an encoder gives for one image: (width,), or (c, h, w)."""
    # One image for real: on the meta device torch imports its compiler, a second of every process.
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        encoder = architecture.encoder(image_shape).eval()
        with architecture.encoder.blamed("fails on an image"):
            made = encoder(torch.zeros(1, *image_shape))
    if not isinstance(made, torch.Tensor) or made.ndim not in (2, 4):
        raise ConfigError(
            f"architecture: encoder {architecture.encoder}: expected features (b, width) or a "
            f"map (b, c, h, w) from images (b, {', '.join(map(str, image_shape))}), got "
            f"{tuple(made.shape) if isinstance(made, torch.Tensor) else type(made).__name__}."
        )
    return made.shape[1:]
