"""Centred kernel alignment with the linear kernel.

With X, Y the centred features, K = XXᵀ, L = YYᵀ:

    biased    CKA = ⟨K, L⟩_F / (‖K‖_F ‖L‖_F) = ‖XᵀY‖²_F / (‖XᵀX‖_F ‖YᵀY‖_F)   ∈ [0, 1]
    debiased  the same cosine on the U-centred K̃, L̃                           ∈ [−1, 1]

The biased score of independent features tends to 1 as p/n grows (0.89 at n = 500, p = 4,096); the
debiased one stays at 0, and may be negative. Prefer it; the biased one is for parity with papers.

Sources: Kornblith et al. 2019 (biased); Song et al. 2012, Székely & Rizzo 2014 (debiased).
Cost: preparing n²p (p ≥ n) or np²; a pair npq in feature form, n² in Gram form, whichever the
two representations were prepared in; a block of k × k packed pairs is one product of k²n² flops.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stratigraph.similarity.centring import centre
from stratigraph.similarity.hsic import DEGENERATE, debiased_hsic_centred, is_degenerate
from stratigraph.similarity.inputs import as_array
from stratigraph.similarity.measure import Measure, Prepared, score
from stratigraph.similarity.packed import pack_layer, packed_length, tiled_places

__all__ = ["DEBIASED_CKA", "LINEAR_CKA", "debiased_cka", "embed_debiased", "linear_cka"]


FEW_DIGITS = 1e-8  # of ‖K‖²: with less of it left, float64's sums leave an error of 1e-7 and more


def linear_cka(x: Any, y: Any) -> float:
    """Biased linear CKA of two representations ``(n, p)`` and ``(n, q)`` of the same probes.

    Axes beyond the second are flattened. NaN, with an `UndefinedWarning`, if either is constant.

    Raises:
        InputError: different numbers of probes, or an entry is NaN or infinite.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(100, 3))
    >>> round(linear_cka(x, x @ np.diag([1, 1, 2]) + 5), 3)
    0.805

    """
    return score(LINEAR_CKA, x, y)


def debiased_cka(x: Any, y: Any) -> float:
    """Debiased linear CKA of two representations ``(n, p)`` and ``(n, q)`` of the same probes.

    May be negative. Otherwise as `linear_cka`; also NaN if all probes of either are equidistant.

    Raises:
        InputError: fewer than 4 probes, different numbers of them, or an entry is NaN or infinite.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(100, 3))
    >>> round(debiased_cka(x, x @ np.diag([1, 1, 2]) + 5), 3)
    0.8

    """
    return score(DEBIASED_CKA, x, y)


def _prepare(x: Tensor, debiased: bool) -> Prepared:
    """Form ``features`` (X, d, HSIC), or ``gram`` (K, d, HSIC) where units outnumber probes.

    X is centred and of norm 1, so that tr K = 1; d is the diagonal of K.
    """
    found = centre(as_array(x))
    n, p = x.shape
    if found.reason:
        return Prepared(n, "none", reason=found.reason)
    size = found.squares.sum()
    matrix = found.matrix / size**0.5
    form = "features" if p < n else "gram"
    made = Prepared(
        n,
        form,
        (matrix if form == "features" else matrix @ matrix.T, found.squares / size),
        doubt=found.doubt,
    )
    inner = _inner(made, made)
    own = _hsic(made, made) if debiased else inner
    if is_degenerate(own, inner, 1.0, x.dtype):
        return Prepared(n, "none", reason=DEGENERATE)
    doubt = found.doubt
    if doubt is None and own < FEW_DIGITS * inner:
        doubt = (
            f"its debiased HSIC is a difference of sums {inner / own:.0e} times as large, so its "
            "scores have few digits; a few probes outweigh all others"
        )
    return Prepared(n, form, (*made.parts, own), doubt=doubt)


def _inner(x: Prepared, y: Prepared) -> float:
    """⟨K, L⟩_F, in the forms at hand."""
    left, right = x.parts[0], y.parts[0]
    if x.form == y.form == "features":
        product = left.T @ right
        return float((product * product).sum())
    if x.form == y.form:
        return float((left * right).sum())
    kernel, features = (left, right) if x.form == "gram" else (right, left)
    return float(((kernel @ features) * features).sum())


def _hsic(x: Prepared, y: Prepared) -> float:
    d, e = x.parts[1], y.parts[1]
    return float(debiased_hsic_centred(_inner(x, y), d @ e, 1.0, x.n))


def _compare(x: Prepared, y: Prepared, debiased: bool) -> float:
    cosine = (_hsic if debiased else _inner)(x, y) / math.sqrt(x.parts[2] * y.parts[2])
    return min(max(cosine, -1.0 if debiased else 0.0), 1.0)


def _permute(x: Prepared, order: np.ndarray) -> Prepared:
    matrix, diagonal, own = x.parts
    moved = matrix[order]
    if x.form == "gram":
        moved = moved[:, order]
    return replace(x, parts=(moved, diagonal[order], own))


def _embed(x: Tensor, debiased: bool) -> Prepared:
    """The packed kernel, of length 1."""
    n, double = len(x), x.dtype == torch.float64
    row: Any = np.empty(packed_length(n, not debiased), np.float64 if double else np.float32)
    found = pack_layer(as_array(x), row, debiased)
    if found.reason:
        return Prepared(n, "vector", reason=found.reason)
    row /= math.sqrt(found.own / 2)
    return Prepared(n, "vector", (torch.from_numpy(row),), doubt=found.doubt)


def embed_debiased(x: Tensor) -> Prepared:
    """The packed U-centred kernel, of length 1."""
    return _embed(x, debiased=True)


LINEAR_CKA = Measure(
    name="linear_cka",
    source="Kornblith, Norouzi, Lee & Hinton 2019, arXiv 1905.00414",
    larger="more alike",
    cost="prepare n²p; pair n² (a block of pairs is one product)",
    prepare=partial(_prepare, debiased=False),
    compare=partial(_compare, debiased=False),
    embed=partial(_embed, debiased=False),
    write=partial(pack_layer, debiased=False),
    places=tiled_places,
    permute=_permute,
    biased=True,
)

DEBIASED_CKA = Measure(
    name="debiased_cka",
    source="Song et al. 2012, JMLR 13; Székely & Rizzo 2014, Ann. Stat. 42",
    larger="more alike; 0 is what independent representations score on average",
    cost="prepare n²p; pair n² (a block of pairs is one product)",
    prepare=partial(_prepare, debiased=True),
    compare=partial(_compare, debiased=True),
    embed=embed_debiased,
    entries=partial(packed_length, diagonal=False),
    write=partial(pack_layer, debiased=True),
    places=partial(tiled_places, diagonal=False),
    permute=_permute,
    bounds=(-1.0, 1.0),
    least=4,
)
