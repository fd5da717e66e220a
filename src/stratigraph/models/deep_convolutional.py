"""The convolutional network, deeper: several convolutions a scale, and nothing else changed.

Encoder (every layer followed by a ReLU), for each of the four scales of ``convolutional_k4``::

    32 k4 s2 · 32 k3 s1 × (depth − 1)          then 32, 64, 64 channels, flatten, dense 256

Decoder: its mirror image, ``depth`` − 1 convolutions k3 s1 before each transposed one. At depth 1
it is ``convolutional_k4``, so the two differ in depth alone. The extra convolutions stand after
the halving, where they cost a quarter. There is neither normalisation nor a path around a layer,
as in the VGG networks: what those change is in ``residual``.

Sources: Bonheme & Grzes 2022, arXiv 2205.08399 (the scales and widths); Simonyan & Zisserman 2015,
arXiv 1409.1556 (stacks of k3 convolutions).
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

from torch import nn

from stratigraph.models.convolutional import rectified
from stratigraph.models.demands import Option, grid
from stratigraph.values import check_whole

__all__ = ["deep_convolutional_decoder", "deep_convolutional_encoder"]

NAME = "deep_convolutional"
CHANNELS = (32, 32, 64, 64)  # of the encoder's scales, from the image on
MIRRORED = (64, 64, 32, 32)  # what the decoder's scales take, from the latents on
FEATURES = 256


def _grid(image_shape: tuple[int, int, int]) -> tuple[int, int]:
    return grid("a deep convolutional network", image_shape, 2 ** len(CHANNELS))


def deep_convolutional_encoder(
    image_shape: tuple[int, int, int], *, depth: Option = 2
) -> nn.Sequential:
    """Images (b, c, h, w) → features (b, 256).

    Args:
        image_shape: (c, h, w), h and w multiples of 16.
        depth: convolutions a scale, at least 1.

    Raises:
        ConfigError: sides that are not multiples of 16, or no such depth.

    """
    rows, columns = _grid(image_shape)
    depth = check_whole(f"architecture {NAME}: depth", depth, 1)
    convolutions: list[nn.Module] = []
    for before, channels in pairwise((image_shape[0], *CHANNELS)):
        convolutions.append(rectified(nn.Conv2d(before, channels, 4, stride=2, padding=1)))
        for _ in range(depth - 1):
            convolutions.append(rectified(nn.Conv2d(channels, channels, 3, padding=1)))
    return nn.Sequential(
        OrderedDict(
            **{f"conv{number}": layer for number, layer in enumerate(convolutions, 1)},
            flatten=nn.Flatten(),
            dense=rectified(nn.Linear(CHANNELS[-1] * rows * columns, FEATURES)),
        )
    )


def deep_convolutional_decoder(
    image_shape: tuple[int, int, int], latents: int, *, depth: Option = 2
) -> nn.Sequential:
    """Latents (b, z) → logits or means (b, c, h, w).

    Args:
        image_shape: (c, h, w), h and w multiples of 16.
        latents: dimensions of z.
        depth: convolutions a scale, the transposed one included, at least 1.

    Raises:
        ConfigError: sides that are not multiples of 16, or no such depth.

    """
    rows, columns = _grid(image_shape)
    depth = check_whole(f"architecture {NAME}: depth", depth, 1)
    widest = MIRRORED[0]
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        dense1=rectified(nn.Linear(latents, FEATURES)),
        dense2=rectified(nn.Linear(FEATURES, widest * rows * columns)),
        reshape=nn.Unflatten(1, (widest, rows, columns)),
    )
    number = 0
    for scale, (channels, after) in enumerate(pairwise((*MIRRORED, image_shape[0])), 1):
        for _ in range(depth - 1):
            number += 1
            layers[f"conv{number}"] = rectified(nn.Conv2d(channels, channels, 3, padding=1))
        up = nn.ConvTranspose2d(channels, after, 4, stride=2, padding=1)
        last = scale == len(MIRRORED)
        layers["output" if last else f"deconv{scale}"] = up if last else rectified(up)
    return nn.Sequential(layers)
