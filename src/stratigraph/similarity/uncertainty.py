"""What a CKA is worth: an interval over probes, and what chance alone would score.

Jackknife over probes. HSIC is a function of ⟨K⁰, L⁰⟩, r·s and RS (`hsic`), and leaving probe i out
changes each in closed form, with h = (K⁰∘L⁰)1:

    ⟨K⁰, L⁰⟩ − 2h_i,   r·s − r_i s_i − (K⁰s)_i − (L⁰r)_i + h_i,   (R − 2r_i)(S − 2s_i),

so all n leave-one-out scores cost one n² pass. The interval is θ ± t_{n−1} s, s the jackknife's
standard error.

Permutation null. The probes of y are permuted, so that nothing relates them to x's: the p-value is
(1 + #{null ≥ observed}) / (1 + permutations), never 0.

Its variance needs no permutation: U-centred kernels have zero diagonals and row sums, so summing
over the index patterns (same pair, one shared index, disjoint) gives, exactly and for any kernels,

    E[CKA] = 0,   Var[CKA] = 2 / (n(n − 3)),

and by Cantelli's inequality P(CKA ≥ c) ≤ 1/(1 + c²/Var) under the null whatever its shape
(`permutation_bound`); so also for a mean of CKAs.

Sources: Song et al. 2012; Efron & Stein 1981; Phipson & Smyth 2010 (the p-value's 1 +).
Cost: n²(p + q) for the kernels; n² for the jackknife, and for each permutation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
import torch
from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.labels import join_rows
from stratigraph.similarity.centring import centre
from stratigraph.similarity.gram import gram
from stratigraph.similarity.hsic import DEGENERATE, debiased_hsic, is_degenerate
from stratigraph.similarity.inputs import as_matrix, check_finite, check_probes, only
from stratigraph.similarity.measure import tell
from stratigraph.values import check_whole

__all__ = ["Interval", "Null", "cka_interval", "cka_null", "permutation_bound"]


@dataclass(frozen=True)
class Interval:
    """A score, its standard error and its interval."""

    value: float
    error: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Null:
    """A score, what permuted probes score, and the share of them at least as large."""

    value: float
    null: np.ndarray
    p_value: float


def cka_interval(x: Any, y: Any, confidence: float = 0.95) -> Interval:
    """Debiased CKA with a jackknife interval over the probes.

    NaN, with an `UndefinedWarning`, where either is constant or equidistant; where one of them is
    so without one of its probes, the interval alone.

    Raises:
        InputError: fewer than 6 probes, or a confidence outside (0, 1).

    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence: expected a number between 0 and 1, got {confidence!r}.")
    kernels = _kernels(x, y, least=6)
    if kernels is None:
        return Interval(*[math.nan] * 4)
    k, m = (kernel.matrix for kernel in kernels)
    (xy, xy_less), (xx, xx_less), (yy, yy_less) = _hsics(k, m), _hsics(k, k), _hsics(m, m)
    value = xy / math.sqrt(xx * yy)
    n = len(xy_less)
    for name, kernel, less in zip("xy", kernels, (xx_less, yy_less), strict=True):
        if bool(is_degenerate(less, kernel.inner, 1.0, kernel.dtype).any()):
            reason = f"nothing but rounding without probe {int(less.argmin())}"
            tell("the interval of debiased_cka", name, reason, None)
            return Interval(value, *[math.nan] * 3)
    scores = xy_less / (xx_less * yy_less).sqrt()
    error = math.sqrt((n - 1) / n * float((scores - scores.mean()).square().sum()))
    reach = error * float(scipy.stats.t.ppf((1 + confidence) / 2, n - 1))
    return Interval(value, error, value - reach, value + reach)


def cka_null(x: Any, y: Any, permutations: int = 200, seed: int = 0) -> Null:
    """Debiased CKA against permuted probes; NaN where `cka_interval` has no score.

    Raises:
        InputError: fewer than one permutation.

    """
    check_whole("permutations", permutations, 1, error=InputError)
    kernels = _kernels(x, y, least=4)
    if kernels is None:
        return Null(math.nan, np.full(permutations, math.nan), math.nan)
    k, m = (kernel.matrix for kernel in kernels)
    scale = math.sqrt(_hsics(k, k)[0] * _hsics(m, m)[0])
    rng = np.random.default_rng(seed)
    value = _hsics(k, m)[0] / scale
    null = np.empty(permutations)
    n = len(k)
    one, other = k.cpu().numpy(), m.cpu().numpy()  # which gathers in a quarter of torch's time
    r, s = one.sum(0), other.sum(0)
    totals = float(r.sum() * s.sum())
    for index in range(permutations):
        order = rng.permutation(n)
        inner = np.vdot(one, other.take(order, 0).take(order, 1))
        null[index] = debiased_hsic(inner, float(r @ s[order]), totals, n) / scale
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


@dataclass(frozen=True)
class _Kernel:
    """K⁰ of features of norm 1, ‖K‖², and the dtype of the features."""

    matrix: Tensor
    inner: float
    dtype: torch.dtype


def _hsics(k: Tensor, m: Tensor) -> tuple[float, Tensor]:
    """Debiased HSIC of all probes, and with each left out in turn, each by its own n(n − 3)."""
    n = len(k)
    r, s = k.sum(0), m.sum(0)
    h = (k * m).sum(0)
    total, cross = float(h.sum()), float(r @ s)
    whole = float(debiased_hsic(total, cross, float(r.sum() * s.sum()), n))
    less = cross - r * s - k @ s - m @ r + h
    totals = (r.sum() - 2 * r) * (s.sum() - 2 * s)
    return whole, debiased_hsic(total - 2 * h, less, totals, n - 1)


def _kernels(x: Any, y: Any, least: int) -> tuple[_Kernel, _Kernel] | None:
    kernels = []
    for name, value in join_rows({"x": only(x, "x"), "y": only(y, "y")}).items():
        matrix = as_matrix(value, name)
        check_finite(matrix, name)
        check_probes(len(matrix), least, "debiased CKA with its uncertainty", name)
        found = centre(matrix)
        tell("debiased_cka", name, found.reason, found.doubt, level=3)
        if found.reason is None:
            kernel = gram(found.matrix / torch.linalg.vector_norm(found.matrix))
            inner = float(kernel.square().sum())
            kernel.fill_diagonal_(0)
            if is_degenerate(_hsics(kernel, kernel)[0], inner, 1.0, matrix.dtype):
                tell("debiased_cka", name, DEGENERATE, None, level=3)
            else:
                kernels.append(_Kernel(kernel, inner, matrix.dtype))
    if len(kernels) < 2:
        return None
    if len(kernels[0].matrix) != len(kernels[1].matrix):
        raise InputError(
            "x and y: expected the same probes in the same order, "
            f"got {len(kernels[0].matrix)} and {len(kernels[1].matrix)} rows."
        )
    return kernels[0], kernels[1]
