"""dSprites, the published file (Matthey et al., 2017, *dSprites: Disentanglement testing sprites*).

A ``.npz`` archive: ``imgs`` (737280, 64, 64) uint8 of the values 0 and 1; ``latents_classes``
(737280, 6) int64, colour 1, shape 3, scale 6, orientation 40, x 32, y 32, in that order, y fastest.
The colour has one value and is left out. ``metadata`` is pickled and never touched. Orientation 39
is a full turn: its images are those of orientation 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stratigraph.data.archives import array_stream
from stratigraph.data.cache import cache_dir as cache_folder
from stratigraph.data.dataset import Dataset
from stratigraph.data.download import PublishedFile, locate
from stratigraph.data.stored import StoredImages, store
from stratigraph.durable import sha256
from stratigraph.errors import DataError

__all__ = ["load_dsprites"]

FILE = PublishedFile(
    name="dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz",
    url="https://github.com/google-deepmind/dsprites-dataset/raw/master/"
    "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz",
    known_hash="sha1:3e0a46a9238e425f46a6ef9e9bdfd7cedb35d50f",
)
FACTOR_NAMES = ("shape", "scale", "orientation", "x", "y")
FACTOR_SIZES = (3, 6, 40, 32, 32)
SIDE = 64


def load_dsprites(
    *, root: str | Path | None = None, verify: bool = True, cache_dir: str | Path | None = None
) -> Dataset:
    """The published dSprites: from `root` (the file or its folder), or downloaded (26 MB).

    With ``verify=False`` a file in `root` is read by its format alone, whatever its hash.
    """
    path = locate(FILE, root, cache_dir, verify)
    key = FILE.known_hash.partition(":")[2] if verify or root is None else sha256(path)
    images = StoredImages(
        path=cache_folder(cache_dir) / f"dsprites-{key[:12]}.npy",
        count=math.prod(FACTOR_SIZES),
        image_shape=(1, SIDE, SIDE),
        max_value=1,
        packed=True,
    )
    return Dataset(
        name="dsprites",
        source=store(images, lambda: _packed(path)),
        factor_names=FACTOR_NAMES,
        factor_sizes=FACTOR_SIZES,
        repeated=(("orientation", FACTOR_SIZES[FACTOR_NAMES.index("orientation")] - 1),),
    )


def _packed(path: Path) -> Iterator[np.ndarray]:
    count = math.prod(FACTOR_SIZES)
    with array_stream(path, "latents_classes") as classes:
        if classes.shape != (count, len(FACTOR_SIZES) + 1) or classes.dtype.kind not in "iu":
            raise DataError(
                f"{path}: latents_classes is {classes.dtype} {classes.shape}; expected integers "
                f"({count}, {len(FACTOR_SIZES) + 1})"
            )
        expected = np.stack(np.unravel_index(np.arange(count), FACTOR_SIZES), axis=1)
        if not np.array_equal(classes.whole()[:, 1:], expected):
            raise DataError(f"{path}: its rows are not in the published order, y the fastest")
    with array_stream(path, "imgs") as images:
        if images.shape != (count, SIDE, SIDE) or images.dtype != np.uint8:
            raise DataError(
                f"{path}: imgs is {images.dtype} {images.shape}; expected uint8 "
                f"({count}, {SIDE}, {SIDE})"
            )
        for block in images.blocks():
            if block.max() > 1:
                raise DataError(f"{path}: imgs holds the value {block.max()}; expected 0 and 1")
            yield np.packbits(block.reshape(len(block), -1), axis=1)
