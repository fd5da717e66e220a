"""A folder of pictures (PNG, JPEG, WebP, BMP, TIFF), subfolders included, as a data set.

Pictures are taken in the order of their names, cut to the largest centred square, and reduced or
enlarged to `size`. They are decoded once, into the cache, which is known by the names, sizes and
times of the files: a folder that has changed is decoded anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stratigraph.data.cache import cache_dir as cache_folder
from stratigraph.data.dataset import Dataset
from stratigraph.data.idx import describe_root
from stratigraph.data.pictures import SUFFIXES, Reading, find_pictures, read_pictures
from stratigraph.data.stored import StoredImages, store
from stratigraph.errors import ConfigError, DataError
from stratigraph.identity import digest
from stratigraph.paths import user_path

__all__ = ["load_folder"]

DECODED = 2  # raised when the same files are decoded to other images


def load_folder(
    path: str | Path,
    *,
    size: int = 64,
    colour: bool = True,
    background: int | Sequence[int] = 255,
    values: Sequence[float] | None = None,
    name: str | None = None,
    cache_dir: str | Path | None = None,
) -> Dataset:
    """The pictures of the folder `path`, in three channels or (``colour=False``) in grey.

    Args:
        path: of the folder.
        size: rows and columns of the images.
        colour: three channels.
        background: that transparent pictures are laid over: a grey from 0 to 255, or three colours.
        values: of 16-bit, 32-bit and float pictures, the two that become 0 and 255.
        name: of the set; by default the folder's.
        cache_dir: where the decoded images go.

    Raises:
        ConfigError: an option that cannot be used.
        DataError: no folder, no pictures, or one that cannot be read.

    """
    folder = user_path(path).resolve()
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder")
    try:
        reading = Reading(size, colour, background, values)
    except ConfigError as error:
        raise ConfigError(f"{folder}: {error}") from None
    pictures = find_pictures(folder)
    if not pictures:
        kinds = ", ".join(sorted(SUFFIXES))
        raise DataError(
            f"{folder} holds no pictures; expected files that end in {kinds}{describe_root(folder)}"
        )
    listing = [
        (file.relative_to(folder).as_posix(), file.stat().st_size, file.stat().st_mtime_ns)
        for file in pictures
    ]
    key = digest({"files": listing, "reading": reading, "decoded": DECODED})
    images = StoredImages(
        path=cache_folder(cache_dir) / f"folder-{key[:16]}.npy",
        count=len(pictures),
        image_shape=(3 if colour else 1, size, size),
    )
    return Dataset(
        name=name or folder.name, source=store(images, lambda: read_pictures(pictures, reading))
    )
