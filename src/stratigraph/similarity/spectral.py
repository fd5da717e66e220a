"""Principal coordinates through the smaller Gram matrix.

X = U S Vᵀ has the eigenvectors of XᵀX (p × p) or XXᵀ (n × n); the smaller is formed in float64.
F = US (n × r) has FFᵀ = XXᵀ, so it stands for X in every score that a rotation leaves alone.

What an eigenvalue cannot tell from rounding, about n·ε of the largest, is dropped: directions whose
energies together are below 1e-14 of the whole change no nuclear norm by more than 1e-7.

On the CPU the eigenvectors come from numpy's LAPACK, which takes about half the time of torch's.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stratigraph.similarity.gram import gram

__all__ = ["factor", "signs"]

ENERGY = 1e-14  # of the whole: what the dropped directions may hold together


def factor(x: Tensor) -> Tensor:
    """F (n, r), float64, with FFᵀ = XXᵀ: principal coordinates, leading first, signs fixed."""
    n, p = x.shape
    found, directions = _eigh(gram(x if n <= p else x.T))
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


def _eigh(symmetric: Tensor) -> tuple[Tensor, Tensor]:
    if symmetric.device.type == "cpu":
        found, directions = np.linalg.eigh(symmetric.numpy())
        return torch.from_numpy(found), torch.from_numpy(directions)
    return tuple(torch.linalg.eigh(symmetric))
