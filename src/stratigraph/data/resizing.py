"""Images of any size and number of channels as those that networks take.

Reduction is by Pillow's Lanczos filter on bytes: its support grows with the reduction, so nothing
aliases, and it clips to 0…255, so a target never leaves [0, 1]. Images of another set are made to
fit a network (`fit`): grey becomes three equal channels, three channels become their luma
0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), and then the whole image is resized, its sides each by
a factor of its own where their ratio is another.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from stratigraph.errors import ConfigError, InputError

__all__ = ["check_size", "fit", "resize"]


def check_size(name: str, size: int, allowed: tuple[int, ...]) -> int:
    """The size, if it is one of those allowed."""
    if isinstance(size, bool) or size not in allowed:
        raise ConfigError(f"{name}: size {size!r}; allowed are {', '.join(map(str, allowed))}")
    return int(size)


def resize(
    images: UInt8[np.ndarray, "b h w c"], size: int
) -> UInt8[np.ndarray, "b c {size} {size}"]:
    """Channels-last images of any size → (b, c, `size`, `size`)."""
    return _resize(images, size, size)


def fit(
    images: UInt8[np.ndarray, "b c h w"], max_value: int, shape: tuple[int, int, int]
) -> UInt8[np.ndarray, "b c2 h2 w2"]:
    """Images of bytes up to `max_value` as bytes up to 255 of another `shape` (c2, h2, w2)."""
    channels, height, width = shape
    images = images * np.uint8(255 // max_value)
    if images.shape[1] == 3 and channels == 1:
        red, green, blue = (images[:, i : i + 1].astype(np.uint32) for i in range(3))
        images = ((299 * red + 587 * green + 114 * blue + 500) // 1000).astype(np.uint8)
    elif images.shape[1] == 1 and channels == 3:
        images = np.repeat(images, 3, axis=1)
    elif images.shape[1] != channels:
        raise InputError(
            f"images of {images.shape[1]} channels for a network that takes {channels}; only 1 "
            "and 3 can be converted."
        )
    return _resize(np.moveaxis(images, 1, -1), height, width)


def _resize(images: np.ndarray, height: int, width: int) -> np.ndarray:
    batch, own_height, own_width, channels = images.shape
    if (own_height, own_width) != (height, width):
        resized = np.empty((batch, height, width, channels), dtype=np.uint8)
        for i, image in enumerate(images):
            picture = Image.fromarray(image[:, :, 0] if channels == 1 else image)
            reduced = np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))
            resized[i] = reduced.reshape(height, width, channels)
        images = resized
    return np.ascontiguousarray(np.moveaxis(images, -1, 1))
