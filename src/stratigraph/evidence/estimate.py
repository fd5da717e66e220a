r"""A statistic with its uncertainty: the jackknife over replicates and over probes.

Replicates are the runs of one configuration, and configurations are what a study chose: so one run
is left out at a time, and configurations keep their weights. With n_c runs of configuration c, θ
the statistic and d_ci = θ_(−ci) − mean_i θ_(−ci),

    v_r = Σ_s (Σ_{ci of s} √((n_c − 1)/n_c) d_ci)²,

s going over the random streams: a run that draws its own stands alone, and runs that share theirs
(one seed for all configurations) share its luck, so that what each of them changes is added before
it is squared. Probes are a sample too: G groups of them are left out in turn,

    v_p = (G − 1)/G Σ_g (θ_(−g) − θ̄)²,
    v_rp = (G − 1)/G Σ_g Σ_s (Σ_{ci of s} √((n_c − 1)/n_c) r_cig)²,

r_cig the residuals of θ_(−ci,−g) from the means of its configuration over runs and over groups.
What is of a run and a group of probes together stands in both of the first two, and counts once:

    v = (v_r − v_rp)₊ + (v_p − v_rp)₊ + v_rp,

of Satterthwaite's degrees of freedom: those of the mean squares that stand in it, v_r's over
configurations (sets of them that share streams); at least 1. Interval and p are those of t.

Of one configuration this is the jackknife, and of a mean the t test. Why not the percentile
bootstrap: with the handful of replicates that studies have its intervals are far too short;
docs/explanation/findings.md gives the simulation of both.

Correlations are estimated as z = artanh r (Fisher 1915), so that no interval leaves (−1, 1).

The least of several numbers (`least_of`): the lower bound is the least of their lower bounds, the
upper bound that of their upper ones, corrected for their number (intersection-union; Berger 1982).

Sources: Efron & Stein 1981; Shao & Wu 1989; Satterthwaite 1946; Owen & Eckles 2012 (two factors);
Arvesen 1969 (means over pairs of runs).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy

from stratigraph.evidence.variance import (
    add_by_stream,
    add_variances,
    pulls_of,
    variance_of_runs,
)

__all__ = [
    "CONFIDENCE",
    "Estimate",
    "Part",
    "add_errors",
    "estimate_from",
    "least_of",
    "raise_error",
    "widen",
]

CONFIDENCE = 0.95
ROUNDING = 1e-12


@dataclass(frozen=True)
class Part:
    """One number: its value, standard error and degrees of freedom; NaN where it has none."""

    value: float
    error: float
    freedom: float

    def reach(self, tail: float) -> float:
        """How far a bound that is beyond the truth with this probability is from the value."""
        if not math.isfinite(self.error):
            return math.nan
        return self.error * float(scipy.stats.t.isf(tail, self.freedom))

    def above(self, bound: float) -> float:
        """The one-sided p of being at most ``bound``."""
        if not math.isfinite(self.error):
            return math.nan
        return float(scipy.stats.t.sf((self.value - bound) / self.error, self.freedom))

    def below(self, bound: float) -> float:
        """The one-sided p of being at least ``bound``; of 1 − `above` small ones have no digits."""
        return Part(-self.value, self.error, self.freedom).above(-bound)


@dataclass(frozen=True)
class Estimate:
    """A statistic: its value, its 95 % interval, its two-sided p against ``null``, their origin.

    Attributes:
        value: of all runs that entered.
        lower: of the interval; NaN where there is nothing to take one over, or replicates never
            differ.
        upper: the same.
        p: two-sided.
        null: the value that p is of.
        error_replicates: the standard error over runs (of z = artanh r, for a correlation).
        error_probes: the standard error over probes; NaN where no probes were left out.
        error_both: that part of both which is of runs and probes together.
        freedom: degrees of freedom.
        replicates: the fewest runs of a configuration that entered.
        configurations: how many entered.
        runs: how many entered.
        correlation: whether errors are of z = artanh of the value.
        error: the standard error of all together.
        parts: those that this is the least of; empty where it is one number.
        off: how far the value itself may be off, beside its error: scores that are certified to a
            tolerance move it by so much at most. Intervals are wider by it, and p larger.

    """

    value: float
    lower: float
    upper: float
    p: float
    null: float
    error_replicates: float
    error_probes: float
    error_both: float
    freedom: float
    replicates: int
    configurations: int
    runs: int
    correlation: bool = False
    error: float = math.nan
    parts: tuple[Part, ...] = ()
    off: float = 0.0

    @property
    def numbers(self) -> tuple[Part, ...]:
        """What its interval is of, on the scale of its errors."""
        return self.parts or (Part(self.scale(self.value), self.error, self.freedom),)

    def interval(self, confidence: float) -> tuple[float, float]:
        """The two-sided interval of this confidence."""
        tail = (1 - confidence) / 2
        numbers = self.numbers
        # numpy's, so that one that has no bound leaves none.
        lower = float(np.min([one.value - one.reach(tail) for one in numbers])) - self.off
        upper = float(np.min([one.value + one.reach(tail / len(numbers)) for one in numbers]))
        upper += self.off
        return (math.tanh(lower), math.tanh(upper)) if self.correlation else (lower, upper)

    def p_above(self, bound: float) -> float:
        """The one-sided p with which the truth is above ``bound``: small where it surely is."""
        bound = self.scale(bound) + self.off
        return float(np.max([one.above(bound) for one in self.numbers]))

    def p_below(self, bound: float) -> float:
        """The one-sided p with which the truth is below ``bound``."""
        numbers = self.numbers
        bound = self.scale(bound) - self.off
        return float(np.minimum(1.0, len(numbers) * np.min([one.below(bound) for one in numbers])))

    def scale(self, value: float) -> float:
        """A value on the scale of its errors: z = artanh of a correlation, NaN where that is 1."""
        if not self.correlation:
            return value
        return math.atanh(value) if abs(value) < 1 else math.nan


def estimate_from(
    whole: np.ndarray,
    less: np.ndarray,
    config: np.ndarray,
    stream: np.ndarray,
    *,
    null: float = 0.0,
    correlation: bool = False,
) -> Estimate:
    """The estimate that follows from a statistic and what it is without each run.

    Args:
        whole: of all runs, (1 + g,): of all probes, then without each group of them; g may be 0.
        less: the same without each run, (r, 1 + g).
        config: the configuration of each run, (r,).
        stream: whose random streams each run draws, (r,).
        null: the value that p is of.
        correlation: the statistic is z = artanh of what is estimated, which ``null`` is not.

    """
    value, groups = float(whole[0]), len(whole) - 1
    kinds, config = np.unique(config, return_inverse=True)
    counts = np.bincount(config, minlength=len(kinds))
    replicates = int(counts.min()) if len(counts) else 0
    error = of_runs = of_probes = freedom = math.nan
    of_both, own = 0.0, math.nan
    if replicates > 1:
        pulls = pulls_of(less, config, counts)
        of_runs, own = variance_of_runs(pulls[:, 0], config, counts, stream)
    if groups > 1:
        around = whole[1:] - whole[1:].mean()
        of_probes = (groups - 1) / groups * float((around**2).sum())
        if replicates > 1:
            rest = pulls[:, 1:] - pulls[:, 1:].mean(1, keepdims=True)
            both = (groups - 1) / groups * float((add_by_stream(rest, stream) ** 2).sum())
            of_both = both if math.isfinite(both) else 0.0
    # What is undefined without a run, or a group of probes, leaves no variance.
    known = (replicates < 2 or math.isfinite(of_runs)) and (groups < 2 or math.isfinite(of_probes))
    if math.isfinite(value) and known:
        error, freedom = add_variances((of_runs, own), (of_probes, groups - 1.0), of_both)
        # Replicates that never differ (a saturated rank correlation) say nothing of their error.
        if not error > ROUNDING * max(1.0, abs(value)):
            error = freedom = math.nan
    found = Estimate(
        math.tanh(value) if correlation else value, math.nan, math.nan, math.nan, null,
        math.sqrt(of_runs), math.sqrt(of_probes), math.sqrt(of_both), freedom, replicates,
        len(kinds), len(config), correlation, error,
    )  # fmt: skip
    return _with_interval(found)


def widen(found: Estimate, off: float) -> Estimate:
    """The estimate of scores that may move its value by ``off``."""
    return _with_interval(replace(found, off=off))


def raise_error(found: Estimate, least: float) -> Estimate:
    """The estimate with a standard error of at least ``least``, also where it had none.

    Args:
        found: of one number, with replicates.
        least: of z, where it is a correlation.

    """
    error = max(found.error, least) if math.isfinite(found.error) else least
    known = math.isfinite(found.freedom)
    freedom = found.freedom if known else max(1.0, float(found.runs - found.configurations))
    return _with_interval(replace(found, error=error, freedom=freedom))


def add_errors(found: Estimate, others: Sequence[Part]) -> Estimate:
    """The estimate with independent errors added, such as those over probes; NaN adds nothing.

    Where it has no error of its own, over replicates, it stays without.
    """
    known = [one for one in others if math.isfinite(one.error) and one.error > 0]
    if not known or not math.isfinite(found.error):
        return found
    parts = [(found.error**2, found.freedom), *((one.error**2, one.freedom) for one in known)]
    total = sum(variance for variance, _ in parts)
    freedom = max(1.0, total**2 / sum(variance**2 / own for variance, own in parts))
    of_probes = math.sqrt(sum(one.error**2 for one in known))
    error = math.sqrt(total)
    return _with_interval(replace(found, error=error, error_probes=of_probes, freedom=freedom))


def least_of(parts: Sequence[Part], like: Estimate) -> Estimate:
    """The least of several numbers, tested as an intersection.

    Args:
        parts: value, error and degrees of freedom of each.
        like: what else is known of them together (runs, replicates, null).

    """
    smallest = min(parts, key=lambda one: one.value)
    found = Estimate(
        smallest.value, math.nan, math.nan, math.nan, like.null, smallest.error, math.nan, 0.0,
        smallest.freedom, like.replicates, len(parts), like.runs, False, smallest.error,
        tuple(parts),
    )  # fmt: skip
    return _with_interval(found)


def _with_interval(found: Estimate) -> Estimate:
    lower, upper = found.interval(CONFIDENCE)
    tails = [found.p_above(found.null), found.p_below(found.null)]
    p = float(np.minimum(1.0, 2 * np.min(tails)))
    return replace(found, lower=lower, upper=upper, p=p)
