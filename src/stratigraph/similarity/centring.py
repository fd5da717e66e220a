"""Centred features that keep their digits.

With m the mean over the probes, X_c = X − 1mᵀ. Squares of activations overflow at 1e20 and cancel
at an offset of 1e4 when they are formed in float32, so

1. X is scaled by a power of two (exact) until its largest entry is about 1;
2. the mean is taken and removed in float64, twice: the second pass removes what rounding left;
3. only then are products formed.

A unit is constant where its spread is within rounding of its own mean, whatever the others read: it
is 0 in X_c. A representation of constant units has no geometry: X_c = 0, every cosine is 0/0. It is
reported as undefined, with the reason, and never scored 0 or 1.

All of it is of numpy's arrays, or of torch's tensors, whichever is given: of numpy's on the CPU, so
that no thread of torch's waits for one of BLAS's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from stratigraph.similarity.inputs import check_finite

__all__ = [
    "CONSTANT",
    "ORDINARY",
    "Centred",
    "centre",
    "centre_single",
    "find_constant",
    "power_of_two",
    "rescale",
]

CONSTANT = "constant: every probe has the same activations, so no geometry is left to compare"
ORDINARY = (2.0**-20, 2.0**20)  # mean squares whose products and sums stay far inside float32
LOWEST = 900  # steps of 2 that a mean of size 1 can be scaled up by and stay finite
ROWS = 32  # rows whose float64 copy stays in the cache
EPS = 2.0**-52


@dataclass(frozen=True)
class Centred:
    """X_c · 2^−exponent, the mean in the same scale, and the squared norm of each row of X_c.

    ``reason`` says why there is no geometry, ``doubt`` why there are few digits of it.
    """

    matrix: Any
    mean: Any
    exponent: int
    squares: Any
    reason: str | None = None
    doubt: str | None = None


def power_of_two(largest: float) -> int:
    """The exponent of the power of two just above ``largest`` (0 for 0)."""
    return math.frexp(largest)[1]


def rescale(matrix: Any, exponent: int) -> Any:
    """``matrix`` · 2^−exponent in place, in two steps, since 2^1073 alone would overflow."""
    half = exponent // 2
    matrix *= 2.0**-half
    matrix *= 2.0 ** (half - exponent)
    return matrix


@np.errstate(over="ignore")
def centre(x: Any, name: str = "x") -> Centred:
    """Centre a matrix ``(n, p)`` over its probes, in float64, after an exact scaling.

    Raises:
        InputError: an entry is NaN or infinite.

    """
    exponent = _exponent(x, name)
    matrix = rescale(_double(x), exponent)
    mean = matrix.mean(0)
    matrix -= mean
    rest = matrix.mean(0)
    matrix -= rest
    mean += rest
    constant = find_constant(matrix, mean)
    if bool(constant.any()):
        matrix[:, constant] = 0
        if bool(constant.all()):
            return Centred(matrix, mean, exponent, matrix.sum(1), CONSTANT)
        # What is left may be far smaller than what set the scale: its squares must not vanish.
        more = max(power_of_two(float(abs(matrix).max())), -LOWEST)
        rescale(matrix, more), rescale(mean, more)
        exponent += more
    squares = _squares(matrix)
    return Centred(matrix, mean, exponent, squares, doubt=_doubt(matrix, squares, mean, x.dtype))


@np.errstate(over="ignore", invalid="ignore")
def centre_single(x: Any, name: str = "x") -> Centred:
    """`centre` for wide float32 layers: the mean in float64, the rest in float32, in half the time.

    With m = m₁ + m₂, m₁ its float32 part, x − m₁ is exact where an offset dominates (Sterbenz), and
    − m₂ repairs what m₁ left, so each entry of X_c is right to one rounding of itself. Layers of
    ordinary size are read once for the mean and once more; others are scaled first.
    """
    matrix, mean, squares = _remove_mean(x)
    energy = float(_double(squares).sum()) / math.prod(x.shape)
    exponent = 0
    if not ORDINARY[0] <= energy <= ORDINARY[1]:
        exponent = _exponent(x, name)
        matrix, mean, squares = _remove_mean(rescale(x * 1, exponent))
        energy = float(_double(squares).sum()) / math.prod(x.shape)
    if energy <= (2 * 2.0**-23 * float(abs(mean).max())) ** 2:
        # As near to constant as float32 comes: let float64 say which.
        return centre(x, name)
    return Centred(matrix, mean, exponent, squares, doubt=_doubt(matrix, squares, mean, x.dtype))


def find_constant(matrix: Any, mean: Any) -> Any:
    """Which units are constant (p,): all that is left of them is what rounding left of the mean."""
    least = 8 * EPS * abs(mean)
    found = abs(matrix[0]) <= least  # as a rule none, and then the others are not looked at
    if bool(found.any()):
        chosen = found * 1 > 0
        found[chosen] = (abs(matrix[:, chosen]) <= least[chosen]).all(0)
    return found


def _exponent(x: Any, name: str) -> int:
    low, high = float(x.min()), float(x.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        check_finite(torch.as_tensor(x), name)
    return power_of_two(max(abs(low), abs(high)))


def _double(x: Any) -> Any:
    """A copy in float64."""
    if isinstance(x, np.ndarray):
        return x.astype(np.float64)
    return x.to(torch.float64, copy=True)


def _squares(matrix: Any) -> Any:
    """The squared norms of rows, (n,)."""
    if isinstance(matrix, np.ndarray):
        return np.einsum("ij,ij->i", matrix, matrix)
    return torch.linalg.vector_norm(matrix, dim=1).square_()


def _remove_mean(x: Any) -> tuple[Any, Any, Any]:
    """X_c, m in float64, and the squared norms of the rows, a few rows in the cache at a time."""
    parts = [slice(start, start + ROWS) for start in range(0, len(x), ROWS)]
    mean = sum(_double(x[part]).sum(0) for part in parts) / len(x)
    matrix = x * 1
    if isinstance(x, np.ndarray):
        coarse = mean.astype(x.dtype)
        fine = (mean - coarse).astype(x.dtype)
    else:
        coarse = mean.to(x.dtype)
        fine = (mean - coarse).to(x.dtype)
    for part in parts:
        matrix[part] -= coarse
        matrix[part] -= fine
    return matrix, mean, _squares(matrix)


def _doubt(matrix: Any, squares: Any, mean: Any, dtype: Any) -> str | None:
    resolution = 1e-6 if dtype.itemsize == 4 else 1e-14
    spread = math.sqrt(float(_double(squares).sum()) / len(matrix))
    offset = math.sqrt(float((mean * mean).sum()))
    if spread < resolution * offset:
        # Of the units that vary: what is constant has no digits to lose.
        varying = mean[~find_constant(matrix, mean)]
        offset = math.sqrt(float((varying * varying).sum()))
    if spread >= resolution * offset:
        return None
    return (
        f"its probes differ by {spread / offset:.1e} of their mean, about what "
        f"{str(dtype).removeprefix('torch.')} resolves, so scores rest on rounding errors; "
        "subtract the mean where the activations are made"
    )
