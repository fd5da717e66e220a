"""Procrustes similarity: how well one representation can be rotated onto another.

With X, Y centred and divided by their Frobenius norms, and ‖·‖_* the nuclear norm,

    s = max_R ⟨XR, Y⟩ = ‖XᵀY‖_* ∈ [0, 1],     ‖XR − Y‖²_F = 2 − 2s at its least.

Only inner products between probes matter: s = ‖F_xᵀF_y‖_* for any F with FFᵀ = XXᵀ (`factors`), and
F_xᵀF_y has at most n − 1 singular values, which are the roots of the eigenvalues of its smaller
Gram matrix. Where F is cut after r or s columns into head and tail, F = [H T], with P and Q the
projectors onto the spans of H_x and H_y,

    lower   ‖H_xᵀH_y‖_*                                  a submatrix of F_xᵀF_y
    upper   lower + ‖T_xᵀF_y‖_* + ‖H_xᵀT_y‖_*            the rest of it, by the triangle inequality
    where   ‖T_xᵀF_y‖_* ≤ ‖T_x‖_F ‖(I − P)F_y‖_F + ‖PT_x‖_F,
            ‖H_xᵀT_y‖_* ≤ ‖T_y‖_F ‖(I − Q)H_x‖_F + ‖QT_y‖_F,

since ‖AᵀB‖_* ≤ ‖A‖_F ‖B‖_F. Principal columns have small tails, and PT = QT = 0. Stored ones are
principal but for rounding: with U the columns of unit length and e = ‖UᵀU − I‖_F over a head,

    ‖PB‖²_F ≥ ‖UᵀB‖²_F / (1 + e),     ‖PT‖_F ≤ ‖UᵀT‖_F / √(1 − e).

Heads grow until the gap is within the tolerance, which is 1e-6 for the exact score.

Source: Ding, Denain & Steinhardt 2021, arXiv 2108.01661; Williams et al. 2021, arXiv 2110.14739.
Cost: preparing np·min(n, p) and a Cholesky factor of the smaller Gram matrix; a pair n·r·s + r²s
+ r³ · 4/3, r ≤ s ≤ min(p, n − 1). Half of r³ is tridiagonal reduction at the speed of memory.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.linalg import blas, lapack
from torch import Tensor

from stratigraph.similarity.factors import DROPPED, EXACT, factorise, permute_factor
from stratigraph.similarity.measure import Measure, Prepared, score

__all__ = [
    "PROCRUSTES_SIMILARITY",
    "bracket",
    "cosine_for_angle",
    "nuclear_norm_within",
    "procrustes_similarity",
]

MOST = 0.7  # of the columns: beyond it, take them all
ENOUGH = 2e-7  # error of a nuclear norm, relative, that its eigenvalues may bring
ROUNDING = ENOUGH + 2 * DROPPED**0.5  # what a nuclear norm may be off by, at either end
ITSELF = 1 - 1e-12  # a representation with itself, of which nothing needs to be computed
TINY = 1e-300  # so that nothing is divided by 0
EPSILON = float(np.finfo(np.float64).eps)


def procrustes_similarity(x: Any, y: Any) -> float:
    """Procrustes similarity of two representations ``(n, p)`` and ``(n, q)`` of the same probes.

    Axes beyond the second are flattened. NaN, with an `UndefinedWarning`, if either is constant.

    Returns:
        The similarity, with an error below 1e-6.

    Raises:
        InputError: different numbers of probes, or an entry is NaN or infinite.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(100, 3))
    >>> round(procrustes_similarity(x, -3 * x[:, ::-1] + 5), 9)
    1.0

    """
    return score(PROCRUSTES_SIMILARITY, x, y)


def bracket(x: Prepared, y: Prepared, tolerance: float) -> tuple[float, float, int, int]:
    """An interval that holds the Procrustes similarity, and the ranks that gave it.

    What was left out is bounded by proof; what rounding may add is estimated (`ROUNDING`).

    Args:
        x: from `factorise`, in float64 throughout.
        y: likewise.
        tolerance: the widest that the interval may be; at least 1e-6.

    Returns:
        Its ends, and the columns that were kept of x and of y; NaN where either has no geometry.

    """
    if x.reason or y.reason:
        return math.nan, math.nan, 0, 0
    if _same(x, y):
        rank = x.parts[0].shape[1]
        return ITSELF, 1.0, rank, rank
    value, gap, r, s = nuclear_norm_within(x, y, tolerance - 2 * ROUNDING)
    return max(value - ROUNDING, 0.0), min(value + gap + ROUNDING, 1.0), r, s


def nuclear_norm_within(x: Prepared, y: Prepared, allowed: float) -> tuple[float, float, int, int]:
    """‖H_xᵀH_y‖_*, a gap of at most ``allowed`` to ‖F_xᵀF_y‖_*, and the columns kept of x and y."""
    all_x, all_y = (side.parts[0].shape[1] for side in (x, y))
    if _same(x, y):
        return 1.0, 0.0, all_x, all_y
    r, s = (_rank(side, math.sqrt(max(allowed, 0.0) / 2)) for side in (x, y))
    while True:
        if r > MOST * all_x and s > MOST * all_y:
            # The little that could be left out would not pay for its bound.
            return _whole_norm(x, y), 0.0, all_x, all_y
        core = _product(x, y, r, s)
        gap, x_out, y_out = _gap(core, _cut(x, r), _cut(y, s))
        if gap <= allowed:
            return _nuclear_norm(core), gap, r, s
        more = _rank(x, 0.4 * allowed / y_out), _rank(y, 0.4 * allowed / x_out)
        if more[0] <= r and more[1] <= s:  # it is not the tails that keep the gap open
            more = all_x, all_y
        r, s = max(r, more[0]), max(s, more[1])


def cosine_for_angle(x: Prepared, y: Prepared) -> float:
    """The similarity s ∈ [0, 1] where its error counts by its angle: that is δ/√(2 − 2s)."""
    if _same(x, y):
        return 1.0
    return min(_whole_norm(x, y, of_angle=True), 1.0)


def _same(x: Prepared, y: Prepared) -> bool:
    """Whether two representations are one, or a copy: then no rounding stands in the way of 1."""
    if x is y:
        return True
    f, g = x.parts[0].numpy(), y.parts[0].numpy()
    if x.form != y.form or f.shape != g.shape or not np.array_equal(f[:, 0], g[:, 0]):
        return False
    return np.array_equal(f, g)


def _rank(x: Prepared, level: float) -> int:
    """The fewest columns that leave a tail of at most ``level``."""
    if x.form != "columns":
        return int(x.parts[0].shape[1])
    return max(int(np.count_nonzero(x.parts[2].numpy() > level)), 1)


def _cut(x: Prepared, r: int) -> tuple[np.ndarray | None, float, float, float]:
    """The norms of a head's columns (None: it is all of F), ‖T‖_F, e and ‖UᵀT‖_F."""
    if x.form != "columns":
        return None, 0.0, 0.0, 0.0
    sizes, tail, skew, leak = (part.numpy() for part in x.parts[1:5])
    return sizes[:r], float(tail[r]), float(skew[r]), float(leak[r])


def _gap(core: np.ndarray, x: tuple, y: tuple) -> tuple[float, float, float]:
    """What F_xᵀF_y can hold beside H_xᵀH_y; ‖(I − Q)H_x‖_F and ‖(I − P)F_y‖_F."""
    (sx, tail_x, skew_x, leak_x), (sy, tail_y, skew_y, leak_y) = x, y
    if max(skew_x, skew_y) > 0.5:
        return math.inf, 1.0, 1.0
    squares = np.square(core)
    # Pythagoras: what is outside a projector is the whole less what is inside. Of Y, the tail
    # counts as outside P altogether, so that only the heads are multiplied.
    y_in_p = float((squares.sum(1) / np.square(sx)).sum()) / (1 + skew_x) if sx is not None else 1.0
    x_in_q = float((squares.sum(0) / np.square(sy)).sum()) / (1 + skew_y) if sy is not None else 1.0
    y_out = math.sqrt(max(1.0 - y_in_p, 0.0) + EPSILON * 8)
    x_out = math.sqrt(max(1.0 - tail_x**2 - x_in_q, 0.0) + EPSILON * 8)
    leaks = leak_x / math.sqrt(1 - skew_x) + leak_y / math.sqrt(1 - skew_y)
    return tail_x * y_out + tail_y * x_out + leaks, x_out, y_out


def _product(x: Prepared, y: Prepared, r: int | None = None, s: int | None = None) -> np.ndarray:
    """F_xᵀF_y of the first r and s columns, column by column in memory."""
    if x.form == "triangle":
        right = np.array(_lower(y)[:, :s], order="F")
        return blas.dtrmm(1.0, x.parts[0].numpy(), right, lower=1, trans_a=1, overwrite_b=1)
    if y.form == "triangle":
        return _product(y, x, s, r).T
    return (_lower(y)[:, :s].T @ _lower(x)[:, :r]).T


def _lower(x: Prepared) -> np.ndarray:
    f = x.parts[0].numpy()
    return np.tril(f) if x.form == "triangle" else f


def _whole_norm(x: Prepared, y: Prepared, of_angle: bool = False) -> float:
    """‖F_xᵀF_y‖_*; of two triangles from F_xᵀLF_x, which LAPACK's sygst forms in n³ flops."""
    if x.form == y.form == "triangle":
        kernel = np.array(y.parts[0].numpy().T, order="F")
        np.fill_diagonal(kernel, y.parts[1].numpy())
        inner, _ = lapack.dsygst(kernel, x.parts[0].numpy(), itype=2, lower=1, overwrite_a=1)
        total = _sum_of_roots(inner, of_angle)
        if total is not None:
            return total
    return _nuclear_norm(_product(x, y), of_angle)


def _nuclear_norm(matrix: np.ndarray, of_angle: bool = False) -> float:
    """The sum of the singular values, from the smaller Gram matrix where that suffices."""
    wide = matrix.shape[0] <= matrix.shape[1]
    total = _sum_of_roots(matrix @ matrix.T if wide else matrix.T @ matrix, of_angle)
    return float(np.linalg.svd(matrix, compute_uv=False).sum()) if total is None else total


def _sum_of_roots(symmetric: np.ndarray, of_angle: bool = False) -> float | None:
    """Σ√λ of a positive semi-definite matrix, of which the lower triangle is read.

    Rounding moves eigenvalues by up to δ = 4ε λ₁, and those of a graded matrix by far less. Which
    of the two it is can be seen: errors of δ would make half of the eigenvalues below δ negative.
    With −ν the least one, each λ above 4ν is taken to be off by no more than the smaller of δ and
    λ itself, and so √λ by half of that over √λ. These errors are of either sign and are taken for
    independent: their squares add up. What has one sign adds up as it is: a root's bend, δ²/8λ^1.5,
    and the roots below 4ν. None where the sum of both exceeds 2e-7 of the total or, asked for, of
    its arc cosine; then the singular values themselves have to be computed.
    """
    side = len(symmetric)
    if side == 1:
        return math.sqrt(max(float(symmetric[0, 0]), 0.0))
    # numpy lets go of Python's lock meanwhile, which scipy's LAPACK does not.
    found = np.linalg.eigvalsh(symmetric.T, UPLO="U")
    below = 4 * max(-float(found[0]), 0.0) + TINY
    delta = 4 * EPSILON * float(found[-1])
    known = np.maximum(found, below)
    roots = np.sqrt(known)
    doubts = np.minimum(delta, known) / roots / 2
    bends = delta**2 / 8 / known[known > delta] ** 1.5
    lost = math.sqrt(below) * np.count_nonzero(found <= below)
    risk = math.sqrt(float(np.square(doubts).sum())) + float(bends.sum()) + lost
    total = float(np.sqrt(np.maximum(found, 0.0)).sum())
    allowed = ENOUGH * total
    if of_angle:
        allowed = min(allowed, ENOUGH / 2 * math.sqrt(max(2 - 2 * total, 0.0)))
    return None if risk > allowed else total


def _prepare(x: Tensor) -> Prepared:
    return factorise(x, single=True)


def _compare(x: Prepared, y: Prepared) -> float:
    value, gap, *_ = nuclear_norm_within(x, y, EXACT)
    return min(value + gap / 2, 1.0)


PROCRUSTES_SIMILARITY = Measure(
    name="procrustes_similarity",
    source="Ding, Denain & Steinhardt 2021, arXiv 2108.01661 (1 − d²/2 of their distance)",
    larger="more alike",
    cost="prepare n²p + n³; pair n·r² + r³, r ≤ min(p, n − 1)",
    prepare=_prepare,
    compare=_compare,
    permute=permute_factor,
    biased=True,
)
