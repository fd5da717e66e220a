"""Any map-style `torch.utils.data.Dataset` as a data set.

An item is an image, or a tuple that an image leads (what follows, a label say, is not used). An
image is a tensor or an array, (c, h, w) or (h, w), uint8 from 0 to 255 or floats in [0, 1], and all
are of one shape. Random transforms would give other images at every look: leave them out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset, IterableDataset

from stratigraph.data.arrays import as_bytes
from stratigraph.data.dataset import Dataset
from stratigraph.errors import DataError, InputError
from stratigraph.shapes import BytesImages, Indices

__all__ = ["TorchImages", "load_torch"]

LOOKS = 64  # images of a fingerprint


@final
@dataclass(frozen=True, eq=False)
class TorchImages:
    """The images of a map-style set, asked for one by one."""

    items: TorchDataset[Any] | Sequence[Any] = field(repr=False)
    count: int
    image_shape: tuple[int, int, int]
    max_value: int = 255

    def __len__(self) -> int:
        return self.count

    def read(self, indices: Indices) -> BytesImages:
        """Ask the set for some items."""
        images = np.empty((len(indices), *self.image_shape), dtype=np.uint8)
        for place, index in enumerate(indices.tolist()):
            image = _image(self.items, index)
            if image.shape != self.image_shape:
                raise DataError(
                    f"item {index} is an image of shape {image.shape}; the first is "
                    f"{self.image_shape}, and all must be of one shape"
                )
            images[place] = image
        return images

    def prepare(self) -> None:
        """Nothing to do."""

    def fingerprint(self) -> str:
        """SHA-256 of the length and of 64 images, evenly spaced: all might take minutes."""
        looked_at = np.unique(np.linspace(0, self.count - 1, LOOKS).astype(np.int64))
        hasher = hashlib.sha256(f"{self.count} of {self.image_shape}".encode())
        hasher.update(self.read(looked_at).data)
        return hasher.hexdigest()


def load_torch(items: TorchDataset[Any] | Sequence[Any], *, name: str | None = None) -> Dataset:
    """A map-style torch data set, as the module's text says."""
    if isinstance(items, IterableDataset) or not hasattr(items, "__len__"):
        raise InputError(
            f"{type(items).__name__} is not a map-style data set: it needs __getitem__ and __len__"
        )
    count = len(items)
    if count == 0:
        raise InputError(f"{type(items).__name__} has no items")
    channels, height, width = _image(items, 0).shape
    source = TorchImages(items, count, (channels, height, width))
    return Dataset(name=name or type(items).__name__, source=source)


def _image(items: TorchDataset[Any] | Sequence[Any], index: int) -> np.ndarray:
    item = items[index]
    if isinstance(item, tuple | list) and item:
        item = item[0]
    if isinstance(item, Tensor):
        tensor = item.detach().cpu()
        item = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    if not isinstance(item, np.ndarray) or item.ndim not in (2, 3):
        found = item.shape if isinstance(item, np.ndarray) else type(item).__name__
        raise DataError(
            f"item {index} is {found}; expected an image (c, h, w) or (h, w), as a tensor or "
            f"array; torchvision's ToTensor makes one of a picture"
        )
    if item.dtype == np.uint8:
        return item if item.ndim == 3 else item[None]
    if item.dtype.kind not in ("b", "f"):
        raise DataError(f"item {index} is of {item.dtype}; expected uint8, or floats in [0, 1]")
    # The negation also catches NaN.
    if item.dtype.kind == "f" and not (item.min() >= 0 and item.max() <= 1):
        raise DataError(
            f"item {index} holds values from {item.min():g} to {item.max():g}; floats are expected "
            f"in [0, 1]: leave out a normalising transform, divide 0 to 255 by 255"
        )
    unit = item.astype(np.float32) if item.dtype.kind == "b" else item
    return as_bytes(unit).reshape(-1, *item.shape[-2:])
