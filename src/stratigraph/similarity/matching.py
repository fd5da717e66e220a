"""Matching of single units: whether the same code is carried by the same neurons.

With C_ij the inner product of unit i of x and unit j of y, both centred:

    permutation  max_π Σ_i C_{i,π(i)} / (‖X‖‖Y‖)       units matched one to one (Hungarian method)
    soft         max_T Σ_ij T_ij corr(x_i, y_j)         T a transport plan with equal weights, 1/p
                                                        for each unit of x, 1/q for each of y
Of p ≠ q units, the permutation leaves the rest unmatched; the plan splits them.

Sources: Li et al. 2015, arXiv 1511.07543; Williams et al. 2021; Khosla & Williams 2024,
arXiv 2311.09466.
Cost: preparing np; a pair npq and an assignment, about p³; unequal soft matching is a linear
program of pq variables, for up to some hundred units.
"""

from __future__ import annotations

import numpy as np
import scipy
import torch
from torch import Tensor

from stratigraph.similarity.centring import centre
from stratigraph.similarity.measure import Measure, Prepared, permute_rows

__all__ = ["PERMUTATION_SIMILARITY", "SOFT_MATCHING"]


def _prepare(x: Tensor) -> Prepared:
    """Form ``units``: X_c / ‖X_c‖."""
    found = centre(x)
    if found.reason:
        return Prepared(len(x), "none", reason=found.reason)
    matrix = found.matrix / torch.linalg.vector_norm(found.matrix)
    return Prepared(len(x), "units", (matrix,), doubt=found.doubt)


def _prepare_each(x: Tensor) -> Prepared:
    """Form ``units``: each unit centred and of length 1, dead units zero."""
    found = centre(x)
    if found.reason:
        return Prepared(len(x), "none", reason=found.reason)
    norms = torch.linalg.vector_norm(found.matrix, dim=0)
    alive = norms > 1e-14
    matrix = torch.where(alive, found.matrix / norms.where(alive, torch.ones_like(norms)), 0.0)
    return Prepared(len(x), "units", (matrix,), doubt=found.doubt)


def _assigned(x: Prepared, y: Prepared) -> float:
    gains = (x.parts[0].T @ y.parts[0]).cpu().numpy()
    rows, columns = scipy.optimize.linear_sum_assignment(gains, maximize=True)
    return float(np.clip(gains[rows, columns].sum(), -1.0, 1.0))


def _transported(x: Prepared, y: Prepared) -> float:
    gains = (x.parts[0].T @ y.parts[0]).cpu().numpy()
    p, q = gains.shape
    if p == q:
        # The vertices of the doubly stochastic matrices are permutations (Birkhoff).
        rows, columns = scipy.optimize.linear_sum_assignment(gains, maximize=True)
        return float(np.clip(gains[rows, columns].mean(), -1.0, 1.0))
    sums = scipy.sparse.vstack(
        [
            scipy.sparse.kron(scipy.sparse.eye(p), np.ones((1, q))),
            scipy.sparse.kron(np.ones((1, p)), scipy.sparse.eye(q)),
        ]
    )
    weights = np.concatenate([np.full(p, 1 / p), np.full(q, 1 / q)])
    found = scipy.optimize.linprog(-gains.ravel(), A_eq=sums.tocsr(), b_eq=weights, method="highs")
    return float(np.clip(-found.fun, -1.0, 1.0))


PERMUTATION_SIMILARITY = Measure(
    name="permutation_similarity",
    source="Li et al. 2015, arXiv 1511.07543; Williams et al. 2021, arXiv 2110.14739",
    larger="units match better one to one",
    cost="prepare n·p; pair n·p·q + an assignment",
    prepare=_prepare,
    compare=_assigned,
    permute=permute_rows,
    bounds=(-1.0, 1.0),
    rotation=False,
    biased=True,
)
SOFT_MATCHING = Measure(
    name="soft_matching",
    source="Khosla & Williams 2024, arXiv 2311.09466 (correlation form)",
    larger="units match better, split where their numbers differ",
    cost="prepare n·p; pair n·p·q + an assignment (p = q) or a linear program",
    prepare=_prepare_each,
    compare=_transported,
    permute=permute_rows,
    bounds=(-1.0, 1.0),
    rotation=False,
    biased=True,
)
