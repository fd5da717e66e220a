"""Inner products between probes: K = X_c X_cᵀ, its two centrings, and its packed half.

A centred Gram matrix is symmetric, so half of it holds everything. Packed, with the diagonal scaled
by 1/√2 (or left out), two halves have the inner product ½⟨K, L⟩_F, and a whole block of pairs of
representations is one matrix product of packed rows.

U-centring (Székely & Rizzo 2014) makes ⟨K, L⟩ unbiased. With d_i = K_ii, the features centred (so
that the rows of K sum to 0), and i ≠ j,

    K̃_ij = K_ij + (d_i + d_j)/(n − 2) − Σd / ((n − 1)(n − 2)),   K̃_ii = 0,

and, without forming K̃,

    ⟨K̃, L̃⟩ = ⟨K, L⟩ − n/(n − 2) d·e + Σd Σe / ((n − 1)(n − 2)).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "gram",
    "norm64",
    "pack",
    "packed_gram",
    "packed_kernel",
    "packed_length",
    "packed_uncentred",
    "u_centred",
    "u_product",
]

SMALL = 512  # probes up to which one product and one gather beat panels and row copies
PANEL = 256  # rows that are copied at a time
ORDINARY = (2.0**-20, 2.0**20)  # mean squares whose products stay far inside float32


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


def u_product(inner: float, d: Tensor, e: Tensor) -> float:
    """⟨K̃, L̃⟩ from ⟨K, L⟩ and the diagonals of two Gram matrices of centred features."""
    n = len(d)
    return float(
        inner - n / (n - 2) * float(d @ e) + float(d.sum() * e.sum()) / ((n - 1) * (n - 2))
    )


def packed_length(n: int) -> int:
    """Entries that a packed half takes at most."""
    return n * (n + 1) // 2 + (n * PANEL // 2 if n > SMALL else 0)


def pack(kernel: Tensor, diagonal: bool) -> Tensor:
    """The upper half of a symmetric matrix as one vector, rows one after another.

    With the diagonal, its entries are divided by √2, so that v·w = ½⟨K, L⟩_F either way.
    """
    result = torch.take(kernel, _upper(len(kernel), diagonal).to(kernel.device))
    if diagonal:
        result[_diagonal(len(kernel)).to(kernel.device)] *= 0.5**0.5
    return result


def packed_gram(x: Tensor, squares: Tensor, debiased: bool) -> Tensor:
    """The packed half of K = XXᵀ, or of K̃, of centred features; ``squares`` is K's diagonal."""
    return packed_kernel(gram(x), squares, debiased)


def packed_kernel(kernel: Tensor, squares: Tensor, debiased: bool) -> Tensor:
    """The packed half of K, or of K̃, of a centred kernel, which is overwritten."""
    return packed(kernel, not debiased, _u_shift(squares) if debiased else None)


def packed_uncentred(x: Tensor, debiased: bool) -> tuple[Tensor, Tensor] | None:
    """`packed_gram` and K's diagonal straight from XXᵀ, where that costs no digits; else None.

    With the rows' sums r and their total T, K_ij = (XXᵀ)_ij − r_i/n − r_j/n + T/n², so features
    are never centred: for wide layers that saves every pass over X but the product's own. In
    float32 it costs digits as the offset's energy T/n grows against the whole, Σ‖x_i‖². While it
    holds no more than four fifths, the loss is within a factor of five of one rounding.
    """
    n, p = x.shape
    kernel = gram(x)
    d = kernel.diagonal().double()
    energy = float(d.sum())
    # Also False for NaN and infinity: the careful path names them.
    if not ORDINARY[0] < energy / (n * p) < ORDINARY[1]:
        return None
    # In float32: what rounding adds, a_i + a_j, is annulled by the other side's centring.
    r = kernel.sum(1).double() / n
    mean = r.mean()
    if not float(mean) * n < 0.8 * energy:
        return None
    d = d - 2 * r + mean
    shift = r - mean / 2
    vector = packed(kernel, not debiased, shift + _u_shift(d) if debiased else shift)
    return vector, d.to(x.dtype)


def _u_shift(d: Tensor) -> Tensor:
    """What K̃_ij is less than K_ij for each of its two probes."""
    n = len(d)
    return d.sum() / (2 * (n - 1) * (n - 2)) - d / (n - 2)


def packed(kernel: Tensor, diagonal: bool, shift: Tensor | None = None) -> Tensor:
    """The half that `pack` gives, less shift_i + shift_j, in panels; ``kernel`` is overwritten.

    Up to 512 probes, one gather. Beyond, row panels of the upper triangle one after another: zeros
    below the diagonal pad the vector by n · 128 entries, which costs less than moving n rows.
    """
    n = len(kernel)
    shift = None if shift is None else shift.to(kernel.dtype)
    if n <= SMALL:
        if shift is not None:
            kernel -= shift[:, None]
            kernel -= shift[None, :]
        kernel.diagonal().mul_(0.5**0.5)
        return torch.take(kernel, _upper(n, diagonal).to(kernel.device))
    starts = range(0, n, PANEL)
    result = kernel.new_empty(sum(min(PANEL, n - start) * (n - start) for start in starts))
    at = 0
    for start in starts:
        rows = kernel[start : start + PANEL, start:]
        panel = result[at : at + rows.numel()].view(rows.shape)
        if shift is None:
            panel.copy_(rows)
        else:
            torch.sub(rows, shift[start:], out=panel)
            panel -= shift[start : start + PANEL, None]
        panel[:, : len(rows)].triu_(0 if diagonal else 1)
        panel.diagonal().mul_(0.5**0.5)
        at += rows.numel()
    return result


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
