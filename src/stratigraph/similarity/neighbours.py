"""Local agreement: whether two representations give each probe the same neighbours.

With N_x(i) the k nearest probes of i (Euclidean, centred features, i left out) and K, L the
centred linear kernels,

    mutual kNN  (1/nk) Σ_i |N_x(i) ∩ N_y(i)|                       chance is k/(n − 1)
    CKNNA       CKA whose sums run over j ∈ N_x(i) ∩ N_y(i) only

Both are cosines: of the neighbourhoods' indicator matrices A, and of K∘A.

Source: Huh, Cheung, Wang & Isola 2024, arXiv 2405.07987.
Cost: preparing n²p and n² log n; a pair n², a block of pairs one product.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.similarity.centring import centre
from stratigraph.similarity.gram import gram
from stratigraph.similarity.measure import Measure, Prepared
from stratigraph.similarity.rsa import squared_distances
from stratigraph.similarity.vectors import cosine, unit_vector

__all__ = ["CKNNA", "MUTUAL_KNN", "neighbour_measure"]

NEIGHBOURS = 10


def _embed(x: Tensor, neighbours: int, kernel: bool) -> Prepared:
    found = centre(x)
    if found.reason:
        return Prepared(len(x), "vector", reason=found.reason)
    matrix = found.matrix / torch.linalg.vector_norm(found.matrix)
    distances = squared_distances(matrix).fill_diagonal_(torch.inf)
    # A stable sort: probes at one distance are taken in their order, on every machine.
    nearest = distances.sort(dim=1, stable=True).indices[:, :neighbours]
    values = torch.zeros_like(distances).scatter_(1, nearest, 1.0)
    if kernel:
        values *= gram(matrix)
    size = float(torch.linalg.vector_norm(values))
    return unit_vector(len(x), values.flatten(), size, "without neighbours", found.doubt)


def neighbour_measure(neighbours: int = NEIGHBOURS, *, kernel: bool = False) -> Measure:
    """Mutual kNN, or with ``kernel`` CKNNA, with k neighbours.

    Raises:
        InputError: fewer than one neighbour.

    """
    if isinstance(neighbours, bool) or not isinstance(neighbours, int) or neighbours < 1:
        raise InputError(f"neighbours: expected a whole number of at least 1, got {neighbours!r}.")
    embed = partial(_embed, neighbours=neighbours, kernel=kernel)
    return Measure(
        name="cknna" if kernel else "mutual_knn",
        source="Huh, Cheung, Wang & Isola 2024, arXiv 2405.07987",
        larger="more alike between neighbours" if kernel else "more neighbours in common",
        cost="prepare n²p + n² log n; pair n² (a block of pairs is one product)",
        prepare=embed,
        compare=cosine,
        embed=embed,
        bounds=(-1.0, 1.0) if kernel else (0.0, 1.0),
        least=neighbours + 2,
    )


MUTUAL_KNN = neighbour_measure()
CKNNA = neighbour_measure(kernel=True)
