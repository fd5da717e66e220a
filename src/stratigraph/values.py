"""What a value may be: a number within bounds, and one sentence for when it is not.

True is no number here, though Python takes it for 1. In arrays a whole number may be stored as a
float: 3.0 in a file of floats is the value 3 of a factor.
"""

from __future__ import annotations

import math
import sys
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from stratigraph.errors import ConfigError, InputError, StratigraphError

__all__ = [
    "check_number",
    "check_whole",
    "is_number",
    "is_whole",
    "told_percent",
    "told_value",
    "whole_numbers",
]

LARGEST_FLOAT = int(sys.float_info.max)
LARGEST = 2.0**53  # up to which every whole number is a float64


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a real number that a float holds; infinity and NaN are.

    Of a whole number of hundreds of digits there is no float, and Python says so wherever it is
    used as one: it is no number here.
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return isinstance(value, float) or abs(value) <= LARGEST_FLOAT


def told_value(value: object) -> str:
    """A value as an error tells it: in one line, cut where it is long."""
    try:
        told = repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of thousands of digits"
    return told if len(told) <= 80 else f"{told[:60]}… ({len(told):,} characters)"


def told_percent(share: float) -> str:
    """A share in per cent to three digits, or as many as tell it from 100: 95, 98.8, 99.98."""
    told = (f"{100 * share:.{digits}g}" for digits in range(3, 17))
    return next((one for one in told if one != "100"), "100")


def check_whole(
    where: str,
    value: Any,
    least: int = 0,
    most: int | None = None,
    *,
    error: type[StratigraphError] = ConfigError,
) -> int:
    """The value, if it is a whole number from ``least`` to ``most``.

    Args:
        where: it stands, for the message.
        value: anything.
        least: that it may be.
        most: that it may be; any if not given.
        error: what is raised.

    """
    if not is_whole(value) or value < least or (most is not None and value > most):
        bounds = f"≥ {least}" if most is None else f"from {least} to {most}"
        raise error(f"{where}: expected a whole number {bounds}, got {told_value(value)}.")
    return value


def check_number(
    where: str,
    value: Any,
    least: float = -math.inf,
    most: float = math.inf,
    *,
    above: float = -math.inf,
    below: float = math.inf,
    error: type[StratigraphError] = ConfigError,
) -> float:
    """The value, if it is a finite number, from ``least`` to ``most``, > ``above`` and < ``below``.

    Args:
        where: it stands, for the message.
        value: anything.
        least: that it may be.
        most: that it may be.
        above: which it must be.
        below: which it must be.
        error: what is raised.

    """
    if (
        is_number(value)
        and math.isfinite(value)
        and least <= value <= most
        and above < value < below
    ):
        return value
    if math.isfinite(least) and math.isfinite(most):
        bounds = f"from {least:g} to {most:g}"
    else:
        signs = {"≥": least, ">": above, "≤": most, "<": below}
        told = [f"{sign} {end:g}" for sign, end in signs.items() if math.isfinite(end)]
        bounds = " and ".join(told) or "that is finite"
    raise error(f"{where}: expected a number {bounds}, got {told_value(value)}.")


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
