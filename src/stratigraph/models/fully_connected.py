"""The fully-connected networks of the study.

Encoder: flatten, dense 1200 twice (ReLU). Decoder: dense 1200 three times (tanh), then a linear
layer to the pixels. Widths are from Higgins et al. 2017 (β-VAE).

Source: the code of Bonheme & Grzes 2022, arXiv 2205.08399.
"""

from __future__ import annotations

from collections import OrderedDict
from math import prod

from torch import nn

__all__ = ["fully_connected_decoder", "fully_connected_encoder"]

WIDTH = 1200


def fully_connected_encoder(image_shape: tuple[int, int, int]) -> nn.Sequential:
    """Images (b, c, h, w) → features (b, 1200)."""
    return nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(),
            dense1=nn.Sequential(nn.Linear(prod(image_shape), WIDTH), nn.ReLU()),
            dense2=nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU()),
        )
    )


def fully_connected_decoder(image_shape: tuple[int, int, int], latents: int) -> nn.Sequential:
    """Latents (b, z) → logits or means (b, c, h, w)."""
    return nn.Sequential(
        OrderedDict(
            dense1=nn.Sequential(nn.Linear(latents, WIDTH), nn.Tanh()),
            dense2=nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()),
            dense3=nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()),
            output=nn.Sequential(nn.Linear(WIDTH, prod(image_shape)), nn.Unflatten(1, image_shape)),
        )
    )
