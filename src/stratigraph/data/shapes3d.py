"""3D Shapes (Burgess & Kim, 2018, *3D Shapes dataset*): an object in a room, in colour.

An HDF5 file of ``images`` (480000, 64, 64, 3) uint8, in the order floor hue 10, wall hue 10, object
hue 10, scale 8, shape 4, orientation 15, the last fastest. It is compressed in chunks, which makes
random access slow: it is decoded once, into 5.9 GB at 64 × 64, or 1.5 GB at 32 × 32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stratigraph.data.archives import guarded
from stratigraph.data.cache import cache_dir as cache_folder
from stratigraph.data.dataset import Dataset
from stratigraph.data.download import PublishedFile, locate
from stratigraph.data.resizing import check_size, resize
from stratigraph.data.stored import StoredImages, store
from stratigraph.durable import sha256
from stratigraph.errors import DataError

__all__ = ["load_shapes3d"]

FILE = PublishedFile(
    name="3dshapes.h5",
    url="https://storage.googleapis.com/3d-shapes/3dshapes.h5",
    known_hash="sha256:0a0f6ed98baff276a50f3a081a7434d788da63cb135a98189b2a5b5769be1785",
)
FACTOR_NAMES = ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
FACTOR_SIZES = (10, 10, 10, 8, 4, 15)
IMAGE = (64, 64, 3)
BLOCK = 2000


def load_shapes3d(
    *,
    size: int = 64,
    root: str | Path | None = None,
    verify: bool = True,
    cache_dir: str | Path | None = None,
) -> Dataset:
    """3D Shapes at `size` 64 or 32: from `root` (the file or its folder), or downloaded (268 MB).

    With ``verify=False`` a file in `root` is read by its format alone, whatever its hash.
    """
    size = check_size("shapes3d", size, (64, 32))
    path = locate(FILE, root, cache_dir, verify)
    key = FILE.known_hash.partition(":")[2] if verify or root is None else sha256(path)
    images = StoredImages(
        path=cache_folder(cache_dir) / f"shapes3d-{key[:12]}-{size}.npy",
        count=math.prod(FACTOR_SIZES),
        image_shape=(3, size, size),
    )
    return Dataset(
        name="shapes3d",
        source=store(images, lambda: _images(path, size)),
        factor_names=FACTOR_NAMES,
        factor_sizes=FACTOR_SIZES,
    )


def _images(path: Path, size: int) -> Iterator[np.ndarray]:
    import h5py

    expected = (math.prod(FACTOR_SIZES), *IMAGE)
    with guarded(path, "HDF5 file"), h5py.File(path, "r") as file:
        images = file.get("images")
        if not isinstance(images, h5py.Dataset):
            raise DataError(f"{path} lacks 'images'; it holds {', '.join(list(file)[:10])}")
        if images.shape != expected or images.dtype != np.uint8:
            raise DataError(
                f"{path}: images is {images.dtype} {images.shape}; expected uint8 {expected}"
            )
        for start in range(0, len(images), BLOCK):
            yield resize(images[start : start + BLOCK], size)
