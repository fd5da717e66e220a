"""Activations ``(n, p)`` reduced to coordinates ``(n + 1, r)`` that no rotation can tell apart.

With m the mean of the probes and X_c = X − 1mᵀ, find Z (n × r) and a ∈ R^r with

    ZZᵀ = X_c X_cᵀ,   Za = X_c m,   a·a = m·m,      r ≤ min(p, n):

every inner product between probes, and between probes and their mean, is that of the original, so
every measure that a rotation of the units leaves alone has the same value on Z (which is centred)
or, where the offset matters too, on Z + 1aᵀ. Nothing afterwards depends on p.

- p ≤ n: Z = X_c and a = m, as they are.
- p > n: K = X_c X_cᵀ = UΛUᵀ in float64, Z = UΛ^½ and a = Λ^−½ Uᵀ X_c m; one more column, zero for
  every probe, holds what of m lies outside the span of X_c.

Row n of the array is a. Stored as float32: each coordinate has its own relative precision, since
the columns are the principal directions, so scores keep 1e-6 of relative accuracy. Centring in
float64 comes first, so that an offset costs no digits.
Cost: n²p flops in float64 and one n × n eigendecomposition.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.similarity.centring import CONSTANT, Centred, centre, power_of_two, rescale
from stratigraph.similarity.gram import gram
from stratigraph.similarity.inputs import as_matrix
from stratigraph.similarity.spectral import signs
from stratigraph.similarity.unfit import unfit

__all__ = ["Reduction", "reduce_units"]

CHUNK = 4096  # units at a time: the float64 copy of a wide layer never exists whole
LARGEST = 1e37  # float32 holds 3.4e38; a row's coordinates may exceed its largest entry
SMALLEST = 1e-32  # below this, float32 loses digits of the smaller coordinates


@dataclass(frozen=True)
class Reduction:
    """What is stored of a layer: ``np.save(path, reduction.coordinates)`` is the whole format.

    Attributes:
        coordinates: float32 ``(n + 1, r)``; the first n rows are centred, the last is the mean.
        units: p, the units there were.
        reason: why no similarity is defined (constant, or not finite), or None.
        doubt: why the digits are few (the spread is at the dtype's resolution), or None.

    """

    coordinates: np.ndarray
    units: int
    reason: str | None = None
    doubt: str | None = None


def reduce_units(activations: Any, name: str = "activations") -> Reduction:
    """Reduce an activation matrix ``(n, p…)`` to rotation-equivalent coordinates.

    Deterministic: the same array and number of threads give the same bits. A constant layer is
    stored as zeros and its mean, one with NaN or infinities as a single NaN column; both say so in
    ``reason``, and every later comparison of the file gives NaN with that reason.

    Raises:
        InputError: the shape or type is not that of activations, or the values lie outside what
            float32 holds with all its digits (1e-32 to 1e37).

    """
    if why := unfit(activations, name):
        nothing = np.full((len(activations) + 1, 1), np.nan, np.float32)
        return Reduction(nothing, math.prod(np.shape(activations)[1:]), reason=why)
    x = as_matrix(activations, name)
    n, p = x.shape
    largest = float(max(-x.min(), x.max()))
    if largest and not SMALLEST <= largest <= LARGEST:
        raise InputError(
            f"{name}: the largest value is {largest:.1e}; expected {SMALLEST:.0e} to {LARGEST:.0e}."
            " Multiply the activations by a constant: no scale-invariant score changes."
        )
    if p <= n:
        whole = centre(x, name)
        rows = torch.cat([whole.matrix, whole.mean[None]])
    else:
        whole, rows = _wide(x, name)
    if whole.reason:
        rows = rows.new_zeros(n + 1, 1)
        rows[n] = torch.linalg.vector_norm(whole.mean)
    rows = rescale(rows, -whole.exponent).to(torch.float32)
    return Reduction(rows.cpu().numpy(), p, whole.reason, whole.doubt)


def _wide(x: Tensor, name: str) -> tuple[Centred, Tensor]:
    """The centred Gram matrix by chunks of units, then its principal coordinates."""
    n, p = x.shape
    low, high = torch.aminmax(x)
    exponent = power_of_two(max(-float(low), float(high)))
    kernel = torch.zeros(n, n, dtype=torch.float64, device=x.device)
    onto_mean = torch.zeros(n, dtype=torch.float64, device=x.device)
    parts = []
    for start in range(0, p, CHUNK):
        part = centre(x[:, start : start + CHUNK], name)
        matrix, mean = rescale(part.matrix, exponent - part.exponent), part.mean
        rescale(mean, exponent - part.exponent)
        kernel += gram(matrix)
        onto_mean += matrix @ mean
        parts.append(replace(part, matrix=kernel))
    mean = torch.cat([part.mean for part in parts])
    moving = [part for part in parts if part.reason is None]
    if not moving:
        return Centred(kernel, mean, exponent, kernel.diagonal(), CONSTANT), kernel
    doubt = None if any(part.doubt is None for part in moving) else moving[0].doubt
    energies, directions = torch.linalg.eigh(kernel)
    energies, directions = energies.flip(0), directions.flip(1)
    rank = int((energies > n * torch.finfo(torch.float64).eps * energies[0]).sum())
    roots, directions = energies[:rank].sqrt(), directions[:, :rank]
    directions = directions * signs(directions)
    along = (directions.T @ onto_mean) / roots
    outside = (mean.square().sum() - along.square().sum()).clamp_min(0).sqrt()
    rows = torch.zeros(n + 1, rank + 1, dtype=torch.float64, device=x.device)
    rows[:n, :rank] = directions * roots
    rows[n, :rank] = along
    rows[n, rank] = outside
    return Centred(kernel, mean, exponent, kernel.diagonal(), doubt=doubt), rows
