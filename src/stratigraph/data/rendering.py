"""The geometry of the rendered sprites: three polygons sampled at pixel centres.

A sprite of scale s, orientation t and position (posX, posY) in [0, 1]² on 64 × 64 pixels, y down::

    cx = 16 + 32·posX,            cy = 16 + 32·posY
    dx = (x + .5 − cx)/s,         dy = (y + .5 − cy)/s
    u = dx·cos t − dy·sin t,      v = dx·sin t + dy·cos t

    square    |u| ≤ 9.599  and  |v| ≤ 9.599
    ellipse   (u/12.768)² + (v/7.212)² ≤ 1
    heart     hypot(u, v) ≤ R(atan2(|u|, −v)),  R linear between 49 equal steps of [0, π]

The constants were fitted to 320 labelled frames of dSprites (Matthey et al., 2017, *dSprites:
Disentanglement testing sprites dataset*): 298 come out exactly, no other is wrong in more than two
pixels. At 32 × 32 the same geometry is sampled at the centres of pixels twice as wide.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, UInt8

from stratigraph.shapes import Factors

__all__ = [
    "FACTOR_NAMES",
    "FACTOR_SIZES",
    "RENDERER",
    "SHAPES",
    "SIZES",
    "render",
    "render_all_packed",
]

RENDERER = 1  # raise it whenever a pixel changes: it is part of every fingerprint and cache name
SIZES = (32, 64)
SHAPES = ("square", "ellipse", "heart")
FACTOR_NAMES = ("shape", "scale", "orientation", "x", "y")
FACTOR_SIZES = (3, 6, 40, 32, 32)

HALF_SIDE = 9.599
HALF_AXES = (12.768, 7.212)
# fmt: off
RADII = np.array([
    5.061, 6.289, 7.32, 8.159, 8.889, 9.514, 10.033, 10.41, 10.73, 10.97, 11.124, 11.212, 11.292,
    11.246, 11.164, 11.102, 10.866, 10.693, 10.37, 10.079, 9.679, 9.305, 8.932, 8.512, 8.118, 7.765,
    7.417, 7.148, 6.874, 6.662, 6.455, 6.352, 6.112, 6.068, 5.976, 5.926, 5.957, 5.893, 5.988,
    5.889, 6.141, 6.188, 6.379, 6.55, 6.857, 7.206, 7.683, 8.293, 9.608,
])
# fmt: on
ANGLES = np.linspace(0.0, np.pi, len(RADII))
REACH = (HALF_SIDE * np.sqrt(2.0), max(HALF_AXES), float(RADII.max()))

SCALE = np.linspace(0.5, 1.0, FACTOR_SIZES[1])
# The last orientation is 2π: taken modulo one turn, it is the first one to the last bit.
TURNS = FACTOR_SIZES[2] - 1
ORIENTATION = np.arange(FACTOR_SIZES[2]) % TURNS * (2.0 * np.pi / TURNS)
CENTRE = 16.0 + 32.0 * (np.arange(FACTOR_SIZES[3]) / (FACTOR_SIZES[3] - 1))


def _inside(shape: int, u: Float[np.ndarray, ...], v: Float[np.ndarray, ...]) -> np.ndarray:
    """Which points, in the sprite's own axes, belong to it."""
    if SHAPES[shape] == "square":
        return (np.abs(u) <= HALF_SIDE) & (np.abs(v) <= HALF_SIDE)
    if SHAPES[shape] == "ellipse":
        return (u / HALF_AXES[0]) ** 2 + (v / HALF_AXES[1]) ** 2 <= 1.0
    radius = np.hypot(u, v)
    mask = radius <= RADII.min()
    # Only the ring between the least and the greatest radius needs an angle.
    ring = ~mask & (radius <= RADII.max())
    angle = np.arctan2(np.abs(u[ring]), -v[ring])
    mask[ring] = radius[ring] <= np.interp(angle, ANGLES, RADII)
    return mask


def _pixel_centres(size: int) -> Float[np.ndarray, " size"]:
    return (np.arange(size) + 0.5) * (64 / size)


def render(factors: Factors, size: int) -> Bool[np.ndarray, "b size size"]:
    """Some sprites, each evaluated at every pixel."""
    masks = np.zeros((len(factors), size, size), dtype=bool)
    pixels = _pixel_centres(size)
    for shape in range(len(SHAPES)):
        rows = np.flatnonzero(factors[:, 0] == shape)
        for chosen in np.array_split(rows, max(1, len(rows) // 128)):
            _, scale, turn, x, y = factors[chosen].T
            dx = (pixels - CENTRE[x][:, None]) / SCALE[scale][:, None]
            dy = (pixels - CENTRE[y][:, None]) / SCALE[scale][:, None]
            cos = np.cos(ORIENTATION[turn])[:, None]
            sin = np.sin(ORIENTATION[turn])[:, None]
            u = (dx * cos)[:, None, :] - (dy * sin)[:, :, None]
            v = (dx * sin)[:, None, :] + (dy * cos)[:, :, None]
            masks[chosen] = _inside(shape, u, v)
    return masks


def render_all_packed(size: int) -> Iterator[UInt8[np.ndarray, "block bytes"]]:
    """Every sprite in canonical order, bit-packed, in blocks of one shape, scale and orientation.

    The same arithmetic as `render`, at the pixels that the sprite can reach only.
    """
    for shape in range(len(SHAPES)):
        for scale in range(FACTOR_SIZES[1]):
            first = _render_everywhere(shape, scale, 0, size)
            yield first
            for turn in range(1, TURNS):
                yield _render_everywhere(shape, scale, turn, size)
            yield first  # a full turn


def _render_everywhere(shape: int, scale: int, turn: int, size: int) -> np.ndarray:
    """One sprite at all 32 × 32 positions, y fastest."""
    pixels = _pixel_centres(size)
    width = 64 / size
    reach = REACH[shape] * SCALE[scale]
    window = min(size, int(np.ceil(2 * reach / width)) + 1)
    start = np.ceil((CENTRE - reach) / width - 0.5).astype(int).clip(0, size - window)
    offsets = (pixels[start[:, None] + np.arange(window)] - CENTRE[:, None]) / SCALE[scale]
    cos, sin = np.cos(ORIENTATION[turn]), np.sin(ORIENTATION[turn])
    # Axes: x position, y position, row, column.
    u = (offsets * cos)[:, None, None, :] - (offsets * sin)[None, :, :, None]
    v = (offsets * sin)[:, None, None, :] + (offsets * cos)[None, :, :, None]
    masks = _inside(shape, u, v)
    canvas = np.zeros((len(CENTRE), len(CENTRE), size, size), dtype=bool)
    for x, left in enumerate(start):
        for y, top in enumerate(start):
            canvas[x, y, top : top + window, left : left + window] = masks[x, y]
    return np.packbits(canvas.reshape(len(CENTRE) ** 2, size * size), axis=1)
