"""Any map-style `torch.utils.data.Dataset` as a data set.

An item is an image, or a tuple that an image leads (what follows, a label say, is not used). An
image is a tensor or an array, (h, w), (c, h, w) or (h, w, c), uint8 from 0 to 255 or floats in
[0, 1], and all are of one shape. The axis of the channels is known as of an array
(`stratigraph.data.arrays`). Bytes that are 0 and 1 alone, in all of the 64 images looked at, are
binary, as in an array. Random transforms would give other images at every look: leave them out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset, IterableDataset

from stratigraph.data.arrays import arrange, as_bytes, order_axes
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
    channels: str | None = None
    max_value: int = 255

    def __len__(self) -> int:
        return self.count

    def read(self, indices: Indices) -> BytesImages:
        """Ask the set for some items."""
        images = np.empty((len(indices), *self.image_shape), dtype=np.uint8)
        for place, index in enumerate(indices.tolist()):
            image = _image(self.items, index, self.channels)
            if image.shape != self.image_shape:
                raise DataError(
                    f"item {index} is an image of shape {image.shape}; the first is "
                    f"{self.image_shape}, and all must have the same shape"
                )
            if image.max() > self.max_value:
                raise DataError(
                    f"item {index} holds bytes up to {image.max()}; earlier ones hold only 0 and "
                    "1, as binary images do. All must be of one kind: 0 to 255, or 0 and 1"
                )
            images[place] = image
        return images

    def prepare(self) -> None:
        """Nothing to do."""

    def fingerprint(self) -> str:
        """SHA-256 of the length and of 64 images, evenly spaced: all might take minutes."""
        hasher = hashlib.sha256(f"{self.count} of {self.image_shape}".encode())
        hasher.update(self.read(_looked_at(self.count)).data)
        return hasher.hexdigest()


def load_torch(
    items: TorchDataset[Any] | Sequence[Any],
    *,
    name: str | None = None,
    channels: str | None = None,
) -> Dataset:
    """A map-style torch data set, as the module's text says."""
    if isinstance(items, IterableDataset) or not hasattr(items, "__len__"):
        raise InputError(
            f"{type(items).__name__} is not a map-style data set: it needs __getitem__ and __len__"
        )
    count = len(items)
    if count == 0:
        raise InputError(f"{type(items).__name__} has no items")
    depth, height, width = _image(items, 0, channels).shape
    source = TorchImages(items, count, (depth, height, width), channels)
    looks = (_item(items, int(i)) for i in _looked_at(count))
    if all(item.dtype == np.uint8 and item.max() <= 1 for item in looks):
        source = replace(source, max_value=1)
    return Dataset(name=name or type(items).__name__, source=source)


def _looked_at(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, LOOKS).astype(np.int64))


def _item(items: TorchDataset[Any] | Sequence[Any], index: int) -> np.ndarray:
    """Item ``index`` as the set gives it."""
    item = items[index]
    if isinstance(item, tuple | list) and item:
        item = item[0]
    if isinstance(item, Tensor):
        tensor = item.detach().cpu()
        item = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    if not isinstance(item, np.ndarray) or item.ndim not in (2, 3):
        found = item.shape if isinstance(item, np.ndarray) else type(item).__name__
        raise DataError(
            f"item {index} is {found}; expected an image (h, w), (c, h, w) or (h, w, c), as a "
            f"tensor or array; torchvision's ToTensor makes one of a picture"
        )
    return item


def _image(
    items: TorchDataset[Any] | Sequence[Any], index: int, channels: str | None
) -> np.ndarray:
    """Item ``index`` as bytes (c, h, w)."""
    item = _item(items, index)
    if item.dtype != np.uint8 and item.dtype.kind not in ("b", "f"):
        raise DataError(f"item {index} is of {item.dtype}; expected uint8, or floats in [0, 1]")
    # The negation also catches NaN.
    if item.dtype.kind == "f" and not (item.min() >= 0 and item.max() <= 1):
        raise DataError(
            f"item {index} holds values from {item.min():g} to {item.max():g}; floats are expected "
            f"in [0, 1]: leave out a normalising transform, divide 0 to 255 by 255"
        )
    unit = item.astype(np.float32) if item.dtype.kind == "b" else item
    axes = order_axes(f"item {index}, as one of a batch", (1, *item.shape), channels)
    return arrange(as_bytes(unit)[None], axes)[0]
