"""Measures that are cosines of one vector for each representation: their shared half."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.similarity.gram import norm64
from stratigraph.similarity.inputs import as_array
from stratigraph.similarity.measure import Measure, Prepared
from stratigraph.similarity.threads import Each

__all__ = ["Vector", "cosine", "unit_vector", "write_vector"]


@dataclass(frozen=True)
class Vector:
    """A vector's squared length; or why there is none, NaN; why it has few digits."""

    reason: str | None
    doubt: str | None
    squared: float


def write_vector(measure: Measure, x: Tensor, row: np.ndarray, each: Each = map) -> Vector:
    """Write the vector of a representation into a row of float32; zeros where it has none.

    Args:
        measure: one that embeds.
        x: finite, (n, p).
        row: ``measure.entries(n)`` numbers, 0.
        each: maps over the parts of a large one (`threads`).

    """
    if measure.write is not None:
        written = measure.write(as_array(x), row, each=each)
        if written.reason:
            row[:] = 0
            return Vector(written.reason, None, math.nan)
        return Vector(None, written.doubt, written.own / 2)
    if measure.embed is None:
        raise InputError(f"measure: {measure.name} cannot be embedded as vectors.")
    found = measure.embed(x)
    if found.reason:
        return Vector(found.reason, None, math.nan)
    vector = found.parts[0].to("cpu", torch.float32)
    row[: len(vector)] = vector.numpy()
    return Vector(None, found.doubt, norm64(vector) ** 2)


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
