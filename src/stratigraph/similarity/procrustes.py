"""Procrustes similarity: how well one representation can be rotated onto another.

With X, Y centred and divided by their Frobenius norms, and ‖·‖_* the nuclear norm,

    s = max_R ⟨XR, Y⟩ = ‖XᵀY‖_* ∈ [0, 1],     ‖XR − Y‖²_F = 2 − 2s at its least.

Only inner products between probes matter, so X may be replaced by any F with FFᵀ = XXᵀ, of at most
n − 1 columns (`alignment`). The pair then costs r³, whatever p.

Source: Ding, Denain & Steinhardt 2021, arXiv 2108.01661; Williams et al. 2021, arXiv 2110.14739.
Cost: preparing np·min(n, p) and a factorisation of the smaller Gram matrix; a pair n·r² + r³.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from stratigraph.similarity.alignment import aligned_norm, factored
from stratigraph.similarity.centring import centre
from stratigraph.similarity.measure import Measure, Prepared, score

__all__ = ["PROCRUSTES_SIMILARITY", "procrustes_similarity"]


def procrustes_similarity(x: Any, y: Any) -> float:
    """Procrustes similarity of two representations ``(n, p)`` and ``(n, q)`` of the same probes.

    Axes beyond the second are flattened. NaN, with an `UndefinedWarning`, where either is constant.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(100, 3))
    >>> round(procrustes_similarity(x, -3 * x[:, ::-1] + 5), 9)
    1.0
    """
    return score(PROCRUSTES_SIMILARITY, x, y)


def _prepare(x: Tensor) -> Prepared:
    """Form ``factor`` or ``cholesky`` of X_c / ‖X_c‖_F, as `factored` has them."""
    found = centre(x)
    if found.reason:
        return Prepared(len(x), "none", reason=found.reason)
    return factored(found.matrix.div_(found.squares.sum().sqrt()), found.doubt)


def _compare(x: Prepared, y: Prepared) -> float:
    return min(max(aligned_norm(x, y), 0.0), 1.0)


PROCRUSTES_SIMILARITY = Measure(
    name="procrustes_similarity",
    source="Ding, Denain & Steinhardt 2021, arXiv 2108.01661 (1 − d²/2 of their distance)",
    larger="more alike",
    cost="prepare n²p + n³; pair n·r² + r³, r ≤ min(p, n − 1)",
    prepare=_prepare,
    compare=_compare,
    biased=True,
)
