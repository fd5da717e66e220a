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

import torch
from torch import Tensor

__all__ = ["gram", "pack", "packed_length", "u_centred", "u_product"]

PANEL = 256  # rows of a product at a time: wide enough for the processor, half the flops of XXᵀ


def gram(x: Tensor, y: Tensor | None = None) -> Tensor:
    """XXᵀ by its upper triangle, in row panels, mirrored; XYᵀ where ``y`` is given."""
    if y is not None:
        return x @ y.T
    n = len(x)
    if n <= PANEL:
        return x @ x.T
    result = x.new_empty(n, n)
    for start in range(0, n, PANEL):
        stop = min(start + PANEL, n)
        torch.mm(x[start:stop], x[start:].T, out=result[start:stop, start:])
        result[stop:, start:stop] = result[start:stop, stop:].T
    return result


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


def packed_length(n: int, diagonal: bool) -> int:
    """Entries of a packed half."""
    return n * (n + 1) // 2 if diagonal else n * (n - 1) // 2


def pack(kernel: Tensor, diagonal: bool) -> Tensor:
    """The upper half of a symmetric matrix as one vector, rows one after another.

    With the diagonal, its entries are divided by √2, so that v·w = ½⟨K, L⟩_F either way.
    """
    n = len(kernel)
    result = kernel.new_empty(packed_length(n, diagonal))
    first, at = (0 if diagonal else 1), 0
    for row in range(n):
        piece = kernel[row, row + first :]
        result[at : at + len(piece)] = piece
        if diagonal:
            result[at] *= 0.5**0.5
        at += len(piece)
    return result
