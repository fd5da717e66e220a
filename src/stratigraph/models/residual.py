"""Residual networks: blocks that add to what they are given.

With x the block's input and N the blocks of the stack (the encoder's, or the decoder's)::

    x' = shortcut(x) + N^{−1/2} · conv1×1(ρ conv3×3(ρ conv1×1(ρ x))),    ρ = ReLU

the pre-activation bottleneck of He et al. 2016: the narrow k3 convolution has half the channels.
There is no normalisation, as in the study's other networks and in the very deep VAE of Child 2021;
N^{−1/2} keeps the variance of the sum from growing with depth (Hayou et al. 2021), which Child
does by initial weights that much smaller. So it trains at Adam's usual rates without warm-up.

Encoder: ``stem`` (32, k4 s2), then four scales of ``depth`` blocks, of 32, 32, 64 and 64 channels.
From the second scale on the first block begins with a halving, the mean over 2 × 2 pixels; where
the channels change, its shortcut is a 1 × 1 convolution. Then ``dense``: ReLU, flatten, 256, ReLU.
Decoder: the mirror image, where a doubling repeats each pixel 2 × 2, and ``output`` is the study's
transposed convolution k4 s2. The maps have the sides and channels of the study's layers.

Sources: He et al. 2016, arXiv 1603.05027; Child 2021, arXiv 2011.10650; Hayou et al. 2021,
arXiv 2010.12859.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn

from stratigraph.models.demands import Option, grid
from stratigraph.values import check_whole

__all__ = ["ResidualBlock", "residual_decoder", "residual_encoder"]

NAME = "residual"
CHANNELS = (32, 32, 64, 64)  # of the encoder's scales, from the image on
FEATURES = 256


class ResidualBlock(nn.Module):
    """A pre-activation bottleneck with a path around it.

    Args:
        inputs: channels of the map it is given.
        outputs: channels of the map it gives.
        scale: what the branch is multiplied by.
        resize: what the map passes first, on both paths: a halving, a doubling, or nothing.

    """

    def __init__(
        self, inputs: int, outputs: int, scale: float, resize: nn.Module | None = None
    ) -> None:
        super().__init__()
        narrow = outputs // 2
        self.scale = scale
        self.resize = resize or nn.Identity()
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        self.branch = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(inputs, narrow, 1),
            nn.ReLU(),
            nn.Conv2d(narrow, narrow, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(narrow, outputs, 1),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (b, c, h, w) → maps (b, c', h', w')."""
        maps = self.resize(maps)
        return torch.add(self.shortcut(maps), self.branch(maps), alpha=self.scale)


def _blocks(
    scales: list[tuple[int, int]], depth: int, resize: Callable[[], nn.Module]
) -> OrderedDict[str, nn.Module]:
    """``block1``, ``block2``, …: ``depth`` of each scale, which resizes first, but not the first.

    Args:
        scales: channels that each scale is given and gives.
        depth: blocks a scale.
        resize: makes what the first block of a scale begins with.

    """
    scale = (len(scales) * depth) ** -0.5
    blocks: OrderedDict[str, nn.Module] = OrderedDict()
    for position, (inputs, outputs) in enumerate(scales):
        for repeat in range(depth):
            first = repeat == 0
            blocks[f"block{len(blocks) + 1}"] = ResidualBlock(
                inputs if first else outputs,
                outputs,
                scale,
                resize() if first and position else None,
            )
    return blocks


def residual_encoder(image_shape: tuple[int, int, int], *, depth: Option = 2) -> nn.Sequential:
    """Images (b, c, h, w) → features (b, 256).

    Args:
        image_shape: (c, h, w), h and w multiples of 16.
        depth: blocks a scale, at least 1.

    Raises:
        ConfigError: sides that are not multiples of 16, or no such depth.

    """
    rows, columns = grid("a residual network", image_shape, 2 ** len(CHANNELS))
    depth = check_whole(f"architecture {NAME}: depth", depth, 1)
    scales = list(zip((CHANNELS[0], *CHANNELS), CHANNELS, strict=False))
    return nn.Sequential(
        OrderedDict(
            stem=nn.Conv2d(image_shape[0], CHANNELS[0], 4, stride=2, padding=1),
            **_blocks(scales, depth, lambda: nn.AvgPool2d(2)),
            dense=nn.Sequential(
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(CHANNELS[-1] * rows * columns, FEATURES),
                nn.ReLU(),
            ),
        )
    )


def residual_decoder(
    image_shape: tuple[int, int, int], latents: int, *, depth: Option = 2
) -> nn.Sequential:
    """Latents (b, z) → logits or means (b, c, h, w).

    Args:
        image_shape: (c, h, w), h and w multiples of 16.
        latents: dimensions of z.
        depth: blocks a scale, at least 1.

    Raises:
        ConfigError: sides that are not multiples of 16, or no such depth.

    """
    rows, columns = grid("a residual network", image_shape, 2 ** len(CHANNELS))
    depth = check_whole(f"architecture {NAME}: depth", depth, 1)
    mirrored = CHANNELS[::-1]
    scales = list(zip((mirrored[0], *mirrored), mirrored, strict=False))
    return nn.Sequential(
        OrderedDict(
            dense1=nn.Sequential(nn.Linear(latents, FEATURES), nn.ReLU()),
            dense2=nn.Linear(FEATURES, mirrored[0] * rows * columns),
            reshape=nn.Unflatten(1, (mirrored[0], rows, columns)),
            **_blocks(scales, depth, lambda: nn.Upsample(scale_factor=2.0)),
            output=nn.Sequential(
                nn.ReLU(),
                nn.ConvTranspose2d(mirrored[-1], image_shape[0], 4, stride=2, padding=1),
            ),
        )
    )
