"""The user's own images: an array in memory, or a ``.npy`` or ``.npz`` file.

**Axes.** (n, h, w) is grey. In (n, a, b, c) the axis of the channels is the one of length 1 or 3:
the second (n, c, h, w) or the last (n, h, w, c). Where both are, or neither is, say which with
``channels="first"`` or ``channels="last"``.

**Values.** uint8 from 0 to 255, where an array that holds 0 and 1 only is taken for binary; bool;
or floats in [0, 1], which are rounded to 1/255. Anything else is refused, and never rescaled in
silence.

A C-ordered uint8 ``.npy`` file is read where it lies. Other files are converted once, into the
cache. An array in memory travels with the data set to every worker: for more than a few hundred
megabytes, save it and give the path.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np

from stratigraph.data.archives import array_stream, guarded, npz_keys
from stratigraph.data.cache import cache_dir as cache_folder, open_array
from stratigraph.data.dataset import Dataset
from stratigraph.data.download import check_file
from stratigraph.data.stored import StoredImages, store
from stratigraph.durable import sha256
from stratigraph.errors import ConfigError, DataError, IntegrityError
from stratigraph.paths import user_path
from stratigraph.shapes import BytesImages, Indices

__all__ = [
    "ArrayFile",
    "ArrayImages",
    "arrange",
    "as_bytes",
    "load_array",
    "load_array_file",
    "order_axes",
]

USUAL_KEYS = ("images", "imgs", "x", "arr_0")
CHANNELS = (1, 3)


@final
@dataclass(frozen=True, eq=False)
class ArrayImages:
    """Images held in memory, uint8 (n, c, h, w)."""

    array: np.ndarray = field(repr=False)
    max_value: int

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, rows, columns."""
        channels, height, width = self.array.shape[1:]
        return channels, height, width

    def __len__(self) -> int:
        return len(self.array)

    def read(self, indices: Indices) -> BytesImages:
        """Copies of some images."""
        return self.array[indices]

    def prepare(self) -> None:
        """Nothing to do."""

    def fingerprint(self) -> str:
        """SHA-256 of the shape and the bytes."""
        hasher = hashlib.sha256(f"{self.array.shape} of {self.max_value}".encode())
        hasher.update(np.ascontiguousarray(self.array).data)
        return hasher.hexdigest()


@final
@dataclass(frozen=True)
class ArrayFile:
    """A uint8 ``.npy`` file of the user's, read where it lies; `axes` puts the channels second."""

    path: Path
    stored_shape: tuple[int, ...]
    axes: tuple[int, ...]
    max_value: int
    sha256: str

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, rows, columns."""
        shape = (*self.stored_shape, 1)
        return shape[self.axes[1]], shape[self.axes[2]], shape[self.axes[3]]

    def __len__(self) -> int:
        return self.stored_shape[0]

    def read(self, indices: Indices) -> BytesImages:
        """Read the rows at `indices`."""
        array = open_array(self.path, self.stored_shape, np.dtype(np.uint8))
        if array is None:
            raise DataError(f"{self.path} is gone")
        return arrange(array.take(indices), self.axes)

    def prepare(self) -> None:
        """Check that the file is the one that was loaded."""
        found = sha256(self.path)
        if found != self.sha256:
            raise IntegrityError(
                f"{self.path}: its SHA-256 is {found}; it was {self.sha256} when it was loaded"
            )

    def fingerprint(self) -> str:
        """SHA-256 of the file."""
        return self.sha256


def load_array(array: np.ndarray, *, name: str = "array", channels: str | None = None) -> Dataset:
    """An array in memory, as the module's text says."""
    if isinstance(array, np.ma.MaskedArray):
        raise DataError(f"{name}: a masked array; fill or drop what is masked first")
    axes = order_axes(name, array.shape, channels)
    _check_type(name, array.dtype)
    top = _check_values(name, [array])
    return Dataset(name=name, source=ArrayImages(arrange(as_bytes(array, top), axes), top))


def load_array_file(
    path: str | Path,
    *,
    name: str | None = None,
    key: str | None = None,
    channels: str | None = None,
    cache_dir: str | Path | None = None,
) -> Dataset:
    """A ``.npy`` file, or the array `key` of a ``.npz`` file.

    Without `key` it is the array called images, imgs, x or arr_0, or the only one.
    """
    path = user_path(path).resolve()
    if not path.is_file():
        raise DataError(f"{path} is not a file")
    check_file(path, None)
    name = name or path.stem
    if path.suffix == ".npz":
        key = key or _choose_key(path)
    elif key is not None:
        raise ConfigError(f"{path}: a .npy file holds one array and has no key {key!r}")
    with array_stream(path, key) as stream:
        shape, dtype = stream.shape, stream.dtype
        axes = order_axes(str(path), shape, channels)
        _check_type(str(path), dtype)
        top = _check_values(str(path), stream.blocks())
    content = sha256(path)
    if key is None and dtype == np.uint8:
        return Dataset(name=name, source=ArrayFile(path, shape, axes, top, content))
    settings = hashlib.sha256(f"{content} {key} {axes}".encode()).hexdigest()

    def blocks() -> Iterator[np.ndarray]:
        with array_stream(path, key) as stream:
            for block in stream.blocks():
                yield arrange(as_bytes(block, top), axes)

    extended = (*shape, 1)
    images = StoredImages(
        path=cache_folder(cache_dir) / f"array-{settings[:16]}.npy",
        count=shape[0],
        image_shape=(extended[axes[1]], extended[axes[2]], extended[axes[3]]),
        max_value=top,
    )
    return Dataset(name=name, source=store(images, blocks))


def as_bytes(array: np.ndarray, max_value: int = 255) -> np.ndarray:
    """Values of [0, 1] as bytes from 0 to `max_value`; bytes stay as they are."""
    if array.dtype.kind in ("b", "u"):
        return array.astype(np.uint8, copy=False)
    precision = np.promote_types(array.dtype, np.float32)
    return np.rint(np.multiply(array, max_value, dtype=precision)).astype(np.uint8)


def _choose_key(path: Path) -> str:
    with guarded(path, ".npz archive"), zipfile.ZipFile(path) as archive:
        keys = npz_keys(archive)
    usual = [key for key in USUAL_KEYS if key in keys]
    if usual or len(keys) == 1:
        return (usual or keys)[0]
    raise DataError(
        f"{path} holds {', '.join(keys[:10]) or 'no arrays'}; say which are the images with key="
    )


def order_axes(name: str, shape: tuple[int, ...], channels: str | None) -> tuple[int, ...]:
    """The order that puts an array of this shape (and a last axis of 1) into n, c, h, w."""
    if channels not in (None, "first", "last"):
        raise ConfigError(f"{name}: channels {channels!r}; allowed are 'first' and 'last'")
    if 0 in shape or len(shape) not in (3, 4):
        raise DataError(
            f"{name}: an array of shape {shape}; expected (n, h, w), (n, h, w, c) or (n, c, h, w)"
        )
    if len(shape) == 3:
        return (0, 3, 1, 2)
    first, last = shape[1] in CHANNELS, shape[3] in CHANNELS
    if channels is None and first == last:
        raise DataError(
            f"{name}: which axis of {shape} holds the channels? One of length 1 or 3 is expected "
            "in second or last place; say channels='first' or 'last'"
        )
    return (0, 1, 2, 3) if channels == "first" or (channels is None and first) else (0, 3, 1, 2)


def arrange(array: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The array with its axes in this order, (n, h, w) as (n, h, w, 1)."""
    extended = array[..., None] if array.ndim == 3 else array
    return np.ascontiguousarray(np.transpose(extended, axes))


def _check_type(name: str, dtype: np.dtype[Any]) -> None:
    if dtype != np.uint8 and dtype.kind not in ("b", "f"):
        raise DataError(
            f"{name}: an array of {dtype}; expected uint8, bool, or floats in [0, 1]. Values from "
            "0 to 255 become uint8 with .astype(numpy.uint8); divide others by their largest "
            "possible value, such as 65535 for 16 bits"
        )


def _check_values(name: str, blocks: Iterable[np.ndarray]) -> int:
    """The byte that stands for 1.0: 1 if all values are 0 or 1, else 255."""
    binary = True
    for block in blocks:
        if block.dtype.kind == "f":
            unknown = int((~np.isfinite(block)).sum())
            if unknown:
                raise DataError(f"{name}: {unknown} values are NaN or infinite; expected [0, 1]")
            low, high = float(block.min()), float(block.max())
            if low < 0 or high > 1:
                raise DataError(
                    f"{name}: values from {low:g} to {high:g}; floats are expected in [0, 1]. "
                    "Divide values from 0 to 255 by 255, or save them as uint8"
                )
        binary = binary and bool(((block == 0) | (block == 1)).all())
    return 1 if binary else 255
