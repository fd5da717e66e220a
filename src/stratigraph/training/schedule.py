"""Which steps to keep.

A schedule is a value: the increasing tuple of steps, valid at construction. Step 0 is the
untrained network; step t is the network after t updates. The last step of a training is always
kept, since everything is compared with the final state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stratigraph.errors import ConfigError
from stratigraph.values import is_whole

__all__ = ["MOST_SNAPSHOTS", "PAPER_FRACTIONS", "SnapshotSchedule"]

MOST_SNAPSHOTS = 10_000  # of one run: each is weights on the disk

# The five snapshots of the published study, at about these steps of 300,000.
PAPER_FRACTIONS = tuple(step / 300_000 for step in (6_000, 72_000, 138_000, 204_000, 269_000))


@dataclass(frozen=True)
class SnapshotSchedule:
    """An increasing tuple of steps.

    Raises:
        ConfigError: no step, a negative one, one that is not whole, or steps that do not increase.

    """

    steps: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.steps:
            raise ConfigError("snapshots: at least one step is needed, got none.")
        if len(self.steps) > MOST_SNAPSHOTS:
            raise ConfigError(
                f"snapshots: at most {MOST_SNAPSHOTS} steps of a run can be kept, got "
                f"{len(self.steps)}."
            )
        for step in self.steps:
            if not is_whole(step) or step < 0:
                raise ConfigError(f"snapshots: a step is a whole number ≥ 0, got {step!r}.")
        for before, after in zip(self.steps, self.steps[1:], strict=False):
            if after <= before:
                raise ConfigError(
                    f"snapshots: steps must increase, got {before} before {after}; "
                    "sort them and drop duplicates."
                )

    @classmethod
    def explicit(cls, steps: Sequence[int], last: int) -> SnapshotSchedule:
        """The given steps, and the last."""
        given = cls(tuple(steps)).steps
        if given[-1] > last:
            raise ConfigError(
                f"snapshots: step {given[-1]} comes after the last step of training, {last}."
            )
        return cls(given if given[-1] == last else (*given, last))

    @classmethod
    def log_spaced(
        cls, count: int, last: int, *, first: int = 10, start: bool = True
    ) -> SnapshotSchedule:
        """``count`` steps, evenly spaced in log(step) from ``first`` to ``last``.

        Args:
            count: how many, step 0 included; where neighbours round to one step, one is kept.
            last: the last step of training.
            first: the first step after 0.
            start: keep step 0 as well.

        """
        wanted = count - 1 if start else count
        _check_count(count)
        if first < 1 or first > last or wanted < 2:
            raise ConfigError(
                "snapshots: log spacing needs 1 ≤ first ≤ last and 2 steps besides step 0, "
                f"got first {first}, last {last}, count {count}."
            )
        return cls._rounded(np.geomspace(first, last, wanted), start)

    @classmethod
    def evenly_spaced(cls, count: int, last: int, *, start: bool = True) -> SnapshotSchedule:
        """``count`` steps at equal distances up to ``last``; from 0 if ``start``."""
        _check_count(count)
        if count < 2:
            raise ConfigError(f"snapshots: even spacing needs a count of 2 or more, got {count}.")
        spaced = np.linspace(0, last, count) if start else np.linspace(0, last, count + 1)[1:]
        return cls._rounded(spaced, start)

    @classmethod
    def paper(cls, last: int, *, start: bool = False) -> SnapshotSchedule:
        """The published study's five snapshots, scaled to ``last`` steps, and the last step."""
        return cls._rounded(np.array([*PAPER_FRACTIONS, 1.0]) * last, start)

    @classmethod
    def _rounded(cls, spaced: np.ndarray, start: bool) -> SnapshotSchedule:
        whole = {round(float(step)) for step in spaced} - {0}
        return cls(tuple(sorted(whole | {0} if start else whole)))


def _check_count(count: int) -> None:
    """Refuse before anything of that length is made."""
    if count > MOST_SNAPSHOTS + 1:
        raise ConfigError(
            f"snapshots: at most {MOST_SNAPSHOTS} steps of a run can be kept, got count {count}."
        )
