"""Centred features that keep their digits.

With m the mean over the probes, X_c = X − 1mᵀ. Squares of activations overflow at 1e20 and cancel
at an offset of 1e4 when they are formed in float32, so

1. X is scaled by a power of two (exact) until its largest entry is about 1;
2. the mean is taken and removed in float64, twice: the second pass removes what rounding left;
3. only then are products formed.

A representation whose probes all read the same has no geometry: X_c = 0, every cosine is 0/0. It is
reported as undefined, with the reason, and never scored 0 or 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stratigraph.similarity.inputs import check_finite

__all__ = ["CONSTANT", "Centred", "centre", "power_of_two", "rescaled"]

CONSTANT = "constant: every probe has the same activations, so no geometry is left to compare"
RESOLUTION = {torch.float32: 1e-6, torch.float64: 1e-14}


@dataclass(frozen=True)
class Centred:
    """X_c · 2^−exponent in float64, and the mean in the same scale.

    ``reason`` says why there is no geometry, ``doubt`` why there are few digits of it.
    """

    matrix: Tensor
    mean: Tensor
    exponent: int
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
    if float(matrix.abs().max()) <= 8 * torch.finfo(torch.float64).eps:
        return Centred(torch.zeros_like(matrix), mean, exponent, CONSTANT)
    return Centred(matrix, mean, exponent, doubt=_doubt(matrix, mean, x.dtype))


def _doubt(matrix: Tensor, mean: Tensor, dtype: torch.dtype) -> str | None:
    spread = float(matrix.square().mean().sqrt())
    offset = float(mean.square().mean().sqrt())
    if spread >= RESOLUTION[dtype] * offset:
        return None
    return (
        f"its probes differ by {spread / offset:.1e} of their mean, about what "
        f"{str(dtype).removeprefix('torch.')} resolves, so scores rest on rounding errors; "
        "subtract the mean where the activations are made"
    )
