"""Whole numbers, however they are stored: 3.0 in a file of floats is the factor's value 3."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from stratigraph.errors import InputError

__all__ = ["whole_numbers"]

LARGEST = 2.0**53  # up to which every whole number is a float64


def whole_numbers(values: ArrayLike, what: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """An array of whole numbers as int64, of the same shape.

    Raises:
        InputError: it holds anything else; the first such value is named with its place.

    """
    array = np.asarray(values)
    if array.size == 0:
        return array.astype(np.int64)
    if array.dtype.kind == "f":
        wrong = ~((np.abs(array) <= LARGEST) & (array == np.floor(array)))  # also of NaN
        if wrong.any():
            place = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise InputError(
                f"{what}: expected whole numbers, got {array[place]} of type {array.dtype} at "
                f"{list(place)}; number the values 0, 1, 2, …"
            )
    elif array.dtype.kind not in "iub":
        raise InputError(f"{what}: expected whole numbers, got values of type {array.dtype}")
    return array.astype(np.int64)
