"""The `sprites`: dSprites, re-rendered, so that everything runs with no download.

The factors, their sizes and their order are those of dSprites (Matthey et al., 2017): shape 3
(square, ellipse, heart), scale 6, orientation 40, x 32, y 32, the last fastest; 737,280 images of
the values 0 and 1. The geometry is in `rendering`. It is not the published file: `dsprites` is.

With ``colour=True`` a factor ``colour`` of six values leads, and the three channels of a sprite are
the corners of the RGB cube around its grey axis: red, yellow, green, cyan, blue, magenta. Images
stay 0/1-valued, and all colours share one cache.

As in dSprites, the last orientation is a full turn: the images of orientation 39 are those of
orientation 0. They are declared `repeated`, and splits leave them out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import final

import numpy as np

from stratigraph.data.cache import build_array, cache_dir, check_switches, open_array
from stratigraph.data.dataset import Dataset
from stratigraph.data.rendering import (
    FACTOR_NAMES,
    FACTOR_SIZES,
    RENDERER,
    SIZES,
    render,
    render_all_packed,
)
from stratigraph.errors import ConfigError
from stratigraph.identity import digest
from stratigraph.shapes import BytesImages, Indices

__all__ = ["COLOURS", "RenderedSprites", "load_sprites"]

COLOURS = ("red", "yellow", "green", "cyan", "blue", "magenta")
PALETTE = np.array(
    [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]], dtype=np.uint8
)
COUNT = math.prod(FACTOR_SIZES)


@final
@dataclass(frozen=True)
class RenderedSprites:
    """Sprites read from the bit-packed file at `cache`, or rendered where it is not there (yet).

    Both ways give the same bits. Reading a batch of 64 from the file is about twenty times faster.
    """

    size: int
    colour: bool
    cache: Path | None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, rows, columns."""
        return (3 if self.colour else 1, self.size, self.size)

    @property
    def max_value(self) -> int:
        """Images hold 0 and 1."""
        return 1

    def __len__(self) -> int:
        return COUNT * (len(COLOURS) if self.colour else 1)

    @property
    def packed_shape(self) -> tuple[int, int]:
        """Shape of the file: a row of bits per sprite."""
        return (COUNT, self.size * self.size // 8)

    def read(self, indices: Indices) -> BytesImages:
        """Unpack or render the sprites at `indices`."""
        colours, sprites = np.divmod(indices, COUNT)
        packed = None
        if self.cache is not None:
            packed = open_array(self.cache, self.packed_shape, np.dtype(np.uint8))
        if packed is None:
            grid = np.stack(np.unravel_index(sprites, FACTOR_SIZES), axis=1).astype(np.int64)
            grey = render(grid, self.size).view(np.uint8)
        else:
            grey = np.unpackbits(packed.take(sprites), axis=1)
        grey = grey.reshape(-1, 1, self.size, self.size)
        return grey * PALETTE[colours][:, :, None, None] if self.colour else grey

    def prepare(self) -> None:
        """Build the file unless it is there and whole."""
        if self.cache is not None:
            build_array(
                self.cache, self.packed_shape, partial(render_all_packed, self.size), "the sprites"
            )

    def fingerprint(self) -> str:
        """The renderer and its settings decide every pixel."""
        return digest({"renderer": RENDERER, "size": self.size, "colour": self.colour})


def load_sprites(
    *,
    size: int = 64,
    colour: bool = False,
    cache: bool | None = None,
    cache_dir: str | Path | None = None,
) -> Dataset:
    """Sprites of `size` 64 or 32, grey or in six colours.

    `cache` says when the bit-packed file is built: None, when `Dataset.prepare` is called (until
    then images are rendered on the fly); True, now; False, never.
    """
    if size not in SIZES:
        raise ConfigError(f"sprites: size {size!r}; allowed are {' and '.join(map(str, SIZES))}")
    check_switches("sprites", colour, cache)
    path = None if cache is False else _cache_path(size, cache_dir)
    dataset = Dataset(
        name="sprites",
        source=RenderedSprites(size=int(size), colour=colour, cache=path),
        factor_names=("colour", *FACTOR_NAMES) if colour else FACTOR_NAMES,
        factor_sizes=(len(COLOURS), *FACTOR_SIZES) if colour else FACTOR_SIZES,
        repeated=(("orientation", FACTOR_SIZES[FACTOR_NAMES.index("orientation")] - 1),),
    )
    return dataset.prepare() if cache else dataset


def _cache_path(size: int, folder: str | Path | None) -> Path:
    return cache_dir(folder) / f"sprites-r{RENDERER}-{size}.npy"
