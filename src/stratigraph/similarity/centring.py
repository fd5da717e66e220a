"""Centred features that keep their digits.

With m the mean over the probes, X_c = X − 1mᵀ. Squares of activations overflow at 1e20 and cancel
at an offset of 1e4 when they are formed in float32, so

1. X is scaled by a power of two (exact) until its largest entry is about 1;
2. the mean is taken and removed in float64, twice: the second pass removes what rounding left;
3. only then are products formed.

A unit is constant where its spread is within rounding of its own mean, whatever the others read: it
is 0 in X_c. A representation of constant units has no geometry: X_c = 0, every cosine is 0/0. It is
reported as undefined, with the reason, and never scored 0 or 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stratigraph.similarity.inputs import check_finite

__all__ = ["CONSTANT", "Centred", "centre", "centre_single", "power_of_two", "rescaled", "still"]

CONSTANT = "constant: every probe has the same activations, so no geometry is left to compare"
SAFE = (2.0**-20, 2.0**20)  # variances whose squares and sums stay far inside float32
LOWEST = 900  # steps of 2 that a mean of size 1 can be scaled up by and stay finite
ROWS = 32  # rows whose float64 copy stays in the cache
RESOLUTION = {torch.float32: 1e-6, torch.float64: 1e-14}


@dataclass(frozen=True)
class Centred:
    """X_c · 2^−exponent, the mean in the same scale, and the squared norm of each row of X_c.

    ``reason`` says why there is no geometry, ``doubt`` why there are few digits of it.
    """

    matrix: Tensor
    mean: Tensor
    exponent: int
    squares: Tensor
    reason: str | None = None
    doubt: str | None = None


def power_of_two(largest: float) -> int:
    """The exponent of the power of two just above ``largest`` (0 for 0)."""
    return math.frexp(largest)[1]


def rescaled(matrix: Tensor, exponent: int) -> Tensor:
    """``matrix`` · 2^−exponent in place, in two steps, since 2^1073 alone would overflow."""
    half = exponent // 2
    return matrix.mul_(2.0**-half).mul_(2.0 ** (half - exponent))


def centre(x: Tensor, name: str = "x") -> Centred:
    """Centre a matrix ``(n, p)`` over its probes, in float64, after an exact scaling.

    Raises:
        InputError: an entry is NaN or infinite.

    """
    low, high = (float(value) for value in torch.aminmax(x))
    if not (math.isfinite(low) and math.isfinite(high)):
        check_finite(x, name)
    exponent = power_of_two(max(abs(low), abs(high)))
    matrix = rescaled(x.to(torch.float64, copy=True), exponent)
    mean = matrix.mean(0)
    matrix -= mean
    rest = matrix.mean(0)
    matrix -= rest
    mean += rest
    constant = still(matrix, mean)
    if bool(constant.any()):
        matrix[:, constant] = 0
        if bool(constant.all()):
            return Centred(matrix, mean, exponent, matrix.sum(1), CONSTANT)
        # What is left may be far smaller than what set the scale: its squares must not vanish.
        more = max(power_of_two(float(torch.linalg.vector_norm(matrix, ord=math.inf))), -LOWEST)
        rescaled(matrix, more), rescaled(mean, more)
        exponent += more
    squares = torch.linalg.vector_norm(matrix, dim=1).square_()
    doubt = _doubt(matrix, squares, mean, x.dtype)
    return Centred(matrix, mean, exponent, squares, doubt=doubt)


def centre_single(x: Tensor, name: str = "x") -> Centred:
    """`centre` for wide float32 layers: the mean in float64, the rest in float32, in half the time.

    With m = m₁ + m₂, m₁ its float32 part, x − m₁ is exact where an offset dominates (Sterbenz), and
    − m₂ repairs what m₁ left, so each entry of X_c is right to one rounding of itself. Layers of
    ordinary size are read once for the mean and once more; others are scaled first.
    """
    matrix, mean, squares = _removed(x)
    energy = float(squares.sum(dtype=torch.float64)) / x.numel()
    exponent = 0
    if not SAFE[0] <= energy <= SAFE[1]:
        low, high = (float(value) for value in torch.aminmax(x))
        if not (math.isfinite(low) and math.isfinite(high)):
            check_finite(x, name)
        exponent = power_of_two(max(abs(low), abs(high)))
        matrix, mean, squares = _removed(rescaled(x.clone(), exponent))
        energy = float(squares.sum(dtype=torch.float64)) / x.numel()
    if energy <= (2 * torch.finfo(x.dtype).eps * float(mean.abs().max())) ** 2:
        # As near to constant as float32 comes: let float64 say which.
        return centre(x, name)
    return Centred(matrix, mean, exponent, squares, doubt=_doubt(matrix, squares, mean, x.dtype))


def still(matrix: Tensor, mean: Tensor) -> Tensor:
    """Which units are constant (p,): all that is left of them is what rounding left of the mean."""
    least = 8 * torch.finfo(torch.float64).eps * mean.abs()
    found = matrix[0].abs() <= least  # as a rule none, and then the others are not looked at
    if bool(found.any()):
        found[found.clone()] = matrix[:, found].abs().amax(0) <= least[found]
    return found


def _removed(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """X_c, m in float64, and the squared norms of the rows, a few rows in the cache at a time."""
    mean = torch.zeros(x.shape[1], dtype=torch.float64, device=x.device)
    for rows in torch.split(x, ROWS):
        mean += rows.to(torch.float64).sum(0)
    mean /= len(x)
    coarse = mean.to(x.dtype)
    fine = (mean - coarse).to(x.dtype)
    matrix, squares = torch.empty_like(x), x.new_empty(len(x))
    for rows, out, square in zip(
        *(torch.split(whole, ROWS) for whole in (x, matrix, squares)), strict=True
    ):
        torch.sub(rows, coarse, out=out)
        out -= fine
        torch.sum(out * out, 1, out=square)
    return matrix, mean, squares


def _doubt(matrix: Tensor, squares: Tensor, mean: Tensor, dtype: torch.dtype) -> str | None:
    spread = math.sqrt(float(squares.sum(dtype=torch.float64)) / len(matrix))
    offset = float(torch.linalg.vector_norm(mean))
    if spread < RESOLUTION[dtype] * offset:
        # Of the units that vary: what is constant has no digits to lose.
        offset = float(torch.linalg.vector_norm(mean[~still(matrix, mean)]))
    if spread >= RESOLUTION[dtype] * offset:
        return None
    return (
        f"its probes differ by {spread / offset:.1e} of their mean, about what "
        f"{str(dtype).removeprefix('torch.')} resolves, so scores rest on rounding errors; "
        "subtract the mean where the activations are made"
    )
