"""Measures that are cosines of one vector for each representation: their shared half."""

from __future__ import annotations

from torch import Tensor

from stratigraph.similarity.gram import norm64
from stratigraph.similarity.measure import Prepared

__all__ = ["cosine", "unit_vector"]


def unit_vector(n: int, vector: Tensor, size: float, reason: str, doubt: str | None) -> Prepared:
    """Form ``vector``: of length 1, or ``reason`` where rounding is all there is of it.

    ``size`` is the scale that the vector's entries were computed at.
    """
    norm = norm64(vector)
    if norm <= 1e-12 * size:
        return Prepared(n, "vector", reason=reason)
    return Prepared(n, "vector", (vector / norm,), doubt=doubt)


def cosine(x: Prepared, y: Prepared) -> float:
    """The inner product of two unit vectors."""
    return min(max(float(x.parts[0].double() @ y.parts[0].double()), -1.0), 1.0)
