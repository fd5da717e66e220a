"""Former names: they work for one version more, with a warning of the new one."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from stratigraph.errors import InputError

__all__ = ["takes_former", "warn_former"]

P = ParamSpec("P")
R = TypeVar("R")


def warn_former(former: str, name: str, level: int = 2) -> None:
    """Warn that something was called by its former name.

    Args:
        former: what was used.
        name: what it is called now.
        level: of who used it, above the caller.

    """
    warnings.warn(
        f"{former} is called {name} now; the former name goes with the next version",
        DeprecationWarning,
        stacklevel=level + 1,
    )


def takes_former(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A function that takes arguments by their former names too.

    Args:
        names: argument → its former name.

    >>> @takes_former(out="to")
    ... def write(out):
    ...     return out
    >>> write(out="here")
    'here'

    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def called(*args: P.args, **given: P.kwargs) -> R:
            for name, former in names.items():
                if former in given:
                    if name in given:
                        raise InputError(
                            f"{former}: the former name of {name}, which was given too; leave "
                            f"out {former}."
                        )
                    warn_former(f"{former}=", f"{name}=")
                    given[name] = given.pop(former)
            return function(*args, **given)

        return called

    return decorate
