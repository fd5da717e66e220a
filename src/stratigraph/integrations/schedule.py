"""Which steps of a training to keep whose length nobody knows yet.

``"log"`` keeps 0, 10, 16, 25, 40, 63, 100, 160, …: five a decade, for as long as it lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from stratigraph.errors import ConfigError
from stratigraph.values import is_whole

__all__ = ["Schedule", "as_schedule"]

Schedule = str | int | Collection[int] | Callable[[int], bool]

A_DECADE = 5


def _log_spaced(step: int) -> bool:
    """Whether 10^(1 + i/5), rounded, is ``step`` for some i."""
    if step < 10:
        return step == 0
    while step >= 1000 and step % 10 == 0:
        step //= 10
    return step in _SHORT


_SHORT = frozenset(round(10 ** (1 + i / A_DECADE)) for i in range(2 * A_DECADE + 1))


def as_schedule(snapshots: Schedule) -> Callable[[int], bool]:
    """What says of a step whether it is kept.

    Raises:
        ConfigError: it is none of those that there are.

    """
    if snapshots == "log":
        return _log_spaced
    if callable(snapshots):
        return snapshots
    if is_whole(snapshots) and snapshots >= 1:
        every = snapshots
        return lambda step: step % every == 0
    if isinstance(snapshots, Collection) and not isinstance(snapshots, str):
        steps = frozenset(snapshots)
        if all(isinstance(step, int) and step >= 0 for step in steps):
            return steps.__contains__
    raise ConfigError(
        'snapshots: expected "log", a number of steps between two, a list of steps or a function, '
        f"got {snapshots!r}."
    )
