"""How well a linear map reads the factors of variation from a representation.

Ridge regression of each factor on the centred representation, its error left one probe out at a
time in closed form: with X = USVᵀ and H = U diag(s²/(s² + λ)) Uᵀ + 11ᵀ/n, the residual of probe i
without itself is (y − Hy)_i / (1 − H_ii). Per factor

    R² = 1 − Σ (residual without itself)² / Σ (y_i − mean without itself)²,

λ the best of a few multiples of the mean s², by the same error. A factor of at most `FEW` values,
and every factor whose values have no order, is as many indicators as it has values, whose sums of
squares are added; another is its value. R² ≤ 1; it is negative where reading is worse than the
mean.

Sources: Alain & Bengio 2016 (linear probes); Allen 1974 (PRESS).
Cost: n·p·min(n, p), or n·p² where p ≤ n, and n·min(n, p) for each λ and target.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stratigraph.errors import InputError

__all__ = ["decodability"]

FEW = 10
UNORDERED = ("shape", "category", "label", "object", "instance")
SMALLEST = 1e-12  # of the largest s²
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)


def _targets(values: np.ndarray, name: str) -> np.ndarray:
    kinds = np.unique(values)
    if len(kinds) <= FEW or name in UNORDERED:
        return (values[:, None] == kinds[None, :]).astype(float)
    return values[:, None].astype(float)


def _directions(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """U and s² of X = USVᵀ, without the directions that rounding has made: (n, r), (r,)."""
    if x.shape[1] > len(x):
        left, singular, _ = np.linalg.svd(x, full_matrices=False)
        squares = singular**2
    else:
        gram = x.T @ x
        squares = np.diag(gram).copy()
        # Stored coordinates of wide layers are principal directions already.
        if np.abs(gram - np.diag(squares)).max() > 1e-6 * squares.max():
            squares, vectors = np.linalg.eigh(gram)
            x = x @ vectors
        left = x / np.sqrt(np.where(squares > 0, squares, 1.0))
    kept = squares > SMALLEST * squares.max()
    return left[:, kept], squares[kept]


def decodability(x: np.ndarray, factors: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """Factor → R² of reading it linearly, leaving each probe out: NaN for a factor of one value.

    Args:
        x: a representation, (n, p), finite.
        factors: whole numbers, (n, f).
        names: the factors' names, f of them.

    Raises:
        InputError: the shapes do not fit.

    """
    matrix, values = np.asarray(x, dtype=np.float64), np.asarray(factors)
    if matrix.ndim != 2 or values.shape != (len(matrix), len(names)):
        raise InputError(
            f"x and factors: expected (n, p) and (n, {len(names)}), got {matrix.shape} and "
            f"{values.shape}."
        )
    n = len(matrix)
    matrix = matrix - matrix.mean(axis=0)
    scale = np.abs(matrix).max() if matrix.size else 0.0
    if scale > 0:
        left, squares = _directions(matrix / scale)
    else:
        left, squares = np.zeros((n, 0)), np.zeros(0)
    targets = [_targets(values[:, i], name) for i, name in enumerate(names)]
    every = np.concatenate([t - t.mean(axis=0) for t in targets], axis=1)
    owner = np.repeat(np.arange(len(names)), [t.shape[1] for t in targets])
    inside = left.T @ every
    errors = []
    for penalty in PENALTIES if len(squares) else (1.0,):
        shrink = squares / (squares + penalty * squares.mean()) if len(squares) else squares
        fitted = left @ (shrink[:, None] * inside)
        leverage = (left**2) @ shrink + 1 / n
        residual = (every - fitted) / np.maximum(1 - leverage, 1e-12)[:, None]
        errors.append(np.bincount(owner, (residual**2).sum(axis=0), len(names)))
    total = np.bincount(owner, ((every / (1 - 1 / n)) ** 2).sum(axis=0), len(names))
    best = np.min(errors, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = np.where(total > 0, 1 - best / total, np.nan)
    return {name: float(score) for name, score in zip(names, scores, strict=True)}
