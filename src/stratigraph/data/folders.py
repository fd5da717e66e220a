"""A folder of pictures (PNG, JPEG, WebP, BMP, TIFF), subfolders included, as a data set.

Pictures are taken in the order of their names, cut to the largest centred square, and reduced or
enlarged to `size`. They are decoded once, into the cache, which is known by the names, sizes and
times of the files: a folder that has changed is decoded anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from stratigraph.data.cache import cache_dir as cache_folder
from stratigraph.data.dataset import Dataset
from stratigraph.data.stored import StoredImages, store
from stratigraph.errors import ConfigError, DataError
from stratigraph.identity import digest

__all__ = ["load_folder"]

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
LARGEST_SIZE = 1024


def load_folder(
    path: str | Path,
    *,
    size: int = 64,
    colour: bool = True,
    name: str | None = None,
    cache_dir: str | Path | None = None,
) -> Dataset:
    """The pictures of the folder `path`, in three channels or (``colour=False``) in grey."""
    folder = Path(path).expanduser().resolve()
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder")
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= LARGEST_SIZE:
        raise ConfigError(f"{folder}: size {size!r}; expected an integer from 1 to {LARGEST_SIZE}")
    if not isinstance(colour, bool):
        raise ConfigError(f"{folder}: colour {colour!r}; expected true or false")
    pictures = sorted(
        (file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file()),
        key=lambda file: file.relative_to(folder).as_posix(),
    )
    if not pictures:
        kinds = ", ".join(sorted(SUFFIXES))
        raise DataError(f"{folder} holds no pictures; expected files that end in {kinds}")
    listing = [
        (file.relative_to(folder).as_posix(), file.stat().st_size, file.stat().st_mtime_ns)
        for file in pictures
    ]
    key = digest({"files": listing, "size": size, "colour": colour})
    images = StoredImages(
        path=cache_folder(cache_dir) / f"folder-{key[:16]}.npy",
        count=len(pictures),
        image_shape=(3 if colour else 1, size, size),
    )
    return Dataset(
        name=name or folder.name, source=store(images, lambda: _images(pictures, size, colour))
    )


def _images(pictures: list[Path], size: int, colour: bool) -> Iterator[np.ndarray]:
    for file in pictures:
        try:
            with Image.open(file) as picture:
                upright = ImageOps.exif_transpose(picture).convert("RGB" if colour else "L")
                square = ImageOps.fit(upright, (size, size), Image.Resampling.LANCZOS)
        except (
            UnidentifiedImageError,
            Image.DecompressionBombError,
            OSError,
            SyntaxError,
            ValueError,
        ) as error:
            raise DataError(f"{file} cannot be read as a picture: {error}") from error
        pixels = np.asarray(square).reshape(size, size, -1)
        yield np.moveaxis(pixels, -1, 0)[None]
