"""The convolutional networks of the study.

Encoder (every layer followed by a ReLU), for an s × s image::

    conv1 32 k4 s2 · conv2 32 k4 s2 · conv3 64 k2 s2 · conv4 64 k2 s2 · flatten · dense 256

Decoder, from a latent vector::

    dense1 256 · dense2 64·(s/16)² · reshape · deconv1 64 · deconv2 32 · deconv3 32 · output c

where every transposed convolution is k4 s2 and ``output`` is linear. A k4 s2 convolution is padded
by 1 and a k2 s2 one by 0, so each halves (or doubles) the side. The authors' code has k2 in the
third and fourth convolution; disentanglement_lib (Locatello et al. 2019), from which the network
comes, has k4 in all four: ``convolutional`` and ``convolutional_k4``.

Source: Bonheme & Grzes 2022, arXiv 2205.08399, and its code.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from stratigraph.models.demands import grid

__all__ = [
    "convolutional_decoder",
    "convolutional_encoder",
    "convolutional_encoder_k4",
    "rectified",
]

HALVINGS = 4
WIDEST = 64


def _grid(image_shape: tuple[int, int, int]) -> tuple[int, int]:
    """Rows and columns that are left after four halvings."""
    return grid("a convolutional network", image_shape, 2**HALVINGS)


def rectified(layer: nn.Module) -> nn.Sequential:
    """A layer, and a ReLU behind it."""
    return nn.Sequential(layer, nn.ReLU())


def convolutional_encoder(image_shape: tuple[int, int, int]) -> nn.Sequential:
    """Images (b, c, h, w), h and w multiples of 16 → features (b, 256).

    Raises:
        ConfigError: the sides are not multiples of 16.

    """
    return _encoder(image_shape, 2)


def convolutional_encoder_k4(image_shape: tuple[int, int, int]) -> nn.Sequential:
    """The same with kernels of side 4 in all four convolutions.

    Raises:
        ConfigError: the sides are not multiples of 16.

    """
    return _encoder(image_shape, 4)


def _encoder(image_shape: tuple[int, int, int], kernel: int) -> nn.Sequential:
    """The encoder whose third and fourth kernels have this side."""
    rows, columns = _grid(image_shape)
    padding = (kernel - 2) // 2
    return nn.Sequential(
        OrderedDict(
            conv1=rectified(nn.Conv2d(image_shape[0], 32, 4, stride=2, padding=1)),
            conv2=rectified(nn.Conv2d(32, 32, 4, stride=2, padding=1)),
            conv3=rectified(nn.Conv2d(32, WIDEST, kernel, stride=2, padding=padding)),
            conv4=rectified(nn.Conv2d(WIDEST, WIDEST, kernel, stride=2, padding=padding)),
            flatten=nn.Flatten(),
            dense=rectified(nn.Linear(WIDEST * rows * columns, 256)),
        )
    )


def convolutional_decoder(image_shape: tuple[int, int, int], latents: int) -> nn.Sequential:
    """Latents (b, z) → logits or means (b, c, h, w).

    Raises:
        ConfigError: the sides are not multiples of 16.

    """
    rows, columns = _grid(image_shape)
    return nn.Sequential(
        OrderedDict(
            dense1=rectified(nn.Linear(latents, 256)),
            dense2=rectified(nn.Linear(256, WIDEST * rows * columns)),
            reshape=nn.Unflatten(1, (WIDEST, rows, columns)),
            deconv1=rectified(nn.ConvTranspose2d(WIDEST, 64, 4, stride=2, padding=1)),
            deconv2=rectified(nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1)),
            deconv3=rectified(nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1)),
            output=nn.ConvTranspose2d(32, image_shape[0], 4, stride=2, padding=1),
        )
    )
