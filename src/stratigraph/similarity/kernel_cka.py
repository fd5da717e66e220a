"""CKA with kernels that see more than the linear one, and CKA without the input's geometry.

    rbf        k(a, b) = exp(−‖a − b‖² / 2σ²),  σ = bandwidth · median distance between probes
    laplacian  k(a, b) = exp(−‖a − b‖ / σ)

centred (biased) or U-centred (debiased), then the cosine. The median makes the score indifferent
to scale.

Deconfounded (Cui et al. 2022): what two layers share only because both still hold the geometry of
the input is removed. With v, w, u the packed U-centred kernels of x, y and the input, the cosine is
taken of v − (v·u)u and w − (w·u)u: the partial correlation of kernels given the input's.

Sources: Kornblith et al. 2019, arXiv 1905.00414; Cui et al. 2022, arXiv 2202.00095.
Cost: preparing n²p; a pair n²/2, a block of pairs one product.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stratigraph.errors import InputError, suggest
from stratigraph.labels import join_rows
from stratigraph.similarity.centring import centre
from stratigraph.similarity.gram import pack, packed_places, u_centred
from stratigraph.similarity.hsic import is_degenerate
from stratigraph.similarity.inputs import as_array, as_matrix, check_finite, check_probes
from stratigraph.similarity.measure import Measure, Prepared, score
from stratigraph.similarity.packed import pack_layer, packed_length
from stratigraph.similarity.rsa import EQUIDISTANT, squared_distances
from stratigraph.similarity.vectors import cosine, unit_vector

__all__ = ["deconfounded_cka", "deconfounded_measure", "kernel_measure"]

KERNELS = ("rbf", "laplacian")


def kernel_measure(
    kernel: str = "rbf", bandwidth: float = 1.0, *, debiased: bool = False
) -> Measure:
    """CKA with another kernel, as a measure.

    Raises:
        InputError: the kernel is unknown, or the bandwidth is not a positive number.

    """
    if kernel not in KERNELS:
        raise InputError(f"kernel: no kernel is named {kernel!r}." + suggest(kernel, KERNELS))
    if not (isinstance(bandwidth, int | float) and 0 < bandwidth < math.inf):
        raise InputError(
            f"bandwidth: expected a positive multiple of the median distance, got {bandwidth!r}."
        )
    embed = partial(_embed, kernel=kernel, bandwidth=float(bandwidth), debiased=debiased)
    return Measure(
        name=("debiased_" if debiased else "") + f"{kernel}_cka",
        source="Kornblith et al. 2019, arXiv 1905.00414; kernel HSIC: Gretton et al. 2005",
        larger="more alike" + ("; 0 on average for independent ones" if debiased else ""),
        cost="prepare n²p; pair n²/2 (a block of pairs is one product)",
        prepare=embed,
        compare=cosine,
        embed=embed,
        places=partial(packed_places, diagonal=not debiased),
        bounds=(-1.0, 1.0) if debiased else (0.0, 1.0),
        biased=not debiased,
        least=4 if debiased else 2,
    )


def _embed(x: Tensor, kernel: str, bandwidth: float, debiased: bool) -> Prepared:
    found = centre(x)
    if found.reason:
        return Prepared(len(x), "vector", reason=found.reason)
    squared = squared_distances(found.matrix / torch.linalg.vector_norm(found.matrix))
    width = bandwidth * _median(pack(squared, diagonal=False).sqrt_())
    if width == 0:
        return Prepared(
            len(x), "vector", reason="half its probes coincide, so no median distance sets a width"
        )
    if kernel == "rbf":
        values = torch.exp(-squared / (2 * width**2))
    else:
        values = torch.exp(-squared.sqrt() / width)
    if debiased:
        values = u_centred(values)
    else:
        mean = values.mean(0)
        values = values - mean[:, None] - mean[None, :] + mean.mean()
    return unit_vector(
        len(x), pack(values, diagonal=not debiased), float(len(x)), EQUIDISTANT, found.doubt
    )


def _median(values: Tensor) -> float:
    """The middle value; of an even number, the mean of the middle two (torch's is the lower)."""
    low = values.kthvalue((len(values) + 1) // 2).values
    high = values.kthvalue(len(values) // 2 + 1).values
    return float(low + high) / 2


EXPLAINED = "no more than the input's geometry: nothing is left once that is regressed out"
DECONFOUNDED_SOURCE = "Cui, Kumar, Marttinen & Kaski 2022, arXiv 2202.00095 (on U-centred kernels)"


def deconfounded_measure(inputs: Any) -> Measure:
    """Debiased CKA given the geometry of ``inputs`` (n, …), the probes themselves.

    Raises:
        InputError: the inputs are not a finite matrix, or have no geometry.

    """
    matrix = as_matrix(inputs, "inputs")
    check_finite(matrix, "inputs")
    check_probes(len(matrix), 4, "deconfounded_cka", "inputs")
    row = np.empty(packed_length(len(matrix), diagonal=False))
    confounder = pack_layer(as_array(matrix), row, debiased=True)
    if confounder.reason:
        raise InputError(f"inputs: cannot be regressed out, because they are {confounder.reason}.")
    embed = partial(_embed_given, confounder=row / math.sqrt(confounder.own / 2))
    return Measure(
        name="deconfounded_cka",
        source=DECONFOUNDED_SOURCE,
        larger="more alike beyond what the input's geometry explains",
        cost="prepare n²p; pair n²/2 (a block of pairs is one product)",
        prepare=embed,
        compare=cosine,
        embed=embed,
        bounds=(-1.0, 1.0),
        least=4,
    )


def deconfounded_cka(x: Any, y: Any, inputs: Any) -> float:
    """Debiased CKA of x and y with the kernel of ``inputs`` regressed out of both."""
    given = join_rows({"x": x, "y": y, "inputs": inputs})
    return score(deconfounded_measure(given["inputs"]), given["x"], given["y"])


def _embed_given(x: Tensor, confounder: np.ndarray) -> Prepared:
    n = len(x)
    row = np.empty(packed_length(n, diagonal=False))
    if len(row) != len(confounder):
        raise InputError(
            f"inputs: expected the same {n} probes as the representations, got others."
        )
    found = pack_layer(as_array(x), row, debiased=True)
    if found.reason:
        return Prepared(n, "vector", reason=found.reason)
    row -= (row @ confounder) * confounder
    own = 2 * float(row @ row)
    if is_degenerate(own, found.inner, found.trace, x.dtype):
        return Prepared(n, "vector", reason=EXPLAINED)
    return Prepared(n, "vector", (torch.from_numpy(row / math.sqrt(own / 2)),), doubt=found.doubt)
