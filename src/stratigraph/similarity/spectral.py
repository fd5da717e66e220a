"""Factors and nuclear norms through the smaller Gram matrix.

X = U S Vᵀ has the eigenvectors of XᵀX (p × p) or XXᵀ (n × n); the smaller is formed in float64.
F = US (n × r) has FFᵀ = XXᵀ, so it stands for X in every score that a rotation leaves alone.

What an eigenvalue cannot tell from rounding, about n·ε of the largest, is dropped: directions whose
energies together are below 1e-14 of the whole change no nuclear norm by more than 1e-7.

On the CPU the eigenvalues come from numpy's LAPACK, which takes about half the time of torch's.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stratigraph.similarity.gram import gram

__all__ = ["energies", "factor", "nuclear_norm", "signs", "sum_of_roots"]

ENERGY = 1e-14  # of the whole: what the dropped directions may hold together
ENOUGH = 2e-7  # error of a nuclear norm, relative, that the fast path may risk


def factor(x: Tensor, kernel: Tensor | None = None) -> Tensor:
    """F (n, r), float64, with FFᵀ = XXᵀ: principal coordinates, leading first, signs fixed.

    ``kernel`` is the smaller of XXᵀ and XᵀX, where it is at hand.
    """
    n, p = x.shape
    found, directions = _eigh(gram(x if n <= p else x.T) if kernel is None else kernel)
    found, directions = found.flip(0).clamp_min(0), directions.flip(1)
    tail = found.flip(0).cumsum(0).flip(0)
    rank = max(int((tail > ENERGY * tail[0]).sum()), 1)
    directions = directions[:, :rank]
    result = x @ directions if n > p else directions * found[:rank].sqrt()
    return (result * signs(result)).contiguous()


def signs(directions: Tensor) -> Tensor:
    """±1 for each column, so that its largest entry becomes positive, whatever LAPACK chose."""
    largest = directions.gather(0, directions.abs().argmax(0, keepdim=True))
    return torch.where(largest < 0, -1.0, 1.0).to(directions.dtype)


def nuclear_norm(matrix: Tensor) -> float:
    """The sum of the singular values, from the eigenvalues of the smaller Gram where they suffice.

    Where they do not (many tiny singular values), the singular values are computed.
    """
    rows, columns = matrix.shape
    total = sum_of_roots(energies(gram(matrix if rows <= columns else matrix.T)))
    return float(torch.linalg.svdvals(matrix).sum()) if total is None else total


def energies(symmetric: Tensor) -> Tensor:
    """Eigenvalues, ascending, of a positive semi-definite matrix; reads its lower triangle."""
    if symmetric.device.type == "cpu":
        return torch.from_numpy(np.linalg.eigvalsh(symmetric.numpy())).clamp_min(0)
    return torch.linalg.eigvalsh(symmetric).clamp_min(0)


def sum_of_roots(found: Tensor) -> float | None:
    """Σ√λ, or None where rounding could have changed it by more than 2e-7 of itself.

    An eigenvalue λ of MᵀM is known to δ ≈ ε λ₁, its root to min(√δ, δ/2√λ).
    """
    roots = found.sqrt()
    delta = 4 * torch.finfo(torch.float64).eps * float(found[-1])
    risk = torch.minimum(torch.full_like(roots, delta**0.5), delta / (2 * roots + 1e-300))
    total = float(roots.sum())
    return total if float(risk.sum()) <= ENOUGH * total else None


def _eigh(symmetric: Tensor) -> tuple[Tensor, Tensor]:
    if symmetric.device.type == "cpu":
        found, directions = np.linalg.eigh(symmetric.numpy())
        return torch.from_numpy(found), torch.from_numpy(directions)
    return tuple(torch.linalg.eigh(symmetric))
