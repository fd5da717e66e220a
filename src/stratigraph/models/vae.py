"""The variational autoencoder (Kingma & Welling 2014; Rezende et al. 2014).

    q(z|x) = N(μ(x), diag e^{lv(x)}),    z = μ + e^{lv/2} · ε,  ε ~ N(0, I),    p(x|z) = decoder(z)

Every place that can be read out is a named module: ``input``, ``encoder.*``, ``z_mean``,
``z_log_var``, ``z_sample``, ``decoder.*``. `VAE` is what every network with such a posterior can
do, whatever its inside; `FlatVAE` is the ordinary one, with one level of latents.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from stratigraph.shapes import Images, Latents

__all__ = ["VAE", "FlatVAE", "Posterior", "Sampler", "VAEOutput", "names_along"]


class Posterior(NamedTuple):
    """q(z|x) of a batch, and one sample of it: each (b, z)."""

    mean: Tensor
    log_var: Tensor
    sample: Tensor


class VAEOutput(NamedTuple):
    """What a forward pass gives: the decoder's output (b, c, h, w), and the posterior."""

    output: Tensor
    posterior: Posterior


class Sampler(nn.Module):
    """z = μ + e^{lv/2} · ε: the reparametrised sample, as a module that can be read out."""

    def forward(self, mean: Latents, log_var: Latents, noise: Latents) -> Latents:
        """Mean, log-variance and standard normal noise, each (b, z) → samples (b, z)."""
        return mean + (0.5 * log_var).exp() * noise


def names_along(encoder: nn.Module, latents: Sequence[str], decoder: nn.Module) -> list[str]:
    """The layers of an autoencoder: input, the encoder's, those of the latents, the decoder's."""
    return [
        "input",
        *(f"encoder.{name}" for name, _ in encoder.named_children()),
        *latents,
        *(f"decoder.{name}" for name, _ in decoder.named_children()),
    ]


class VAE(nn.Module, ABC):
    """Images → a Gaussian posterior over latents whose prior is N(0, I) → images."""

    z_sample: Sampler

    @abstractmethod
    def encode(self, images: Images) -> tuple[Latents, Latents]:
        """Images (b, c, h, w) → mean and log-variance of q(z|x), each (b, z)."""

    @abstractmethod
    def decode(self, latents: Latents) -> Images:
        """Latents (b, z) → the decoder's output (b, c, h, w)."""

    @abstractmethod
    def layer_names(self) -> list[str]:
        """The layers, in the order in which data passes them."""

    def forward(self, images: Images, noise: Latents | None = None) -> VAEOutput:
        """One pass with the given standard normal noise (b, z); without it, from the mean."""
        mean, log_var = self.encode(images)
        if noise is None:
            noise = torch.zeros_like(mean)
        sample = self.z_sample(mean, log_var, noise)
        return VAEOutput(self.decode(sample), Posterior(mean, log_var, sample))

    def read(self, images: Images, noise: Latents, *, from_mean: bool) -> None:
        """Pass every layer once: the sample drawn with noise, the decoder's input mean or sample.

        Args:
            images: (b, c, h, w).
            noise: standard normal, (b, z).
            from_mean: decode the mean, though the sample is drawn.

        """
        mean, log_var = self.encode(images)
        sample = self.z_sample(mean, log_var, noise)
        self.decode(mean if from_mean else sample)


class FlatVAE(VAE):
    """Encoder, two heads, a sampler and a decoder.

    Args:
        encoder: images (b, c, h, w) → features; its children are its layers.
        z_mean: features → the posterior's mean (b, z).
        z_log_var: features → its log-variance (b, z).
        decoder: latents (b, z) → (b, c, h, w), logits or means; its children are its layers.

    """

    def __init__(
        self, encoder: nn.Module, z_mean: nn.Module, z_log_var: nn.Module, decoder: nn.Module
    ) -> None:
        super().__init__()
        self.input = nn.Identity()
        self.encoder = encoder
        self.z_mean = z_mean
        self.z_log_var = z_log_var
        self.z_sample = Sampler()
        self.decoder = decoder

    def encode(self, images: Images) -> tuple[Latents, Latents]:
        """Images (b, c, h, w) → mean and log-variance of q(z|x), each (b, z)."""
        features = self.encoder(self.input(images))
        return self.z_mean(features), self.z_log_var(features)

    def decode(self, latents: Latents) -> Images:
        """Latents (b, z) → the decoder's output (b, c, h, w)."""
        return self.decoder(latents)

    def layer_names(self) -> list[str]:
        """The layers, in the order in which data passes them."""
        return names_along(self.encoder, ("z_mean", "z_log_var", "z_sample"), self.decoder)
