"""Representational similarity analysis: compare which probes each representation tells apart.

With D_ij = ‖x_i − x_j‖² for i < j (packed), and E the same of y, the *squared* Euclidean distances:

    rsa_pearson   the correlation of D and E          rsa_spearman  that of their ranks
    rsa_cosine    D·E / (‖D‖‖E‖)

Squared distances add over units, and are what rsatoolbox and the whitened form use; correlations of
plain distances are a little different numbers (ranks are the same). Distances that differ by no
more than rounding have one rank, the mean of theirs.

The whitened cosine of Diedrichsen et al. 2021, in which entries that share a probe are
decorrelated, equals linear CKA exactly: it is here under that name (see the tests).

Source: Kriegeskorte, Mur & Bandettini 2008; Diedrichsen et al. 2021, arXiv 2007.02789.
Cost: preparing n²p (and n² log n to rank); a pair n²/2, a block of pairs one product.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from stratigraph.similarity.centring import centre
from stratigraph.similarity.gram import gram, pack, packed_places
from stratigraph.similarity.measure import Measure, Prepared
from stratigraph.similarity.vectors import cosine, unit_vector

__all__ = ["RSA_COSINE", "RSA_PEARSON", "RSA_SPEARMAN", "squared_distances"]

ROUNDING = 1e-12  # of ‖x_i‖² + ‖x_j‖²: what D_ij may be off by
EQUIDISTANT = "equidistant: all its probes are equally far apart, so its distances do not vary"


def squared_distances(matrix: Tensor) -> Tensor:
    """‖x_i − x_j‖² of centred rows, zero on the diagonal."""
    kernel = gram(matrix)
    diagonal = kernel.diagonal()
    result = (diagonal[:, None] + diagonal[None, :] - 2 * kernel).clamp_min(0)
    result.fill_diagonal_(0)
    return result


def ranks(distances: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Ranks from 1, those of ties averaged; a tie differs from the next by rounding at most.

    Args:
        distances: squared.
        lengths: ‖x_i‖² + ‖x_j‖² of each.

    """
    order = np.argsort(distances, kind="stable")
    ordered = distances[order]
    apart = np.diff(ordered) > ROUNDING * np.maximum(lengths[order][1:], lengths[order][:-1])
    group = np.concatenate([[0], np.cumsum(apart)])
    counts = np.bincount(group)
    found = np.empty(len(distances))
    found[order] = (np.cumsum(counts) - (counts - 1) / 2)[group]
    return found


def _embed(x: Tensor, how: str) -> Prepared:
    found = centre(x)
    if found.reason:
        return Prepared(len(x), "vector", reason=found.reason)
    matrix = found.matrix / torch.linalg.vector_norm(found.matrix)
    vector = pack(squared_distances(matrix), diagonal=False)
    size = float(torch.linalg.vector_norm(vector))
    if how == "spearman":
        squares = matrix.square().sum(1)
        lengths = pack(squares[:, None] + squares[None, :], diagonal=False)
        ranked = ranks(vector.cpu().numpy(), lengths.cpu().numpy())
        vector = torch.from_numpy(ranked).to(vector.device)
        size = float(torch.linalg.vector_norm(vector))
    if how != "cosine":
        vector = vector - vector.mean()
    return unit_vector(len(x), vector, size, EQUIDISTANT, found.doubt)


def _measure(how: str, text: str) -> Measure:
    embed = partial(_embed, how=how)
    return Measure(
        name=f"rsa_{how}",
        source="Kriegeskorte, Mur & Bandettini 2008, Front. Syst. Neurosci. 2:4",
        larger=text,
        cost="prepare n²p; pair n²/2 (a block of pairs is one product)",
        prepare=embed,
        compare=cosine,
        embed=embed,
        places=partial(packed_places, diagonal=False),
        bounds=(0.0, 1.0) if how == "cosine" else (-1.0, 1.0),
        biased=how == "cosine",
        least=2 if how == "cosine" else 3,
    )


RSA_PEARSON = _measure("pearson", "squared distances between probes more linearly related")
RSA_SPEARMAN = _measure("spearman", "distances between probes ordered more alike")
RSA_COSINE = _measure("cosine", "squared distances between probes more nearly proportional")
