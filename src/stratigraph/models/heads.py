"""From an encoder's features to mean and log-variance.

Features (b, width) get linear heads. A map (b, c, h, w) gets 1×1 convolutions, whose output is
flattened: a latent belongs to a place, as in the autoencoders of latent diffusion (Rombach et al.
2022, arXiv 2112.10752), and the number of latents is a multiple of the number of places.
"""

from __future__ import annotations

import torch
from torch import nn

from stratigraph.errors import ConfigError

__all__ = ["heads"]


def heads(features: torch.Size, latents: int) -> tuple[nn.Module, nn.Module]:
    """The modules ``z_mean`` and ``z_log_var``: features (b, …) → (b, z).

    Args:
        features: the shape of what the encoder gives for one image, (width,) or (c, h, w).
        latents: dimensions of z.

    Raises:
        ConfigError: latents that cannot be spread over the places of a map.

    """
    if len(features) == 1:
        return nn.Linear(features[0], latents), nn.Linear(features[0], latents)
    channels, rows, columns = features
    each, left = divmod(latents, rows * columns)
    if left or not each:
        raise ConfigError(
            f"latents: this encoder ends in a map of {rows} × {columns} places, so latents must "
            f"be a multiple of {rows * columns}, got {latents}."
        )
    mean, log_var = (nn.Sequential(nn.Conv2d(channels, each, 1), nn.Flatten()) for _ in range(2))
    return mean, log_var
