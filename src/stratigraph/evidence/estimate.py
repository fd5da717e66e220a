"""A statistic with its uncertainty: the jackknife over seeds and over probes.

Seeds are the replicates of an experiment, and every configuration is run with the same seeds; so
the unit that is left out is a seed, with every run and every pair that has it. Probes are a sample
too: groups of them are left out in turn. With S seeds, G groups of probes, θ the statistic,

    v_s = (S − 1)/S Σ_s (θ_(−s) − θ̄)²,    v_p = (G − 1)/G Σ_g (θ_(−g) − θ̄)²,
    v_sp = (S − 1)(G − 1)/(SG) Σ_sg r_sg²,  r_sg the residuals of θ_(−s,−g) from its row and column
                                            means,

the variance is v = max(v_s + v_p − v_sp, v_s, v_p): what is of a seed and a group of probes
together stands in both of the first two, and is taken off once. The interval is θ ± t_ν √v with
ν = v² / (v_s²/(S − 1) + v_p²/(G − 1)) (Satterthwaite), at least 1, and p is two-sided.

Why not the percentile bootstrap over seeds: with the handful of seeds that studies have, its
intervals are far too short; docs/findings.md gives the simulation of both.

Sources: Efron & Stein 1981; Shao & Wu 1989; Satterthwaite 1946; Owen & Eckles 2012 (two factors).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import scipy

__all__ = ["Estimate", "Sample", "estimate", "from_replicates"]

CONFIDENCE = 0.95
ROUNDING = 1e-12


class Sample(Protocol):
    """What a statistic is taken of, from which a seed can be left out."""

    @property
    def seeds(self) -> list[int]:
        """The seeds there are."""
        ...

    @property
    def runs(self) -> int:
        """How many runs there are."""
        ...

    def without_seed(self, seed: int) -> Sample:
        """The same without one of them."""
        ...


S = TypeVar("S", bound=Sample)


@dataclass(frozen=True)
class Estimate:
    """A statistic: its value, 95 % interval, two-sided p against ``null``, and where they are from.

    NaN bounds say that there is nothing to take an interval over, or that replicates never differ.
    ``seeds`` counts those that have a part in the statistic.
    """

    value: float
    lower: float
    upper: float
    p: float
    null: float
    error_seeds: float
    error_probes: float
    freedom: float
    seeds: int
    runs: int


def estimate(sample: S, statistic: Callable[[S], np.ndarray], null: float = 0.0) -> Estimate:
    """A statistic of a sample, with its interval.

    Args:
        sample: pairs, or other evidence that knows its seeds.
        statistic: sample → (1 + g,): of all probes, then without each group of them; g may be 0.
        null: the value that p is of.

    """
    whole = np.atleast_1d(statistic(sample))
    seeds = sample.seeds
    less = [
        np.atleast_1d(statistic(sample.without_seed(seed)))  # type: ignore[arg-type]
        for seed in (seeds if len(seeds) > 1 else ())
    ]
    # A seed without which nothing changes has no part in the statistic, and is no replicate of it.
    entered = [one for one in less if not np.array_equal(one, whole, equal_nan=True)]
    if less and not entered:
        entered = less
    # Without its only seed a sample is empty, and says nothing.
    table = np.stack(entered) if entered else np.full((len(seeds), len(whole)), np.nan)
    return from_replicates(whole, table, null=null, runs=sample.runs)


def from_replicates(
    whole: np.ndarray, without_seed: np.ndarray, *, null: float, runs: int
) -> Estimate:
    """The interval that follows from a statistic's replicates.

    Args:
        whole: of all seeds, (1 + g,): of all probes, then without each group of them.
        without_seed: the same without each seed, (s, 1 + g).
        null: the value that p is of.
        runs: how many runs it is over.

    """
    value, seeds, groups = float(whole[0]), len(without_seed), len(whole) - 1
    of_seeds, of_probes = _variance(without_seed[:, 0]), _variance(whole[1:])
    parts = [(v, m) for v, m in ((of_seeds, seeds), (of_probes, groups)) if m > 1]
    lower = upper = p = freedom = math.nan
    # An undefined replicate leaves no variance; one seed, or no groups, leave their part out.
    if parts and math.isfinite(value) and all(math.isfinite(v) for v, _ in parts):
        sum_ = sum(v for v, _ in parts)
        if len(parts) == 2:
            sum_ -= _interaction(without_seed[:, 1:])
        total = max(sum_, *(v for v, _ in parts))
        # Replicates that never differ (a saturated rank correlation) say nothing of their error.
        if total > (ROUNDING * max(1.0, abs(value))) ** 2:
            freedom = max(1.0, total**2 / sum(v**2 / (m - 1) for v, m in parts))
            error = math.sqrt(total)
            reach = error * float(scipy.stats.t.ppf((1 + CONFIDENCE) / 2, freedom))
            lower, upper = value - reach, value + reach
            p = float(2 * scipy.stats.t.sf(abs(value - null) / error, freedom))
    return Estimate(
        value, lower, upper, p, null, math.sqrt(of_seeds), math.sqrt(of_probes), freedom, seeds,
        runs,
    )  # fmt: skip


def _interaction(both: np.ndarray) -> float:
    """The part of the variance that is of seeds and probes together, from θ_(−s,−g) (s, g)."""
    s, g = both.shape
    rest = both - both.mean(0) - both.mean(1, keepdims=True) + both.mean()
    found = (s - 1) * (g - 1) / (s * g) * float((rest**2).sum())
    return found if math.isfinite(found) else 0.0


def _variance(left_out: np.ndarray) -> float:
    """The jackknife's variance; NaN with fewer than two replicates."""
    m = len(left_out)
    if m < 2 or not np.isfinite(left_out).all():
        return math.nan
    return float((m - 1) / m * ((left_out - left_out.mean()) ** 2).sum())
