"""Factors and nuclear norms through the smaller Gram matrix.

X = U S Vᵀ has the eigenvectors of XᵀX (p × p) or XXᵀ (n × n); the smaller is formed in float64.
F = US (n × r) has FFᵀ = XXᵀ, so it stands for X in every score that a rotation leaves alone.

What an eigenvalue cannot tell from rounding, about n·ε of the largest, is dropped: directions whose
energies together are below 1e-14 of the whole change no nuclear norm by more than 1e-7.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stratigraph.similarity.gram import gram

__all__ = ["factor", "nuclear_norm", "signs"]

ENERGY = 1e-14  # of the whole: what the dropped directions may hold together
ENOUGH = 2e-7  # error of a nuclear norm, relative, that the fast path may risk


def factor(x: Tensor) -> Tensor:
    """F (n, r), float64, with FFᵀ = XXᵀ: principal coordinates, leading first, signs fixed."""
    n, p = x.shape
    energies, directions = torch.linalg.eigh(gram(x if n <= p else x.T))
    energies, directions = energies.flip(0).clamp_min(0), directions.flip(1)
    tail = energies.flip(0).cumsum(0).flip(0)
    rank = max(int((tail > ENERGY * tail[0]).sum()), 1)
    directions = directions[:, :rank]
    result = x @ directions if n > p else directions * energies[:rank].sqrt()
    return (result * signs(result)).contiguous()


def signs(directions: Tensor) -> Tensor:
    """±1 for each column, so that its largest entry becomes positive, whatever LAPACK chose."""
    largest = directions.gather(0, directions.abs().argmax(0, keepdim=True))
    return torch.where(largest < 0, -1.0, 1.0).to(directions.dtype)


def nuclear_norm(matrix: Tensor) -> float:
    """The sum of the singular values, from the eigenvalues of the smaller Gram where they suffice.

    An eigenvalue λ of MᵀM is known to δ ≈ ε λ₁, its root to min(√δ, δ/2√λ). Where these sum to
    more than 2e-7 of the norm (many tiny singular values), the singular values are computed.
    """
    rows, columns = matrix.shape
    energies = torch.linalg.eigvalsh(gram(matrix if rows <= columns else matrix.T)).clamp_min(0)
    roots = energies.sqrt()
    delta = 4 * torch.finfo(torch.float64).eps * float(energies[-1])
    risk = torch.minimum(torch.full_like(roots, delta**0.5), delta / (2 * roots + 1e-300))
    total = float(roots.sum())
    if float(risk.sum()) <= ENOUGH * total:
        return total
    return float(torch.linalg.svdvals(matrix).sum())
