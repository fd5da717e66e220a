"""What a value may be: a number within bounds, and one sentence for when it is not.

True is no number here, though Python takes it for 1.
"""

from __future__ import annotations

import math
from typing import Any, TypeGuard

from stratigraph.errors import ConfigError, StratigraphError

__all__ = ["check_number", "check_whole", "is_number", "is_whole"]


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a real number; infinity and NaN are."""
    return isinstance(value, int | float) and not isinstance(value, bool)


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
        raise error(f"{where}: expected a whole number {bounds}, got {value!r}.")
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
    raise error(f"{where}: expected a number {bounds}, got {value!r}.")
