"""Images of any size as the square ones that networks take.

Reduction is by Pillow's Lanczos filter on bytes: its support grows with the reduction, so nothing
aliases, and it clips to 0…255, so a target never leaves [0, 1].
"""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from stratigraph.errors import ConfigError

__all__ = ["check_size", "resize"]


def check_size(name: str, size: int, allowed: tuple[int, ...]) -> int:
    """The size, if it is one of those allowed."""
    if isinstance(size, bool) or size not in allowed:
        raise ConfigError(f"{name}: size {size!r}; allowed are {', '.join(map(str, allowed))}")
    return int(size)


def resize(
    images: UInt8[np.ndarray, "b h w c"], size: int
) -> UInt8[np.ndarray, "b c {size} {size}"]:
    """Channels-last images of any size → (b, c, `size`, `size`)."""
    batch, height, width, channels = images.shape
    if (height, width) != (size, size):
        resized = np.empty((batch, size, size, channels), dtype=np.uint8)
        for i, image in enumerate(images):
            picture = Image.fromarray(image[:, :, 0] if channels == 1 else image)
            reduced = np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS))
            resized[i] = reduced.reshape(size, size, channels)
        images = resized
    return np.ascontiguousarray(np.moveaxis(images, -1, 1))
