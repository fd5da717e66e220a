"""Vision transformers, as encoder and as decoder.

An image is cut into patches of ``patch`` × ``patch`` pixels, each of which becomes a token t of
``width`` numbers, to which a learned vector for its position is added. A block is pre-norm::

    t' = t + attention(norm t),    t'' = t' + W₂ gelu(W₁ norm t'),

with W₁ twice as wide as the tokens. Attention is that of Vaswani et al. 2017, over all tokens of
the image, ``heads`` times side by side; there is no dropout.

Encoder: ``patches``, ``depth`` blocks, and ``pool``, the mean over the normalised tokens (Beyer et
al. 2022 find it as good as a class token). Decoder: ``tokens``, a linear layer from the latents to
every token (its bias is the token's position), ``depth`` blocks, and ``output``, a linear layer
from each normalised token to its patch.

The block is our own and not torch's ``TransformerEncoderLayer``, whose fast path in ``eval`` goes
around the modules inside and gives other bits than it trained with. Query, key and value are three
linear layers, so that each begins Glorot-uniform by its own fan, as in the authors' code.

Sources: Dosovitskiy et al. 2021, arXiv 2010.11929; Vaswani et al. 2017, arXiv 1706.03762; Beyer et
al. 2022, arXiv 2205.01580; He et al. 2022, arXiv 2111.06377 (a decoder of the same blocks).
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from stratigraph.errors import ConfigError
from stratigraph.models.demands import Option, grid
from stratigraph.values import check_whole

__all__ = ["Attention", "Block", "vit_decoder", "vit_encoder"]

NAME = "vit"
DEPTH, WIDTH, HEADS, PATCH = 4, 64, 4, 8
WIDER = 2  # how much wider than its tokens a block's hidden layer is
SPREAD = 0.02  # standard deviation of the positions' first values, as in the authors' code


class Cut(nn.Module):
    """Images (b, c, h, w) → their patches, row by row, (b, tokens, c · patch²)."""

    def __init__(self, patch: int) -> None:
        super().__init__()
        self.patch = patch

    def forward(self, images: Tensor) -> Tensor:
        """Cut."""
        side = self.patch
        b, c, h, w = images.shape
        parts = images.reshape(b, c, h // side, side, w // side, side)
        return parts.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


class Join(nn.Module):
    """The inverse of `Cut`: patches (b, tokens, c · patch²) → images (b, c, h, w)."""

    def __init__(self, image_shape: tuple[int, int, int], patch: int) -> None:
        super().__init__()
        channels, rows, columns = image_shape
        self.grid = (rows // patch, columns // patch)
        self.cell = (channels, patch, patch)

    def forward(self, patches: Tensor) -> Tensor:
        """Join."""
        parts = patches.reshape(len(patches), *self.grid, *self.cell)
        return parts.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)


class Positions(nn.Module):
    """Adds a learned vector to the token of each position."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(tokens, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Small normal numbers: unlike each other, and small beside the tokens."""
        nn.init.normal_(self.weight, std=SPREAD)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (b, tokens, width) → the same, each with its position."""
        return tokens + self.weight


class Attention(nn.Module):
    """Every token looks at every token, with several heads side by side."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        # Without a bias: it would add the same to all scores of a query, which softmax forgets.
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (b, tokens, width) → mixtures of their values."""
        query, key, value = (
            layer(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.output(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(width), Attention(width, heads))
        self.dense = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, WIDER * width),
            nn.GELU(),
            nn.Linear(WIDER * width, width),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (b, tokens, width) → tokens."""
        tokens = tokens + self.attention(tokens)
        return tokens + self.dense(tokens)


class Mean(nn.Module):
    """Tokens (b, tokens, width) → their mean (b, width)."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Average."""
        return tokens.mean(dim=1)


def _sizes(
    image_shape: tuple[int, int, int], depth: Option, width: Option, heads: Option, patch: Option
) -> tuple[int, int]:
    """Tokens of an image, and numbers of a patch; the options are looked at."""
    for option, value in {"depth": depth, "width": width, "heads": heads, "patch": patch}.items():
        check_whole(f"architecture {NAME}: {option}", value, 1)
    if width % heads:
        raise ConfigError(
            f"architecture {NAME}: width: expected a multiple of the {heads} heads, got {width}."
        )
    rows, columns = grid(f"a vision transformer of patch {patch}", image_shape, patch)
    return rows * columns, image_shape[0] * patch**2


def _blocks(depth: int, width: int, heads: int) -> dict[str, nn.Module]:
    return {f"block{number}": Block(width, heads) for number in range(1, depth + 1)}


def vit_encoder(
    image_shape: tuple[int, int, int],
    *,
    depth: Option = DEPTH,
    width: Option = WIDTH,
    heads: Option = HEADS,
    patch: Option = PATCH,
) -> nn.Sequential:
    """Images (b, c, h, w) → features (b, width).

    Args:
        image_shape: (c, h, w), h and w multiples of ``patch``.
        depth: blocks.
        width: numbers of a token, a multiple of ``heads``.
        heads: of the attention.
        patch: the side of a patch, in pixels.

    Raises:
        ConfigError: sides that are not multiples of the patch, or options that do not fit.

    """
    tokens, cell = _sizes(image_shape, depth, width, heads, patch)
    return nn.Sequential(
        OrderedDict(
            patches=nn.Sequential(Cut(patch), nn.Linear(cell, width), Positions(tokens, width)),
            **_blocks(depth, width, heads),
            pool=nn.Sequential(nn.LayerNorm(width), Mean()),
        )
    )


def vit_decoder(
    image_shape: tuple[int, int, int],
    latents: int,
    *,
    depth: Option = DEPTH,
    width: Option = WIDTH,
    heads: Option = HEADS,
    patch: Option = PATCH,
) -> nn.Sequential:
    """Latents (b, z) → logits or means (b, c, h, w).

    Args:
        image_shape: (c, h, w), h and w multiples of ``patch``.
        latents: dimensions of z.
        depth: blocks.
        width: numbers of a token, a multiple of ``heads``.
        heads: of the attention.
        patch: the side of a patch, in pixels.

    Raises:
        ConfigError: sides that are not multiples of the patch, or options that do not fit.

    """
    tokens, cell = _sizes(image_shape, depth, width, heads, patch)
    return nn.Sequential(
        OrderedDict(
            tokens=nn.Sequential(
                nn.Linear(latents, tokens * width), nn.Unflatten(1, (tokens, width))
            ),
            **_blocks(depth, width, heads),
            output=nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, cell), Join(image_shape, patch)
            ),
        )
    )
