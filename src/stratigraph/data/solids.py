"""The `solids`: shaded bodies of known factors, rendered here, so that they need no download.

A cube, a sphere, a cylinder, a cone or a torus on a floor, in RGB, of hue 10, shape 5, scale 4,
elevation 5, azimuth 24 and light 6, the last fastest: 144,000 images. The geometry is in `bodies`.
They stand where sets of photographed or rendered objects stand that have to be downloaded, such as
Cars3D and SmallNORB.

A picture is kept as two bytes a pixel, c that takes the hue h and g that does not, which all hues
share::

    rgb = min(g + ⌊(c·h + 127)/255⌋, 255)

With ``colour=False`` images are the luma of these, in one channel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import final

import numpy as np

from stratigraph.data.bodies import FACTOR_NAMES, FACTOR_SIZES, RENDERER, render, render_all
from stratigraph.data.cache import build_array, cache_dir, check_switches, open_array
from stratigraph.data.dataset import Dataset
from stratigraph.data.resizing import fit
from stratigraph.errors import ConfigError
from stratigraph.identity import digest
from stratigraph.shapes import BytesImages, Indices
from stratigraph.values import is_whole

__all__ = ["HUES", "RenderedSolids", "load_solids"]

# Of saturation 0.85, in equal steps from red.
HUES = np.array(
    [
        [255, 38, 38], [255, 168, 38], [212, 255, 38], [82, 255, 38], [38, 255, 125],
        [38, 255, 255], [38, 125, 255], [82, 38, 255], [212, 38, 255], [255, 38, 168],
    ],
    dtype=np.uint16,
)  # fmt: skip
COUNT = math.prod(FACTOR_SIZES)
SIZES = range(8, 257)


@final
@dataclass(frozen=True)
class RenderedSolids:
    """Solids read from the file at `cache`, or rendered where it is not there (yet).

    Both ways give the same bytes. Reading from the file is a hundred times faster.
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
        """Images hold bytes."""
        return 255

    def __len__(self) -> int:
        return COUNT * len(HUES)

    @property
    def stored_shape(self) -> tuple[int, int, int, int]:
        """Shape of the file: of each solid, what takes the hue and what does not."""
        return (COUNT, 2, self.size, self.size)

    def read(self, indices: Indices) -> BytesImages:
        """Take or render the solids at `indices`, and give them their hues."""
        hues, solids = np.divmod(indices, COUNT)
        stored = None
        if self.cache is not None:
            stored = open_array(self.cache, self.stored_shape, np.dtype(np.uint8))
        if stored is None:
            grid = np.stack(np.unravel_index(solids, FACTOR_SIZES), axis=1).astype(np.int64)
            parts = render(grid, self.size)
        else:
            parts = stored.take(solids)
        coloured, grey = parts[:, :1].astype(np.uint16), parts[:, 1:]
        lit = (coloured * HUES[hues][:, :, None, None] + np.uint16(127)) // np.uint16(255)
        images = np.minimum(lit + grey, 255).astype(np.uint8)
        return images if self.colour else fit(images, 255, self.image_shape)

    def prepare(self) -> None:
        """Build the file unless it is there and whole."""
        if self.cache is not None:
            build_array(self.cache, self.stored_shape, partial(render_all, self.size), "the solids")

    def fingerprint(self) -> str:
        """The renderer and its settings decide every pixel."""
        return digest({"renderer": f"solids {RENDERER}", "size": self.size, "colour": self.colour})


def load_solids(
    *,
    size: int = 64,
    colour: bool = True,
    cache: bool | None = None,
    cache_dir: str | Path | None = None,
) -> Dataset:
    """Solids of any `size` from 8 to 256, in colour or grey.

    `cache` says when the file is built: None, when `Dataset.prepare` is called (until then images
    are rendered on the fly); True, now; False, never.
    """
    if not is_whole(size) or size not in SIZES:
        raise ConfigError(
            f"solids: size {size!r}; expected a whole number from {SIZES[0]} to {SIZES[-1]}"
        )
    check_switches("solids", colour, cache)
    path = None if cache is False else _cache_path(size, cache_dir)
    dataset = Dataset(
        name="solids",
        source=RenderedSolids(size=size, colour=colour, cache=path),
        factor_names=("hue", *FACTOR_NAMES),
        factor_sizes=(len(HUES), *FACTOR_SIZES),
    )
    return dataset.prepare() if cache else dataset


def _cache_path(size: int, folder: str | Path | None) -> Path:
    return cache_dir(folder) / f"solids-r{RENDERER}-{size}.npy"
