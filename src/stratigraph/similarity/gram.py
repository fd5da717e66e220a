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

import torch
from torch import Tensor

__all__ = ["gram", "norm64", "pack", "packed_gram", "packed_length", "u_centred", "u_product"]

SMALL = 512  # probes up to which one product and one gather beat panels and row copies
PANEL = 256  # rows of a product at a time: wide enough for the processor, half the flops of XXᵀ


def gram(x: Tensor, y: Tensor | None = None, panel: int = PANEL) -> Tensor:
    """XXᵀ by its upper triangle, in row panels, mirrored; XYᵀ where ``y`` is given."""
    if y is not None:
        return x @ y.T
    n = len(x)
    if n <= panel:
        return x @ x.T
    result = x.new_empty(n, n)
    for start in range(0, n, panel):
        stop = min(start + panel, n)
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
    """The packed half of K = XXᵀ, or of K̃, of centred features, never holding K whole.

    Up to 512 probes, the upper triangle. Beyond, row panels of it one after another, each written
    where the product leaves it: zeros below the diagonal pad the vector by n · 128 entries, which
    costs less than moving n rows. ``squares`` is the diagonal of K.
    """
    n = len(x)
    half = squares / (n - 2) - squares.sum() / (2 * (n - 1) * (n - 2)) if debiased else None
    if n <= SMALL:
        kernel, cut = x.new_zeros(n, n), n // 2
        torch.mm(x[:cut], x.T, out=kernel[:cut])
        torch.mm(x[cut:], x[cut:].T, out=kernel[cut:, cut:])
        _centre_panel(kernel, half)
        return torch.take(kernel, _upper(n, not debiased).to(x.device))
    starts = range(0, n, PANEL)
    result = x.new_empty(sum(min(PANEL, n - start) * (n - start) for start in starts))
    at = 0
    for start in starts:
        rows = x[start : start + PANEL]
        panel = result[at : at + len(rows) * (n - start)].view(len(rows), n - start)
        torch.mm(rows, x[start:].T, out=panel)
        _centre_panel(panel, None if half is None else half[start:])
        panel[:, : len(rows)].triu_(1 if debiased else 0)
        at += panel.numel()
    return result


def _centre_panel(panel: Tensor, half: Tensor | None) -> None:
    """What K̃ adds for each of a pair's two probes; or 1/√2 on the diagonal of K."""
    if half is None:
        panel.diagonal().mul_(0.5**0.5)
    else:
        panel += half[: len(panel), None]
        panel += half[None, :]


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
