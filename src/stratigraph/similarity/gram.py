"""Inner products between probes: K = XXᵀ, U-centred, and its packed half.

What linear CKA packs is made tile by tile (`packed`); here are the plain forms, for the kernels of
other measures.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

__all__ = ["gram", "norm64", "pack", "packed_places", "places_of", "u_centred"]


def gram(x: Tensor, y: Tensor | None = None) -> Tensor:
    """XXᵀ, or XYᵀ where ``y`` is given.

    On the CPU by numpy, whose XXᵀ is a symmetric rank-k product (BLAS syrk): half the flops.
    """
    other = x if y is None else y
    if x.device.type != "cpu":
        return x @ other.T
    left = x.numpy()
    with np.errstate(over="ignore", invalid="ignore"):  # callers look at what came out
        return torch.from_numpy(left @ (left if y is None else other.numpy()).T)


def u_centred(kernel: Tensor) -> Tensor:
    """K̃ of a symmetric kernel matrix whose rows need not sum to 0: zero diagonal, zero row sums."""
    n = len(kernel)
    result = kernel.clone()
    result.fill_diagonal_(0)
    rows = result.sum(0) / (n - 2)
    result -= rows[:, None]
    result -= rows[None, :]
    result += rows.sum() / (n - 1)
    result.fill_diagonal_(0)
    return result


def pack(kernel: Tensor, diagonal: bool) -> Tensor:
    """The upper half of a symmetric matrix as one vector, rows one after another.

    With the diagonal, its entries are divided by √2, so that v·w = ½⟨K, L⟩_F either way.
    """
    result = torch.take(kernel, _upper(len(kernel), diagonal).to(kernel.device))
    if diagonal:
        result[_diagonal(len(kernel)).to(kernel.device)] *= 0.5**0.5
    return result


def packed_places(n: int, diagonal: bool) -> np.ndarray:
    """Where `pack` puts entry (i, j), (n, n); −1 for the diagonal where it is left out."""
    return places_of(_upper(n, diagonal).numpy(), n)


def places_of(flat: np.ndarray, n: int) -> np.ndarray:
    """The places (n, n) of the entries of a symmetric matrix, from the order they are taken in.

    Args:
        flat: the flat position in the matrix of each number of a vector, one triangle's.
        n: rows.

    """
    places = np.full((n, n), -1, np.int32)
    rows, columns = np.divmod(flat, n)
    places[rows, columns] = places[columns, rows] = np.arange(len(flat), dtype=np.int32)
    return places


@lru_cache(maxsize=8)
def _upper(n: int, diagonal: bool) -> Tensor:
    """Flat positions of the upper half of an n × n matrix."""
    rows, columns = torch.triu_indices(n, n, 0 if diagonal else 1)
    return rows * n + columns


@lru_cache(maxsize=8)
def _diagonal(n: int) -> Tensor:
    """Positions of the diagonal in the packed upper half."""
    rows = torch.arange(n)
    return rows * n - rows * (rows - 1) // 2


def norm64(vector: Tensor) -> float:
    """The Euclidean norm, summed in float64 whatever the dtype, without a float64 copy."""
    squares = [torch.dot(part, part) for part in map(Tensor.double, torch.split(vector, 1 << 16))]
    return float(torch.stack(squares).sum().sqrt())
