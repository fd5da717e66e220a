"""What a CKA is worth: an interval over probes, and how far chance alone can go.

Jackknife over probes: leaving out each changes HSIC in closed form (`left_out`), so all n
leave-one-out scores cost one n² pass. The interval is θ ± t_{n−1} s, s the jackknife's standard
error.

Chance: the probes of y are permuted, so that nothing relates them to x's (`stratigraph.calibrate`).
The variance of debiased CKA needs no permutation: U-centred kernels have zero diagonals and row
sums, so summing over the index patterns (same pair, one shared index, disjoint) gives, exactly and
for any kernels,

    E[CKA] = 0,   Var[CKA] = 2 / (n(n − 3)),

and by Cantelli's inequality P(CKA ≥ c) ≤ 1/(1 + c²/Var) under the null whatever its shape
(`permutation_bound`); so also for a mean of CKAs.

Sources: Song et al. 2012; Efron & Stein 1981.
Cost: n²(p + q) for the kernels; n² for the jackknife.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.markup import html_table
from stratigraph.renamed import warn_former
from stratigraph.similarity.cka import DEBIASED_CKA
from stratigraph.similarity.inputs import check_probes
from stratigraph.similarity.kernels import kernels_of
from stratigraph.similarity.left_out import hsic_without_each
from stratigraph.similarity.measure import Prepared, between, score, tell
from stratigraph.values import check_whole

__all__ = ["Interval", "Null", "cka_interval", "cka_null", "permutation_bound"]


@dataclass(frozen=True)
class Interval:
    """A score, its standard error and its interval."""

    value: float
    error: float
    lower: float
    upper: float

    def _repr_html_(self) -> str:
        rows = (("value", self.value), ("standard error", self.error),
                ("lower", self.lower), ("upper", self.upper))  # fmt: skip
        return html_table("Debiased CKA", [(name, f"{held:.4f}") for name, held in rows])


@dataclass(frozen=True)
class Null:
    """What `cka_null` gives."""

    value: float
    null: np.ndarray
    p_value: float


def cka_interval(x: Any, y: Any, confidence: float = 0.95) -> Interval:
    """Debiased CKA with a jackknife interval over the probes.

    NaN, with an `UndefinedWarning`, if either is constant or equidistant; if one becomes so
    without one of its probes, only the interval is NaN.

    Raises:
        InputError: fewer than 6 probes, or a confidence outside (0, 1).

    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence: expected a number between 0 and 1, got {confidence!r}.")
    kernels = kernels_of(x, y, least=6).kernels
    if kernels is None:
        return Interval(*[math.nan] * 4)
    k, m = (kernel.matrix for kernel in kernels)
    (xy, xy_less), (xx, xx_less), (yy, yy_less) = (
        hsic_without_each(*pair) for pair in ((k, m), (k, k), (m, m))
    )
    value = xy / math.sqrt(xx * yy)
    n = len(xy_less)
    for name, kernel, less in zip("xy", kernels, (xx_less, yy_less), strict=True):
        if kernel.is_nothing(less).any():
            reason = f"nothing but rounding without probe {int(less.argmin())}"
            tell("the interval of debiased_cka", name, reason, None)
            return Interval(value, *[math.nan] * 3)
    scores = xy_less / (xx_less * yy_less).sqrt()
    error = math.sqrt((n - 1) / n * float((scores - scores.mean()).square().sum()))
    reach = error * float(scipy.stats.t.ppf((1 + confidence) / 2, n - 1))
    return Interval(value, error, value - reach, value + reach)


def cka_null(x: Any, y: Any, permutations: int = 200, seed: int = 0) -> Null:
    """Debiased CKA against permuted probes: `stratigraph.calibrate` by its former name.

    It goes with the next version.

    Raises:
        InputError: fewer than one permutation, or x and y cannot be compared.

    """
    warn_former("cka_null", "stratigraph.calibrate")
    check_whole("permutations", permutations, 1, error=InputError)
    held: list[Prepared] = []

    def hold(matrix: Tensor) -> Prepared:
        held.append(DEBIASED_CKA.prepare(matrix))
        return held[-1]

    value = score(DEBIASED_CKA, x, y, (hold, hold))
    permute = DEBIASED_CKA.permute
    if math.isnan(value) or permute is None:
        return Null(math.nan, np.full(permutations, math.nan), math.nan)
    one, other = held
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(other.n) for _ in range(permutations)]
    null = np.array([between(DEBIASED_CKA, one, permute(other, order)) for order in orders])
    return Null(value, null, (1 + int(np.sum(null >= value))) / (1 + permutations))


def permutation_bound(score: float, n: int) -> float:
    """The most that the permutation p of a debiased CKA, or of a mean of them, can be.

    Args:
        score: the debiased CKA that was observed; at 0 or below nothing can be said, and it is 1.
        n: probes, at least 4.

    Raises:
        InputError: fewer than 4 probes.

    """
    check_probes(n, 4, "permutation_bound", "n")
    if math.isnan(score):
        return math.nan
    variance = 2 / (n * (n - 3))
    return 1.0 if score <= 0 else 1 / (1 + score**2 / variance)
