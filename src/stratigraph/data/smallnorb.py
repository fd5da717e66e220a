"""SmallNORB (LeCun et al., 2004, *Learning methods for generic object recognition*): toys, grey.

Six gzip files in a matrix format of its own. A header of little-endian int32: the magic number of
the type, the number of dimensions, then that many dimensions but three at least (unused ones are
1). ``dat`` is uint8 (24300, 2 cameras, 96, 96), of which the first camera is taken; ``cat`` int32
(24300,) is the category; ``info`` int32 (24300, 4) is instance, elevation, azimuth (0, 2 … 34,
halved here) and lighting. Training and testing parts hold five instances each of a category, and
their rows are in no order of the factors: together they fill the grid category 5, instance 10,
elevation 9, azimuth 18, lighting 6, of 48,600 images.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stratigraph.data.archives import ArrayStream, guarded, gzip_bytes
from stratigraph.data.cache import cache_dir as cache_folder
from stratigraph.data.dataset import Dataset
from stratigraph.data.download import PublishedFile, locate
from stratigraph.data.resizing import check_size, resize
from stratigraph.data.stored import StoredImages, store
from stratigraph.durable import sha256
from stratigraph.errors import ConfigError, DataError
from stratigraph.paths import user_path

__all__ = ["load_smallnorb"]

PLACE = "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/"
HASHES = {
    "5x46789x9x18x6x2x96x96-training-dat": (
        "5ffd6272a07d32695ee1082a26a41a93a37aab8c28da047f8c34ed348d214873"
    ),
    "5x46789x9x18x6x2x96x96-training-cat": (
        "2784e542c1922060691090952b6cd6278879a216c90f81476f0f00256d42cdaa"
    ),
    "5x46789x9x18x6x2x96x96-training-info": (
        "de7eb932ebe7a4ee16217fead60660d0eb3d23632c2f4d1c51f88c501c17bf32"
    ),
    "5x01235x9x18x6x2x96x96-testing-dat": (
        "cf7104eed3e51174d2f65b66d1e5878b9da233b886f161b0d88f4510ba2c7474"
    ),
    "5x01235x9x18x6x2x96x96-testing-cat": (
        "ecaf6d5bb8c3bc5eab9cf0258f6d2198dd474e016e374836fc097f2e5ff509ff"
    ),
    "5x01235x9x18x6x2x96x96-testing-info": (
        "16adf314226327ee006d1a44db8cfef52773c06c829951d5653a9f6f310248a2"
    ),
}
FILES = {
    name: PublishedFile(
        name=f"smallnorb-{name}.mat.gz",
        url=f"{PLACE}smallnorb-{name}.mat.gz",
        known_hash=f"sha256:{hexadecimal}",
    )
    for name, hexadecimal in HASHES.items()
}
PARTS = tuple(name.removesuffix("-dat") for name in HASHES if name.endswith("-dat"))
MAGIC = {
    0x1E3D4C51: np.dtype("<f4"),
    0x1E3D4C53: np.dtype("<f8"),
    0x1E3D4C54: np.dtype("<i4"),
    0x1E3D4C55: np.dtype("u1"),
    0x1E3D4C56: np.dtype("<i2"),
}
ROWS = 24_300
SIDE = 96
FACTOR_NAMES = ("category", "instance", "elevation", "azimuth", "lighting")
FACTOR_SIZES = (5, 10, 9, 18, 6)


def load_smallnorb(
    *,
    size: int = 64,
    root: str | Path | None = None,
    verify: bool = True,
    cache_dir: str | Path | None = None,
) -> Dataset:
    """SmallNORB at `size` 64, 32 or 96: from the six files in `root`, or downloaded (250 MB).

    With ``verify=False`` files in `root` are read by their format alone, whatever their hashes.
    """
    size = check_size("smallnorb", size, (64, 32, 96))
    if root is not None and not user_path(root).is_dir():
        raise ConfigError(f"smallnorb: root {str(root)!r} is not a folder; it holds six files")
    paths = {name: locate(file, root, cache_dir, verify) for name, file in FILES.items()}
    hashes = list(HASHES.values())
    if root is not None and not verify:
        hashes = [sha256(path) for path in paths.values()]
    key = hashlib.sha256("".join(hashes).encode()).hexdigest()
    images = StoredImages(
        path=cache_folder(cache_dir) / f"smallnorb-{key[:12]}-{size}.npy",
        count=math.prod(FACTOR_SIZES),
        image_shape=(1, size, size),
    )
    return Dataset(
        name="smallnorb",
        source=store(images, lambda: _images(paths, size)),
        factor_names=FACTOR_NAMES,
        factor_sizes=FACTOR_SIZES,
    )


def _images(paths: dict[str, Path], size: int) -> Iterator[np.ndarray]:
    """All images in the order of their factors."""
    ordered = np.zeros((math.prod(FACTOR_SIZES), 1, size, size), dtype=np.uint8)
    filled = np.zeros(len(ordered), dtype=bool)
    for part in PARTS:
        places = _places(paths[f"{part}-cat"], paths[f"{part}-info"])
        start = 0
        for block in _matrix(paths[f"{part}-dat"], "u1", (ROWS, 2, SIDE, SIDE)):
            chosen = places[start : start + len(block)]
            ordered[chosen] = resize(block[:, 0, :, :, None], size)
            filled[chosen] = True
            start += len(block)
    if not filled.all():
        missing = np.unravel_index(int(np.flatnonzero(~filled)[0]), FACTOR_SIZES)
        raise DataError(
            f"{paths[f'{PARTS[0]}-dat'].parent}: {(~filled).sum()} combinations of the factors have"
            f" no image, the first {dict(zip(FACTOR_NAMES, map(int, missing), strict=True))}"
        )
    yield ordered


def _places(cat: Path, info: Path) -> np.ndarray:
    """Where each row of a part belongs in the grid of the factors."""
    category = np.concatenate(list(_matrix(cat, "<i4", (ROWS,))))
    columns = np.concatenate(list(_matrix(info, "<i4", (ROWS, 4))))
    if (columns[:, 2] % 2).any():
        raise DataError(f"{info}: it holds an odd azimuth; expected 0, 2 … 34")
    instance, elevation, azimuth, lighting = columns.T
    factors = np.stack([category, instance, elevation, azimuth // 2, lighting])
    outside = (factors < 0) | (factors >= np.array(FACTOR_SIZES)[:, None])
    if outside.any():
        factor, row = np.argwhere(outside)[0]
        raise DataError(
            f"{info}: {FACTOR_NAMES[factor]} of row {row} is {factors[factor, row]}; "
            f"allowed are 0 to {FACTOR_SIZES[factor] - 1}"
        )
    return np.ravel_multi_index(tuple(factors), FACTOR_SIZES)


def _matrix(path: Path, dtype: str, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Blocks of rows of one file, whose header must declare this type and shape."""
    with guarded(path, "gzip file"), gzip_bytes(path) as stream:
        magic, dimensions = struct.unpack("<ii", _exactly(stream.read(8), 8))
        if magic not in MAGIC:
            raise DataError(f"{path}: its magic number is {magic:#x}; expected a SmallNORB matrix")
        length = 4 * max(3, min(dimensions, 8))
        declared = struct.unpack(f"<{length // 4}i", _exactly(stream.read(length), length))
        found = declared[: max(0, dimensions)]
        if MAGIC[magic] != np.dtype(dtype) or found != shape:
            raise DataError(
                f"{path}: it declares {MAGIC[magic]} {found}; expected {np.dtype(dtype)} {shape}"
            )
        yield from ArrayStream(path, stream, shape, np.dtype(dtype)).blocks()
        if stream.read(1):
            raise DataError(f"{path}: it goes on after the {shape} values that it declares")


def _exactly(data: bytes, length: int) -> bytes:
    if len(data) != length:
        raise EOFError("it ends inside its header")
    return data
