"""Cars3D (Reed et al., 2015, *Deep visual analogy-making*): 183 cars seen from 96 places.

A tar archive of one MATLAB file a car, whose ``im`` is uint8 (128, 128, 3, 24 azimuths, 4
elevations), and of ``list.txt``, which gives the order of the cars; a directory's order is another.
In canonical order elevation 4, azimuth 24, car 183, the car fastest: 17,568 images, reduced to
64 × 64 by the Lanczos filter.

MATLAB files are parsed only from the archive whose hash is pinned: a damaged one can crash the
parser. Hence there is no way here to read another archive.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import scipy

from stratigraph.data.archives import guarded, tar_files
from stratigraph.data.cache import cache_dir as cache_folder
from stratigraph.data.dataset import Dataset
from stratigraph.data.download import PublishedFile, locate
from stratigraph.data.resizing import check_size, resize
from stratigraph.data.stored import StoredImages, store
from stratigraph.errors import DataError

__all__ = ["load_cars3d"]

FILE = PublishedFile(
    name="nips2015-analogy-data.tar.gz",
    url="http://www.scottreed.info/files/nips2015-analogy-data.tar.gz",
    known_hash="md5:4e866a7919c1beedf53964e6f7a23686",
)
FACTOR_NAMES = ("elevation", "azimuth", "car")
FACTOR_SIZES = (4, 24, 183)
MESH_SHAPE = (128, 128, 3, 24, 4)
MEMBERS = r"data/cars/(list\.txt|car_\w+_mesh\.mat)"
LARGEST = 64 << 20  # a car with its masks, uncompressed, is about a third of that


def load_cars3d(
    *, size: int = 64, root: str | Path | None = None, cache_dir: str | Path | None = None
) -> Dataset:
    """Cars3D at `size` 64 or 32: from `root` (the archive or its folder), or downloaded."""
    size = check_size("cars3d", size, (64, 32))
    path = locate(FILE, root, cache_dir)
    key = FILE.known_hash.partition(":")[2]
    images = StoredImages(
        path=cache_folder(cache_dir) / f"cars3d-{key[:12]}-{size}.npy",
        count=int(np.prod(FACTOR_SIZES)),
        image_shape=(3, size, size),
    )
    return Dataset(
        name="cars3d",
        source=store(images, lambda: _images(path, size)),
        factor_names=FACTOR_NAMES,
        factor_sizes=FACTOR_SIZES,
    )


def _images(path: Path, size: int) -> Iterator[np.ndarray]:
    cars: dict[str, np.ndarray] = {}
    order: list[str] | None = None
    for name, data in tar_files(path, MEMBERS, LARGEST):
        stem = PurePosixPath(name).stem
        if stem == "list":
            lines = data.decode("ascii", errors="replace").split()
            order = [PurePosixPath(line).name.removesuffix(".mat") for line in lines]
        else:
            cars[stem] = _views(path, name, data, size)
    if order is None:
        raise DataError(f"{path} lacks data/cars/list.txt, which gives the order of the cars")
    if sorted(order) != sorted(cars) or len(order) != FACTOR_SIZES[2]:
        raise DataError(
            f"{path}: list.txt names {len(order)} cars and the archive holds {len(cars)}; "
            f"expected the same {FACTOR_SIZES[2]}"
        )
    for elevation in range(FACTOR_SIZES[0]):
        for azimuth in range(FACTOR_SIZES[1]):
            yield np.stack([cars[car][elevation, azimuth] for car in order])


def _views(path: Path, name: str, data: bytes, size: int) -> np.ndarray:
    """All views of one car: (elevation, azimuth, c, h, w)."""
    with guarded(path, f"archive: {name} cannot be parsed"):
        try:
            mesh = scipy.io.loadmat(io.BytesIO(data), variable_names=["im"]).get("im")
        except scipy.io.matlab.MatReadError as error:  # of no kind that other parsers raise
            raise ValueError(str(error)) from error
    if mesh is None or mesh.shape != MESH_SHAPE or mesh.dtype != np.uint8:
        found = "nothing" if mesh is None else f"{mesh.dtype} {mesh.shape}"
        raise DataError(f"{path}: im of {name} is {found}; expected uint8 {MESH_SHAPE}")
    views = np.transpose(mesh, (4, 3, 0, 1, 2)).reshape(-1, *MESH_SHAPE[:3])
    return resize(views, size).reshape(*FACTOR_SIZES[:2], 3, size, size)
