"""How many dimensions a representation's points fill locally.

With r_1 ≤ r_2 ≤ … the distances of a probe to its neighbours:

Two nearest neighbours (`two_nn`): on a d-dimensional set of locally even density the ratio
μ = r_2/r_1 has P(μ ≤ x) = 1 − x^{−d}, so −log(1 − F(μ)) = d·log μ. d is the slope through the
origin over the probes whose ratio is not among the largest tenth, where the law breaks first.

Maximum likelihood (`levina_bickel`): d_i = [1/(k − 1) Σ_{j<k} log(r_k/r_j)]^{−1} for each probe;
the inverse of the mean of 1/d_i (MacKay & Ghahramani 2005), which has less bias than the mean.

Probes that coincide with another say nothing about distances: one of each is kept.

Sources: Facco, d'Errico, Rodriguez & Laio 2017 (Scientific Reports 7:12140); Levina & Bickel 2004.
Cost: n² distances, n²p.
"""

from __future__ import annotations

import numpy as np

from stratigraph.errors import InputError
from stratigraph.values import check_whole

__all__ = ["intrinsic_dimensions", "levina_bickel", "two_nn"]

KEPT = 0.9  # share of the ratios that the slope is fitted to
COINCIDENT = 1e-6  # of the typical distance; float32 coordinates say no more
LEAST = 10


def _neighbours(x: np.ndarray, k: int) -> np.ndarray:
    """Distances of each distinct probe to its k nearest, ascending: (m, k); m may be 0."""
    matrix = np.asarray(x, dtype=np.float64)
    if matrix.ndim != 2 or not np.isfinite(matrix).all():
        raise InputError(
            f"x: expected a finite matrix (n, p), got an array of shape {matrix.shape}."
        )
    matrix = matrix - matrix.mean(axis=0)
    scale = np.abs(matrix).max() if matrix.size else 0.0
    if scale == 0:
        return np.empty((0, k))
    # By inner products, in float64 of centred points: exact to 1e-8 of the largest distance, far
    # below where probes count as coincident.
    gram = (matrix / scale) @ (matrix / scale).T
    squares = np.diag(gram)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * gram, 0.0))
    np.fill_diagonal(distances, 0.0)
    same = distances <= COINCIDENT * np.median(distances)
    first = same.argmax(axis=1) == np.arange(len(same))
    kept = distances[np.ix_(first, first)]
    if len(kept) <= max(k, LEAST):
        return np.empty((0, k))
    np.fill_diagonal(kept, np.inf)
    return np.sort(np.partition(kept, k - 1, axis=1)[:, :k], axis=1)


def two_nn(x: np.ndarray) -> float:
    """Intrinsic dimension by the two nearest neighbours; NaN with 10 distinct probes or fewer.

    Args:
        x: a representation, (n, p), finite.

    """
    return _two_nn(_neighbours(x, 2))


def _two_nn(near: np.ndarray) -> float:
    """Of the distances to the nearest neighbours, (m, 2 or more)."""
    if not len(near):
        return float("nan")
    ratios = np.sort(np.log(near[:, 1] / near[:, 0]))
    kept = int(KEPT * len(ratios))
    empirical = -np.log1p(-np.arange(1, kept + 1) / len(ratios))
    square = float(ratios[:kept] @ ratios[:kept])
    return float(ratios[:kept] @ empirical) / square if square > 0 else float("nan")


def levina_bickel(x: np.ndarray, k: int = 20) -> float:
    """Intrinsic dimension by maximum likelihood over k neighbours; NaN with k probes or fewer.

    Args:
        x: a representation, (n, p), finite.
        k: neighbours of each probe, at least 3.

    """
    check_whole("k", k, 3, error=InputError)
    return _levina_bickel(_neighbours(x, k))


def intrinsic_dimensions(x: np.ndarray, k: int = 20) -> tuple[float, float]:
    """`two_nn` and `levina_bickel` of one representation, its distances taken once."""
    near = _neighbours(x, k)
    return (_two_nn(near) if len(near) else two_nn(x)), _levina_bickel(near)


def _levina_bickel(near: np.ndarray) -> float:
    """Of the distances to the k nearest neighbours, (m, k)."""
    if not len(near):
        return float("nan")
    inverse = np.log(near[:, -1:] / near[:, :-1]).mean(axis=1)
    return float(1 / inverse.mean()) if inverse.mean() > 0 else float("nan")
