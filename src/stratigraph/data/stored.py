"""Images of a set that was decoded once into one ``.npy`` file of the cache.

Published files are compressed, in an order of their own, and often of another size than networks
take. They are read once, and written as uint8 images (n, c, h, w), or as one bit a pixel where
images are binary; afterwards a batch is a few reads of a plain file.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from stratigraph.data.cache import check_array, open_array, read_checksum, write_array
from stratigraph.errors import DataError, IntegrityError
from stratigraph.shapes import BytesImages, Indices

__all__ = ["StoredImages", "store"]

BYTE = np.dtype(np.uint8)


@final
@dataclass(frozen=True)
class StoredImages:
    """`count` images in the file at `path`: bytes, or (`packed`) rows of bits."""

    path: Path
    count: int
    image_shape: tuple[int, int, int]
    max_value: int = 255
    packed: bool = False

    def __len__(self) -> int:
        return self.count

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """Shape of the array in the file."""
        if self.packed:
            return (self.count, int(np.prod(self.image_shape)) // 8)
        return (self.count, *self.image_shape)

    def read(self, indices: Indices) -> BytesImages:
        """Read the rows at `indices`."""
        array = open_array(self.path, self.stored_shape, BYTE)
        if array is None:
            raise DataError(f"{self.path} is gone; load the data set again to decode it")
        rows = array.take(indices)
        return np.unpackbits(rows, axis=1).reshape(-1, *self.image_shape) if self.packed else rows

    def prepare(self) -> None:
        """Check that the file holds the bytes that were written."""
        check_array(self.path)

    def fingerprint(self) -> str:
        """SHA-256 of the decoded file."""
        return read_checksum(self.path)


def store(images: StoredImages, blocks: Callable[[], Iterable[np.ndarray]]) -> StoredImages:
    """The images, written from `blocks` unless their file is there."""
    try:
        if open_array(images.path, images.stored_shape, BYTE) is not None:
            read_checksum(images.path)
            return images
    except IntegrityError as error:
        warnings.warn(f"decoding again: {error}", stacklevel=2)
    write_array(images.path, images.stored_shape, BYTE, blocks())
    return images
