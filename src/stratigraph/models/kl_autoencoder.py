"""The KL autoencoder of latent diffusion, at small size: its latents are a map.

A block is ``x' = shortcut(x) + conv3×3(s norm conv3×3(s norm x))`` with group normalisation and
s = SiLU, x·sigmoid(x). Channels double with each halving: ``width``, 2·``width``, ….

Encoder: ``stem`` (k3), then at each scale ``depth`` blocks (``block1``, …) and a halving
(``down1``, …, k3 s2), then ``middle1``, ``attention`` (one head over the places of the map),
``middle2`` and ``norm`` (with SiLU). It ends in a map of h/2^halvings × w/2^halvings places, from
which 1 × 1 convolutions read mean and log-variance, so that a latent belongs to a place. Decoder:
its mirror image, where doublings (``up1``, …) repeat each pixel 2 × 2 before a k3 convolution.

What is left out of the original: the adversarial and perceptual losses (the objective is the
study's), 128 channels (``width`` is 8), the extra block a scale of its decoder, the convolution
before the 1 × 1 heads, and the blocks at the smallest scale but those of the middle.

Source: Rombach et al. 2022, arXiv 2112.10752 (the networks are those of Esser et al.
2021, arXiv 2012.09841).
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional

from stratigraph.errors import ConfigError
from stratigraph.models.demands import Option, grid, places
from stratigraph.values import check_whole

__all__ = ["GroupedBlock", "PlaceAttention", "kl_decoder", "kl_encoder"]

NAME = "kl_autoencoder"
DEPTH, WIDTH, HALVINGS = 1, 8, 3
GROUP = 4  # channels normalised together; width is a multiple
EPSILON = 1e-6  # of the normalisation, as in the original


def _make_norm(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.GroupNorm(channels // GROUP, channels, eps=EPSILON), nn.SiLU()


class GroupedBlock(nn.Module):
    """Two normalised k3 convolutions with a path around them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        self.branch = nn.Sequential(
            *_make_norm(inputs),
            nn.Conv2d(inputs, outputs, 3, padding=1),
            *_make_norm(outputs),
            nn.Conv2d(outputs, outputs, 3, padding=1),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (b, c, h, w) → maps (b, c', h, w)."""
        return self.shortcut(maps) + self.branch(maps)


class PlaceAttention(nn.Module):
    """Every place of a map looks at every place: x' = x + attention(norm x), one head."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(channels // GROUP, channels, eps=EPSILON)
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv2d(channels, channels, 1, bias=False)  # see `vit.Attention`
        self.value = nn.Conv2d(channels, channels, 1)
        self.output = nn.Conv2d(channels, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (b, c, h, w) → maps of the same shape."""
        normed = self.norm(maps)
        query, key, value = (
            layer(normed).flatten(2).transpose(1, 2)[:, None]
            for layer in (self.query, self.key, self.value)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)[:, 0]
        return maps + self.output(mixed.transpose(1, 2).reshape(maps.shape))


def _sizes(
    image_shape: tuple[int, int, int], depth: Option, width: Option, halvings: Option
) -> tuple[tuple[int, int], list[int]]:
    """The places of the latents' map, and the channels of each scale; the options are looked at."""
    check_whole(f"architecture {NAME}: depth", depth, 1)
    check_whole(f"architecture {NAME}: halvings", halvings, 1)
    if check_whole(f"architecture {NAME}: width", width, 1) % GROUP:
        raise ConfigError(
            f"architecture {NAME}: width: expected a multiple of {GROUP}, the channels that are "
            f"normalised together, got {width}."
        )
    where = grid(f"a KL autoencoder of {halvings} halvings", image_shape, 2**halvings)
    return where, [width * 2**scale for scale in range(halvings)]


def _middle(channels: int) -> dict[str, nn.Module]:
    return {
        "middle1": GroupedBlock(channels, channels),
        "attention": PlaceAttention(channels),
        "middle2": GroupedBlock(channels, channels),
    }


def kl_encoder(
    image_shape: tuple[int, int, int],
    *,
    depth: Option = DEPTH,
    width: Option = WIDTH,
    halvings: Option = HALVINGS,
) -> nn.Sequential:
    """Images (b, c, h, w) → a map (b, c', h/2^halvings, w/2^halvings).

    Args:
        image_shape: (c, h, w), h and w multiples of 2^halvings.
        depth: blocks a scale.
        width: channels of the first scale, a multiple of 4.
        halvings: how often the sides are halved.

    Raises:
        ConfigError: sides that cannot be halved so often, or options that do not fit.

    """
    _, channels = _sizes(image_shape, depth, width, halvings)
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        stem=nn.Conv2d(image_shape[0], channels[0], 3, padding=1)
    )
    before, number = channels[0], 0
    for scale, outputs in enumerate(channels, 1):
        for _ in range(depth):
            number += 1
            layers[f"block{number}"] = GroupedBlock(before, outputs)
            before = outputs
        layers[f"down{scale}"] = nn.Conv2d(outputs, outputs, 3, stride=2, padding=1)
    layers.update(_middle(before))
    layers["norm"] = nn.Sequential(*_make_norm(before))
    return nn.Sequential(layers)


def kl_decoder(
    image_shape: tuple[int, int, int],
    latents: int,
    *,
    depth: Option = DEPTH,
    width: Option = WIDTH,
    halvings: Option = HALVINGS,
) -> nn.Sequential:
    """Latents (b, z), read as a map (b, c', h/2^halvings, w/2^halvings) → (b, c, h, w).

    Args:
        image_shape: (c, h, w), h and w multiples of 2^halvings.
        latents: dimensions of z, a multiple of the places of the map.
        depth: blocks a scale.
        width: channels of the last scale, a multiple of 4.
        halvings: how often the sides are doubled.

    Raises:
        ConfigError: sides or latents that do not make such a map, or options that do not fit.

    """
    (rows, columns), channels = _sizes(image_shape, depth, width, halvings)
    each = places(f"decoder {NAME} takes", latents, rows, columns)
    before, number = channels[-1], 0
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        reshape=nn.Unflatten(1, (each, rows, columns)),
        stem=nn.Conv2d(each, before, 3, padding=1),
        **_middle(before),
    )
    for scale, outputs in enumerate(reversed(channels), 1):
        layers[f"up{scale}"] = nn.Sequential(
            nn.Upsample(scale_factor=2.0), nn.Conv2d(before, outputs, 3, padding=1)
        )
        before = outputs
        for _ in range(depth):
            number += 1
            layers[f"block{number}"] = GroupedBlock(before, before)
    layers["output"] = nn.Sequential(
        *_make_norm(before), nn.Conv2d(before, image_shape[0], 3, padding=1)
    )
    return nn.Sequential(layers)
