r"""How many replicates decide a question, from what is known of its spread.

Of an estimate over n_0 replicates the variance v_r is of replicates, and falls as n_0/n with n of
them; the rest v_p, of the probes, stays, for the probes are the same. Degrees of freedom grow as
n − 1. With e² = v_r n_0/n + v_p of ν degrees of freedom, q the quantile of t and a level α, the
interval θ̂ ± q s decides where it is above the upper bound, below the lower, or within both; given
s, which is e √(χ²_ν/ν),

    Φ((θ − u − qs)/e) + Φ((l − qs − θ)/e) + [Φ((u − qs − θ)/e) − Φ((l + qs − θ)/e)]₊

of the time, and the mean over χ² is the power: the first two are the noncentral t's. Where l = u
the claim is about one side of a threshold, and the third is never.

The least of several numbers is above where all are, below where one is (at a level shared by them),
and within where none is below and one is not above; they are taken as independent.

**It is a guess, and says so.** The truth is taken to be the estimate, whose own error is large
where a question is open; the range is that of 80 of 100 truths: θ of its t, the variance of its χ².

Sources: Owen 1965, Phillips 1990 (two one-sided t tests); Browne 1995 (an estimated variance).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

__all__ = ["MOST", "POWER", "Known", "Need", "find_need", "power", "predicted_power"]

POWER = 0.8
MOST = 1000  # replicates; more are as good as none
GROUPS = 20  # of probes that are left out
CHI = 16  # nodes over χ²
DRAWS = 10_000  # of what is to come; the share of them is good to 0.005
TRUTHS = 11  # values, and variances, that the range is over
RANGE = 0.8


@dataclass(frozen=True)
class Known:
    """What is known of a number.

    Attributes:
        value: its estimate.
        error: its standard error over replicates.
        rest: the part of its standard error that more replicates do not lessen.
        freedom: the degrees of freedom of ``error``.
        replicates: of each configuration, that it is over.

    """

    value: float
    error: float
    rest: float
    freedom: float
    replicates: int

    @staticmethod
    def split(value: float, total: float, rest: float, freedom: float, replicates: int) -> Known:
        """Of a total error, of which the variance ``rest`` stays, and its degrees of freedom."""
        rest = min(rest, total**2)
        falls = total**2 - rest
        own = total**4 / freedom - rest**2 / (GROUPS - 1) if freedom > 0 else math.nan
        if rest > 0 and own > 0:
            freedom = max(1.0, falls**2 / own)
        return Known(value, math.sqrt(falls), math.sqrt(rest), freedom, replicates)


@dataclass(frozen=True)
class Need:
    """How many replicates of each configuration decide a question.

    Attributes:
        replicates: the fewest with power 0.8; None if no number does.
        low: of 80 of 100 truths that the estimate leaves; None where no number does.
        high: the same.
        never: the share of those truths that no number decides.
        why: what keeps a number from deciding: ``probes``, ``boundary``, ``one replicate`` or
            ``undefined``; empty where one does.

    """

    replicates: int | None
    low: int | None
    high: int | None
    never: float
    why: str = ""


def power(
    parts: Sequence[Known], counts: np.ndarray, lower: float, upper: float, level: float
) -> np.ndarray:
    """The chance that each number of replicates decides, (k,), were the estimate the truth.

    Args:
        parts: the number; several, if it is the least of them.
        counts: replicates of each configuration, at least 2, (k,).
        lower: the bound below which the claim is contradicted.
        upper: the bound above which it is supported.
        level: of the two-sided interval that decides.

    """
    value, error, rest, freedom, replicates = _columns(parts)
    n = np.asarray(counts, dtype=float)
    return _power(value, error, rest, freedom, replicates, n, lower, upper, level)


def find_need(parts: Sequence[Known], lower: float, upper: float, level: float) -> Need:
    """How many replicates decide, with its uncertainty, and why none does."""
    value, error, rest, freedom, replicates = _columns(parts)
    if not np.isfinite(value).all():
        return Need(None, None, None, math.nan, "undefined")
    if not (np.isfinite(error).all() and (replicates > 1).all() and (freedom > 0).all()):
        return Need(None, None, None, math.nan, "one replicate")
    chance = (np.arange(TRUTHS) + 0.5) / TRUTHS
    # The estimate itself, and the truths: of variances that the χ² leaves, values that each leaves.
    factor = np.sqrt(freedom / scipy.stats.chi2.ppf(chance[:, None, None], freedom))
    shift = scipy.stats.norm.ppf(chance)[None, :, None]
    values = value + shift * np.sqrt((error * factor) ** 2 + rest**2)
    errors = np.broadcast_to(error * factor, values.shape)
    values = np.concatenate([value[None], values.reshape(-1, len(value))])
    errors = np.concatenate([error[None], errors.reshape(-1, len(value))])

    def count(unchanging: np.ndarray, truths: slice = slice(None)) -> np.ndarray:
        def chance_of(counts: np.ndarray) -> np.ndarray:
            return _power(
                values[truths], errors[truths], unchanging, freedom, replicates, counts,
                lower, upper, level,
            )  # fmt: skip

        return _fewest(chance_of, len(values[truths]))

    best, *every = count(rest)
    low, high = np.quantile(every, [(1 - RANGE) / 2, (1 + RANGE) / 2], method="nearest")
    why = ""
    if not math.isfinite(best):
        alone = count(np.zeros_like(rest), slice(1))[0]
        why = "probes" if math.isfinite(alone) else "boundary"
    never = float(np.isinf(every).mean())
    return Need(_whole(best), _whole(low), _whole(high), never, why)


def _whole(count: float) -> int | None:
    return int(count) if math.isfinite(count) else None


def _fewest(chance_of: Callable[[np.ndarray], np.ndarray], truths: int) -> np.ndarray:
    """The fewest replicates of enough power, of each truth, by halving; infinity where none is."""
    low, high = np.full(truths, 1), np.full(truths, MOST + 1)
    while (high - low > 1).any():
        middle = np.maximum((low + high) // 2, 2)
        enough = chance_of(middle.astype(float)) >= POWER
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(high > MOST, np.inf, high)


def predicted_power(
    parts: Sequence[Known], last: int, lower: float, upper: float, level: float
) -> float:
    """The chance, after what was seen, that the estimate of the last look decides.

    Replicates yet to come are drawn about the estimate, and the truth about it by its own error
    (Spiegelhalter, Freedman & Blackburn 1986); looks between are not counted, which could only
    raise it. NaN where nothing is known of the spread.

    Args:
        parts: the number; several, if it is the least of them.
        last: the replicates of each configuration at the last look.
        lower: as `power`.
        upper: as `power`.
        level: of the two-sided interval of the last look.

    """
    value, error, rest, freedom, replicates = (one[:, None] for one in _columns(parts))
    if not (np.isfinite(value).all() and np.isfinite(error).all() and (freedom > 0).all()):
        return math.nan
    share = np.minimum(replicates / last, 1.0)
    grown = freedom * np.maximum((last - 1) / (replicates - 1), 1.0)
    rng, shape = np.random.default_rng(0), (len(parts), DRAWS)
    sigma = error * np.sqrt(freedom / rng.chisquare(freedom, shape))
    x = rng.standard_normal(shape) * (share < 1)
    value = value + x * sigma * np.sqrt(1 - share)
    # The squares to come: what moves the mean stands among them, the others are about it.
    others = 2 * rng.standard_gamma(np.maximum((grown - freedom - 1) / 2, 0), shape)
    squares = freedom * error**2 + sigma**2 * (x**2 + others)
    seen, total = _together(squares / grown * share, grown, rest)
    lower_bound = value - seen * scipy.stats.t.isf(level / 2, total)
    upper_bound = value + seen * scipy.stats.t.isf(level / 2 / len(parts), total)
    least, most = lower_bound.min(0), upper_bound.min(0)
    return float(((least > upper) | (most < lower) | ((least > lower) & (most < upper))).mean())


def _columns(parts: Sequence[Known]) -> list[np.ndarray]:
    return [
        np.array([getattr(one, name) for one in parts], dtype=float)
        for name in ("value", "error", "rest", "freedom", "replicates")
    ]


def _power(
    value: np.ndarray, error: np.ndarray, rest: np.ndarray, freedom: np.ndarray,
    replicates: np.ndarray, counts: np.ndarray, lower: float, upper: float, level: float,
) -> np.ndarray:  # fmt: skip
    """The power (k,) of each count (k,), of parts (p,), or of truths of them (k, p)."""
    value, error = value[..., None], error[..., None]
    n = counts[:, None, None]
    start, rest = replicates[:, None], rest[:, None]
    grown = freedom[:, None] * (n - 1) / (start - 1)
    spread, total = _together(error**2 * start / n, grown, rest)
    u, weights = _nodes(CHI)
    seen = spread * _share_seen(total, u)
    return _decided(value, spread, seen, total, weights, lower, upper, level)


def _share_seen(freedom: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """√(χ²_ν/ν) at each chance (q,), for ν (…, 1); many are the same, and each takes a while."""
    every, place = np.unique(freedom, return_inverse=True)
    found = np.sqrt(2 * scipy.special.gammaincinv(every[:, None] / 2, chance) / every[:, None])
    return np.asarray(found[place.ravel()].reshape(*freedom.shape[:-1], len(chance)))


def _together(
    variance: np.ndarray, freedom: np.ndarray, rest: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The error of replicates and the rest together, and its degrees of freedom."""
    both = variance + rest**2
    with np.errstate(invalid="ignore"):
        total = both**2 / (variance**2 / freedom + rest**4 / (GROUPS - 1))
    return np.sqrt(both), np.where(both > 0, np.maximum(total, 1.0), freedom)


def _decided(
    value: np.ndarray, spread: np.ndarray, seen: np.ndarray, freedom: np.ndarray,
    weights: np.ndarray, lower: float, upper: float, level: float,
) -> np.ndarray:  # fmt: skip
    """How often the interval decides, of parts (…, p, nodes): value, spread, error that is seen."""
    count = value.shape[-2]
    tiny = np.maximum(spread, 1e-300)
    reach = -seen * scipy.special.stdtrit(freedom, level / 2)
    # Upper bounds of the least of several are of a level that they share.
    far = -seen * scipy.special.stdtrit(freedom, level / 2 / count) if count > 1 else reach

    def below(bound: np.ndarray) -> np.ndarray:
        return np.asarray(scipy.special.ndtr((bound - value) / tiny))

    def mean(chance: np.ndarray) -> np.ndarray:
        return np.asarray((chance * weights).sum(-1))

    above_all = mean(1 - below(upper + reach)).prod(-1)
    below_one = 1 - (1 - mean(below(lower - far))).prod(-1)
    not_below = mean(1 - below(lower + reach))
    inside = mean(np.maximum(below(upper - far) - below(lower + reach), 0))
    within = not_below.prod(-1) - (not_below - inside).prod(-1)
    return np.asarray(above_all + below_one + within)


def _nodes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre on (0, 1)."""
    x, weights = np.polynomial.legendre.leggauss(count)
    return (x + 1) / 2, weights / 2
