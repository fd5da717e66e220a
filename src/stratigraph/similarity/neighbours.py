"""Local agreement: whether two representations give each probe the same neighbours.

Probe i shares its k places (Euclidean distance, centred features, i left out) among the others: 1
to each that is nearer than the k-th of them, and what is left in equal shares among those that are
as far as it, so W_x (n, n) has rows that sum to k whatever the order of the probes. With K the
centred linear kernel, A = W for mutual kNN and A = W∘K for CKNNA, both without a diagonal,

    m² = (Σ A)² / (n(n − 1) Σ A²/W)         (the sums over i ≠ j; A²/W is W or W∘K²)
    score = m_x m_y + √(1 − m_x²) √(1 − m_y²) corr(A_x, A_y),

corr over the n(n − 1) pairs i ≠ j. Without ties W is 0 or 1, and these are

    mutual kNN  (1/nk) Σ_i |N_x(i) ∩ N_y(i)|
    CKNNA       CKA whose sums run over j ∈ N_x(i) ∩ N_y(i) only.

With ties a plain overlap depends on the order in which ties are broken, and the cosine of shared
places grows with the ties. Here independent data score m_x m_y on average over all ways to pair the
probes (corr is 0 then: a random pairing gives every pair i ≠ j of one the mean of the other), and
identical data 1, with ties or without. For mutual kNN m² = (nk)²/(n(n − 1)nk) = k/(n − 1), which is
chance. For CKNNA, by Cauchy and Schwarz,

    (Σ WK)² ≤ (Σ W)(Σ WK²) = nk Σ WK²,   so that m² ≤ k/(n − 1),

and equal only if all neighbours have the same inner product: unrelated data score a little below
k/(n − 1), without ties too (0.040 of 0.050 for 200 normal probes of 8 units and k = 10), since
pairs that are neighbours in both weigh unequally. Scores below 0 are for fewer shared neighbours
than chance gives, and need ties. A representation whose probes are equally far apart has no
neighbours.

By cosine (as in the source's own figures) each probe's features are brought to length 1 first, and
not centred: then an offset counts. Rows of zeros are one direction, at right angles to all others.

Source: Huh, Cheung, Wang & Isola 2024, arXiv 2405.07987 (without ties).
Cost: preparing n²p; a pair n², a block of pairs one product.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.similarity.centring import centre
from stratigraph.similarity.gram import gram, norm64
from stratigraph.similarity.measure import Measure, Prepared
from stratigraph.similarity.rsa import EQUIDISTANT, ROUNDING
from stratigraph.similarity.vectors import cosine
from stratigraph.values import check_whole

__all__ = ["CKNNA", "MUTUAL_KNN", "MUTUAL_KNN_COSINE", "neighbour_measure"]

NEIGHBOURS = 10
ROWS = 256  # whose distances are there at a time
EVEN = 1e-9  # of the size of A: a spread below is rounding
SINGLE = 1e-7  # what a coordinate of float32 may be off by, of the length of its row


def _places(kernel: Tensor, neighbours: int, single: bool) -> Tensor:
    """W (n, n): how each probe shares its k places among the others.

    Distances that differ by what rounding may add are one distance. Rows that were float32 may have
    been rotated, as stored coordinates are, and then a distance √D is off by 2 · 1e-7 of their
    length.
    """
    squares = kernel.diagonal()
    places = torch.empty_like(kernel)
    for start in range(0, len(kernel), ROWS):
        lengths = squares[start : start + ROWS, None] + squares[None, :]
        distances = (lengths - 2 * kernel[start : start + ROWS]).clamp_min_(0)
        distances.diagonal(start).fill_(torch.inf)
        edge = distances.topk(neighbours, dim=1, largest=False).values[:, -1:]
        reach = ROUNDING * lengths
        if single:
            reach += 2 * SINGLE * (edge * lengths).sqrt()
        nearer = distances < edge - reach
        tied = (distances - edge).abs() <= reach
        left = (neighbours - nearer.sum(1, keepdim=True)).to(kernel.dtype)
        share = left / tied.sum(1, keepdim=True)
        places[start : start + ROWS] = nearer + tied * share
    return places


def _directions(x: Tensor) -> Tensor:
    """The rows at length 1, in float64; those of zeros have a column of their own."""
    x = x.double()
    largest = x.abs().amax(1, keepdim=True)
    silent = largest == 0
    rows = torch.cat([x / largest.masked_fill(silent, 1), silent], 1)
    return rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)


def _embed(x: Tensor, neighbours: int, kernel: bool, cosines: bool) -> Prepared:
    """Form ``vector``: A less its mean, of length √(1 − m²), and m shared out on the diagonal."""
    found = centre(_directions(x) if cosines else x)
    if found.reason:
        return Prepared(len(x), "vector", reason=found.reason)
    n, pairs = len(x), len(x) * (len(x) - 1)
    inner = gram(found.matrix / torch.linalg.vector_norm(found.matrix))
    weights = _places(inner, neighbours, x.dtype == torch.float32)
    energy = float(neighbours * n)  # Σ A²/W
    if kernel:
        energy = float(torch.einsum("ij,ij,ij->", weights, inner, inner))
        weights *= inner
    mean, size = float(weights.sum()) / pairs, norm64(weights.flatten())
    alike = mean * (pairs / energy) ** 0.5 if energy else 0.0
    weights.sub_(mean).fill_diagonal_(0)
    spread = norm64(weights.flatten())
    if spread <= EVEN * size:
        return Prepared(n, "vector", reason=EQUIDISTANT)
    weights *= max(1 - alike**2, 0.0) ** 0.5 / spread
    weights.fill_diagonal_(alike / n**0.5)
    return Prepared(n, "vector", (weights.flatten(),), doubt=found.doubt)


def _square(n: int) -> int:
    return n * n


def _square_places(n: int) -> np.ndarray:
    return np.arange(n * n, dtype=np.int32).reshape(n, n)


def neighbour_measure(
    neighbours: int = NEIGHBOURS, *, kernel: bool = False, cosines: bool = False
) -> Measure:
    """Mutual kNN, or with ``kernel`` CKNNA, with k neighbours; by ``cosines`` or by distances.

    Raises:
        InputError: fewer than one neighbour.

    """
    check_whole("neighbours", neighbours, 1, error=InputError)
    embed = partial(_embed, neighbours=neighbours, kernel=kernel, cosines=cosines)
    return Measure(
        name=("cknna" if kernel else "mutual_knn") + ("_cosine" if cosines else ""),
        source="Huh, Cheung, Wang & Isola 2024, arXiv 2405.07987; ties share their places",
        larger="more alike between neighbours" if kernel else "more neighbours in common",
        cost="prepare n²p; pair n² (a block of pairs is one product)",
        prepare=embed,
        compare=cosine,
        embed=embed,
        entries=_square,
        places=_square_places,
        bounds=(-1.0, 1.0),
        translation=not cosines,
        least=neighbours + 2,
    )


MUTUAL_KNN = neighbour_measure()
MUTUAL_KNN_COSINE = neighbour_measure(cosines=True)
CKNNA = neighbour_measure(kernel=True)
