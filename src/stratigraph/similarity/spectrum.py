"""One representation's eigenspectrum: in how many directions it varies.

With λ₁ ≥ λ₂ ≥ … the eigenvalues of the covariance between units and σ_i = √λ_i,

    effective rank       exp(−Σ p_i log p_i),  p_i = σ_i / Σσ     (Roy & Vetterli 2007)
    participation ratio  (Σλ)² / Σλ²                              (Gao et al. 2017)
    power-law exponent   α of λ_i ∝ i^−α, least squares on logarithms over ranks 10 to 500 or the
                         rank of the data, whichever is less      (Stringer et al. 2019)

None depends on rotation, scale or offset. A constant representation has none: NaN.
Cost: np·min(n, p) and the eigenvalues of the smaller Gram matrix.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from stratigraph.errors import InputError
from stratigraph.similarity.centring import centre
from stratigraph.similarity.gram import gram
from stratigraph.similarity.inputs import as_matrix, check_finite, check_probes
from stratigraph.similarity.measure import tell

__all__ = ["effective_rank", "eigenspectrum", "participation_ratio", "power_law_exponent"]


def eigenspectrum(x: Any) -> np.ndarray:
    """Eigenvalues of the covariance as shares of their sum, largest first; empty if constant."""
    matrix = as_matrix(x)
    check_finite(matrix, "x")
    check_probes(len(matrix), 2, "an eigenspectrum")
    found = centre(matrix)
    tell("the eigenspectrum", "x", found.reason, found.doubt, level=3)
    if found.reason:
        return np.empty(0)
    n, p = matrix.shape
    centred = found.matrix / torch.linalg.vector_norm(found.matrix)
    values = torch.linalg.eigvalsh(gram(centred if n <= p else centred.T)).flip(0).clamp_min(0)
    values = values[: min(n - 1, p)]
    values[values < n * torch.finfo(torch.float64).eps * values[0]] = 0
    return (values / values.sum()).cpu().numpy()


def effective_rank(x: Any) -> float:
    """The exponential of the entropy of the normalised singular values."""
    roots = np.sqrt(eigenspectrum(x))
    if not len(roots):
        return math.nan
    shares = roots[roots > 0] / roots.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def participation_ratio(x: Any) -> float:
    """How many equal eigenvalues would spread the variance as much."""
    values = eigenspectrum(x)
    return float(1 / np.sum(values**2)) if len(values) else math.nan


def power_law_exponent(x: Any, first: int = 10, last: int = 500) -> float:
    """The exponent α of an eigenspectrum that decays as rank^−α.

    Raises:
        InputError: fewer than 5 eigenvalues lie in the range of ranks.

    """
    values = eigenspectrum(x)
    if not len(values):
        return math.nan
    values = values[values > 0]
    ranks = np.arange(first, min(last, len(values)) + 1)
    if len(ranks) < 5:
        raise InputError(
            f"x: expected at least 5 eigenvalues in ranks {first} to {last}, "
            f"got {len(ranks)} of {len(values)}; lower `first`, or use more probes."
        )
    return float(-np.polyfit(np.log(ranks), np.log(values[ranks - 1]), 1)[0])
