"""What architectures demand of their options and of the images, said in the same words by all."""

from __future__ import annotations

from typing import Any, TypeAlias

from stratigraph.errors import ConfigError

__all__ = ["Option", "grid", "places"]

# A value out of a study file: it may be anything until it is checked.
Option: TypeAlias = Any


def grid(network: str, image_shape: tuple[int, int, int], unit: int) -> tuple[int, int]:
    """Rows and columns of the squares of ``unit`` × ``unit`` pixels that an image is cut into.

    Args:
        network: its kind with an article, for the message: ``a convolutional network``.
        image_shape: (c, h, w).
        unit: the side of a square, in pixels.

    Raises:
        ConfigError: a side is not a multiple of the unit.

    """
    _, rows, columns = image_shape
    if rows % unit or columns % unit or rows < unit or columns < unit:
        raise ConfigError(
            f"architecture: {network} needs images whose sides are multiples of "
            f"{unit}, got {rows} × {columns}; resize or pad the data, or use fully_connected."
        )
    return rows // unit, columns // unit


def places(who: str, latents: int, rows: int, columns: int) -> int:
    """Latents of each place, where they are a map of rows × columns.

    Args:
        who: whose map it is, for the message: ``this encoder ends in``.
        latents: of all places together.
        rows: of the map.
        columns: of the map.

    Raises:
        ConfigError: they cannot be spread evenly over the places.

    """
    each, left = divmod(latents, rows * columns)
    if left or not each:
        raise ConfigError(
            f"latents: {who} a map of {rows} × {columns} places, so latents must "
            f"be a multiple of {rows * columns}, got {latents}."
        )
    return each
