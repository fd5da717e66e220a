"""Verdicts of a study that is looked at while it grows: each look, and what stands after it.

Replicates are added in looks that were planned, and every question spends its error over them
(`stratigraph.evidence.boundaries`). Its interval of level α at look k is the ordinary one at the
look's threshold p_k(α): all of the looks' intervals hold together with probability 1 − α, so a
study may stop whenever it likes (repeated intervals; Jennison & Turnbull 1989). Its repeated p is
the smallest α at which some look so far was crossed,

    p̃_k = min_{j ≤ k} p_j⁻¹(p of look j),

which only falls; corrected within a family by Holm's procedure, as any p is. A question whose
corrected p̃ is below α has the verdict of the look that decided it, for good.

Whether to go on is not part of that, and any rule keeps the error (the boundaries are not lowered
for it): a question is given up as **futile** where the chance that the last look decides it is
below `FUTILE`, by what is known of it now (`stratigraph.evidence.power.predicted_power`), and is
**out of budget** where the last look is past.

Error over probes is the same at every look, since the probes are; it makes looks more alike than
the boundaries suppose, and so costs no error but some power.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import scipy

from stratigraph.evidence.boundaries import check_looks, thresholds

__all__ = ["FUTILE", "Looks", "Standing", "follow", "repeated_p"]

FUTILE = 0.1
# Levels between which thresholds are interpolated, as z; the last is 6e-7, and none is less.
LEVELS = (0.02, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0)


@dataclass(frozen=True)
class Standing:
    """Where a question stands after the looks so far.

    Attributes:
        p: its repeated p, two-sided, not corrected.
        verdict: of the look with that p, by its interval at that level; "" where none is defined.
        replicates: of that look.
        settled: whether the verdict is given, and stays.
        outlook: why it is given up where it is not settled: ``futile``, ``out of budget``, or "".

    """

    p: float
    verdict: str
    replicates: int
    settled: bool = False
    outlook: str = ""

    @property
    def ended(self) -> bool:
        """Whether no further look is asked for by this question."""
        return self.settled or bool(self.outlook)


@dataclass(frozen=True)
class Looks:
    """The looks of a study, the one it is at, and what stood before it.

    Attributes:
        counts: the replicates at each look.
        now: the place of the present one.
        before: question → where it stood after the look before.

    """

    counts: tuple[int, ...]
    now: int
    before: Mapping[str, Standing]

    @property
    def replicates(self) -> int:
        """How many there are of each configuration at this look."""
        return self.counts[self.now]

    @property
    def last(self) -> bool:
        """Whether no other look is planned."""
        return self.now == len(self.counts) - 1

    def level(self, alpha: float) -> float:
        """The level of this look's interval, where that over all looks is ``alpha``, two-sided."""
        return float(thresholds(self.counts, alpha)[self.now])

    def last_level(self, alpha: float) -> float:
        """The same of the last look."""
        return float(thresholds(self.counts, alpha)[-1])


def repeated_p(looks: Sequence[int], now: int, p: float, strata: int = 1) -> float:
    """The level over all looks at which one of them is just crossed by a two-sided nominal p.

    Args:
        looks: the replicates at each look.
        now: the place of the look that p is of.
        p: nominal; NaN stays NaN.
        strata: as `stratigraph.evidence.boundaries.thresholds`.

    """
    if math.isnan(p) or p >= 1:
        return p
    curve, largest = _crossings(check_looks(looks), now, strata)
    z = float(scipy.stats.norm.isf(p / 2)) if p > 0 else math.inf
    if z < curve.x[0]:
        return 1.0
    return float(2 * scipy.stats.norm.sf(curve(min(z, largest))))


@lru_cache(maxsize=64)
def _crossings(
    looks: tuple[int, ...], now: int, strata: int
) -> tuple[scipy.interpolate.PchipInterpolator, float]:
    """From a look's threshold to the level over all looks, both as normal quantiles.

    They are very nearly in proportion, so that interpolation is good to some 1e-3 of a level. With
    it the largest quantile that it knows.
    """
    levels = 2 * scipy.stats.norm.sf(LEVELS)
    found = [thresholds(looks, float(level), strata)[now] for level in levels]
    z = scipy.stats.norm.isf(np.array(found) / 2)
    return scipy.interpolate.PchipInterpolator(z, LEVELS), float(z[-1])


def follow(
    looks: Looks, p: Mapping[str, float], verdicts: Mapping[str, str]
) -> dict[str, Standing]:
    """Where each question stands with this look.

    Args:
        looks: the present one, and what stood before.
        p: question → nominal, two-sided: the smallest level at which this look's interval decides;
            NaN where none does.
        verdicts: question → what it decides at that level.

    """
    found = {}
    for key, nominal in p.items():
        level = repeated_p(looks.counts, looks.now, nominal)
        before = looks.before.get(key)
        if before is None or math.isnan(before.p) or (not before.settled and level < before.p):
            found[key] = Standing(level, verdicts[key], looks.replicates)
        else:
            found[key] = replace(
                before, p=min(before.p, level)
            )  # which is before.p if level is NaN
    return found
