r"""When looks at growing evidence may stop: O'Brien-Fleming-type spending, of the t statistic.

Looks are at n_1 < … < n_K replicates of each of S strata. By look k an error of

    α(t_k) = 2 (1 − Φ(z_{α/2}/√t_k)),    t_k = n_k/n_K,

is spent (Lan & DeMets 1983): next to nothing early, all of α by the last. The threshold of look k
is the nominal two-sided p of its t test, of S(n_k − 1) degrees of freedom, at which the chance of
crossing first there is α(t_k) − α(t_(k−1)). Boundaries of the normal distribution, taken as p of t,
would not do: the variance is estimated anew at each look, from few replicates.

**The law of the looks.** Under the null let R_k² be the sum of squares of all replicates about
their strata's means, with the grand mean's part, and c_k = √n_k ȳ_k/R_k = t/√(t² + ν_k): the cosine
of an angle that is independent of R_k. So c_1, c_2, … is a Markov chain, and with a² = n_k/n_(k+1),

    c_(k+1) = a c_k cos ψ + √(1 − a²) v sin ψ,    cos² ψ ~ Beta((1 + ν_k)/2, m/2),

m = S(n_(k+1) − n_k), and v a coordinate of a uniform direction in m dimensions. Given v, to reach
c_(k+1) > b takes an interval of ψ: exits are sums of Beta probabilities over v. The density of
c_(k+1) at b given c_k is, with x = cos ψ, in proportion to

    ∫ x^ν_k (1 − a² − b² + 2ab c_k x − (1 − a² + a²c_k²) x²)^((m−3)/2) dx,

over x ≥ 0 where the quadratic is positive: x = μ + r cos ω takes its edges away. Both are
integrated over those who went on, from the least c_k that can reach b, by Gauss-Legendre.

The thresholds are good to some 10⁻⁴ of themselves, and simulation agrees (tests). Equal variances
and weights of strata are assumed. Thresholds grow with S, towards those of the normal distribution,
so that to count fewer strata than there are is the careful side: more than `MOST_STRATA` are
counted as so many, which costs less than 2 % of a threshold.

Sources: Lan & DeMets 1983; Jennison & Turnbull 2000, chapters 7 and 11.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import scipy

from stratigraph.errors import ConfigError

__all__ = ["check_looks", "spent", "thresholds"]

MOST_STRATA = 16
MOST = 1000  # replicates, which no study has: nodes of the integrals grow with them
NODES = 160  # of a density between looks
AROUND = 32  # of an integral over those who went on


def check_looks(looks: Sequence[int]) -> tuple[int, ...]:
    """The looks, in order.

    Raises:
        ConfigError: they are none, of fewer than two replicates or more than 1,000, or do not grow.

    """
    found = tuple(looks)
    grow = all(a < b for a, b in pairwise(found))
    if not found or found[0] < 2 or not grow or found[-1] > MOST:
        raise ConfigError(
            f"looks: expected increasing numbers of replicates from 2 to {MOST:,}, such as 4, 6, "
            f"8; got {', '.join(map(str, found)) or 'none'}."
        )
    return found


def spent(looks: Sequence[int], alpha: float) -> np.ndarray:
    """The error that may be spent by each look, (k,); by the last it is ``alpha``."""
    share = np.asarray(looks) / looks[-1]
    return 2 * scipy.stats.norm.sf(scipy.stats.norm.isf(alpha / 2) / np.sqrt(share))


def thresholds(looks: Sequence[int], alpha: float = 0.05, strata: int = 1) -> np.ndarray:
    """The nominal two-sided p of each look, below which it is crossed, (k,).

    Args:
        looks: how many replicates there are of each stratum at each look.
        alpha: the error over all of them, two-sided.
        strata: how many configurations are averaged, each with replicates of its own.

    Raises:
        ConfigError: the looks do not grow.

    """
    if not 0 < alpha < 1:
        raise ConfigError(f"level: expected a number between 0 and 1, got {alpha}.")
    found = _thresholds(check_looks(looks), float(alpha), max(1, min(int(strata), MOST_STRATA)))
    return np.array(found)


@lru_cache(maxsize=4096)
def _thresholds(looks: tuple[int, ...], alpha: float, strata: int) -> tuple[float, ...]:
    error = spent(looks, alpha)
    found = [float(error[0])]
    freedom = strata * (looks[0] - 1)
    edge = _edge(found[0], freedom)
    angles = np.linspace(0, edge, NODES)
    # Twice the density of the angle: c and −c are one.
    density = 2 * np.cos(angles) ** (freedom - 1) / scipy.special.beta(0.5, freedom / 2)
    for k in range(1, len(looks)):
        step = _Step(
            looks[k - 1] / looks[k], freedom, strata * (looks[k] - looks[k - 1]),
            edge, scipy.interpolate.CubicSpline(angles, density),
        )  # fmt: skip
        freedom = strata * (looks[k] - 1)
        found.append(_solve(step, freedom, float(error[k] - error[k - 1])))
        edge = _edge(found[-1], freedom)
        if k < len(looks) - 1:
            angles = np.linspace(0, edge, NODES)
            density = step.density(np.sin(angles)) * np.cos(angles)
    return tuple(found)


def _edge(p: float, freedom: int) -> float:
    """The angle arcsin |c| at which the two-sided p of t is p."""
    return math.atan(float(scipy.stats.t.isf(p / 2, freedom)) / math.sqrt(freedom))


def _solve(step: _Step, freedom: int, error: float) -> float:
    """The p of the look after a step at which ``error`` crosses there first."""

    def beyond(logit: float) -> float:
        p = float(scipy.special.expit(logit))
        return math.log(max(step.exits(math.sin(_edge(p, freedom))), 1e-300)) - math.log(error)

    # A look alone would cross with p = error; some who would have crossed have done so before.
    low = float(scipy.special.logit(error))
    high = low + 1.0
    while beyond(high) < 0:
        low, high = high, high + 1.0
    return float(scipy.special.expit(scipy.optimize.brentq(beyond, low - 0.1, high, xtol=1e-9)))


class _Step:
    """From those who went on after one look to the next."""

    def __init__(
        self,
        share: float,
        freedom: int,
        more: int,
        edge: float,
        density: scipy.interpolate.CubicSpline,
    ) -> None:
        """Take n_k/n_(k+1), ν_k, m, and the density of the angles below the edge."""
        self.old, self.new = math.sqrt(share), math.sqrt(1 - share)
        self.freedom, self.more = freedom, more
        self.edge, self.before = edge, density
        self.inner = _nodes(16 + more // 2)

    def _reaching(self, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The c_k from which c_(k+1) reaches each b, (…, q), and the weight of each."""
        least = np.sqrt(np.maximum(b**2 - self.new**2, 0)) / self.old
        low = np.minimum(np.arcsin(np.minimum(least, 1)), self.edge)[..., None]
        s, weights = _nodes(AROUND)
        # Densities begin like a square root where b is just reached, and end like one.
        angles = low + (self.edge - low) * s * s * (3 - 2 * s)
        weights = weights * (self.edge - low) * 6 * s * (1 - s)
        return np.sin(angles), weights * self.before(angles)

    def exits(self, b: float) -> float:
        """The chance of having gone on before, and of |c_(k+1)| > b now."""
        c, mass = self._reaching(np.array(b))
        c = c[:, None]
        if self.more == 1:
            v, weights = np.ones((1, 1)), np.full((1, 1), 0.5)
        else:
            needed = np.sqrt(np.maximum(b * b - (self.old * c) ** 2, 0)) / self.new
            reach = np.arccos(np.minimum(needed, 1))
            s, weights = self.inner
            angle = reach * (1 - s * s)
            weights = weights * reach * 2 * s * np.sin(angle) ** (self.more - 2)
            weights = weights / scipy.special.beta(0.5, (self.more - 1) / 2)
            v = np.cos(angle)
        chance = 0.0
        for sign, other in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            x, y = sign * self.old * c, other * self.new * v
            half = np.arccos(np.minimum(b / np.maximum(np.hypot(x, y), 1e-300), 1))
            middle = np.arctan2(y, x)
            chance = chance + weights * (self._turned(middle + half) - self._turned(middle - half))
        return float((mass[:, None] * chance).sum())

    def _turned(self, angle: np.ndarray) -> np.ndarray:
        """The chance of ψ below an angle."""
        inside = np.sin(np.clip(angle, 0, math.pi / 2)) ** 2
        return np.asarray(scipy.special.betainc(self.more / 2, (1 + self.freedom) / 2, inside))

    def density(self, b: np.ndarray) -> np.ndarray:
        """The density of |c_(k+1)| at each b ≥ 0, of those who went on before, (b,)."""
        c, mass = self._reaching(b)
        square = self.new**2 + (self.old * c) ** 2
        total = np.zeros_like(c)
        for sign in (1, -1):
            middle = sign * self.old * c * b[:, None] / square
            r = np.sqrt(np.maximum(middle**2 + (self.new**2 - b[:, None] ** 2) / square, 0))
            total = total + self._over_angle(middle, r, square)
        return np.asarray((mass * total).sum(1))

    def _over_angle(self, middle: np.ndarray, r: np.ndarray, square: np.ndarray) -> np.ndarray:
        """The density of c_(k+1): the integral over x = middle + r cos ω, of x ≥ 0."""
        m, d = self.more, 1 + self.freedom
        r = np.maximum(r, 1e-12)
        if m == 1:  # v is 1 or −1, and leaves two values of x
            ends = sum(np.maximum(middle + side * r, 0) ** (d - 1) for side in (1, -1))
            return np.asarray(self.new * ends / (square * r * scipy.special.beta(d / 2, 0.5)))
        far = np.arccos(np.clip(-middle / r, -1, 1))
        s, weights = self.inner
        omega = far[..., None] * s
        x = np.maximum(middle[..., None] + r[..., None] * np.cos(omega), 0)
        inner = (weights * x ** (d - 1) * np.sin(omega) ** (m - 2)).sum(-1)
        scale = scipy.special.beta(d / 2, m / 2) * scipy.special.beta(0.5, (m - 1) / 2)
        front = 2 * square ** ((m - 3) / 2) * (r / self.new) ** (m - 2) * far
        return np.asarray(front * inner / scale)


@lru_cache(maxsize=64)
def _nodes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre on (0, 1)."""
    x, weights = np.polynomial.legendre.leggauss(count)
    return (x + 1) / 2, weights / 2
