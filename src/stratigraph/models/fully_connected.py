"""The fully-connected networks of the study, at any depth and width.

Encoder: flatten, then ``depth`` dense layers (ReLU). Decoder: ``depth`` dense layers (tanh), then a
linear layer to the pixels. The study has two of them in the encoder and three in the decoder, all
1200 wide; widths are from Higgins et al. 2017 (β-VAE).

Source: the code of Bonheme & Grzes 2022, arXiv 2205.08399.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from math import prod

from torch import nn

from stratigraph.models.demands import Option
from stratigraph.values import check_whole

__all__ = ["fully_connected_decoder", "fully_connected_encoder"]

WIDTH = 1200


def _dense(
    sizes: int, depth: Option, width: Option, function: type[nn.Module]
) -> OrderedDict[str, nn.Module]:
    """``dense1``, ``dense2``, …: from ``sizes`` inputs through layers of one width."""
    depth = check_whole("architecture fully_connected: depth", depth, 1)
    width = check_whole("architecture fully_connected: width", width, 1)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (inputs, outputs) in enumerate(pairwise([sizes, *[width] * depth]), 1):
        layers[f"dense{number}"] = nn.Sequential(nn.Linear(inputs, outputs), function())
    return layers


def fully_connected_encoder(
    image_shape: tuple[int, int, int], *, depth: Option = 2, width: Option = WIDTH
) -> nn.Sequential:
    """Images (b, c, h, w) → features (b, width).

    Args:
        image_shape: (c, h, w).
        depth: dense layers, at least 1.
        width: units of each.

    Raises:
        ConfigError: an option that is not a whole number ≥ 1.

    """
    dense = _dense(prod(image_shape), depth, width, nn.ReLU)
    return nn.Sequential(OrderedDict(flatten=nn.Flatten(), **dense))


def fully_connected_decoder(
    image_shape: tuple[int, int, int],
    latents: int,
    *,
    depth: Option = 3,
    width: Option = WIDTH,
) -> nn.Sequential:
    """Latents (b, z) → logits or means (b, c, h, w).

    Args:
        image_shape: (c, h, w).
        latents: dimensions of z.
        depth: dense layers before the linear one to the pixels, at least 1.
        width: units of each.

    Raises:
        ConfigError: an option that is not a whole number ≥ 1.

    """
    dense = _dense(latents, depth, width, nn.Tanh)
    pixels = nn.Linear(width, prod(image_shape))
    return nn.Sequential(
        OrderedDict(**dense, output=nn.Sequential(pixels, nn.Unflatten(1, image_shape)))
    )
