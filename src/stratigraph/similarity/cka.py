"""Centred kernel alignment with the linear kernel.

With X, Y the centred features, K = XXᵀ, L = YYᵀ:

    biased    CKA = ⟨K, L⟩_F / (‖K‖_F ‖L‖_F) = ‖XᵀY‖²_F / (‖XᵀX‖_F ‖YᵀY‖_F)   ∈ [0, 1]
    debiased  the same cosine on the U-centred K̃, L̃                           ∈ [−1, 1]

The biased score of independent features tends to 1 as p/n grows (0.89 at n = 500, p = 4,096); the
debiased one stays at 0, and may be negative. Prefer it; the biased one is for parity with papers.

Sources: Kornblith et al. 2019 (biased); Song et al. 2012, Székely & Rizzo 2014 (debiased).
Cost: preparing n²p (p ≥ n) or np²; a pair npq in feature form, n² in Gram form, whichever the
two representations were prepared in; a block of K × K packed pairs is one product of K²n² flops.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from stratigraph.similarity.centring import centre, centre_single
from stratigraph.similarity.gram import gram, norm64, packed_gram, packed_uncentred, u_product
from stratigraph.similarity.measure import Measure, Prepared, score

__all__ = [
    "DEBIASED_CKA",
    "LINEAR_CKA",
    "debiased_cka",
    "embed_debiased",
    "is_rounding",
    "linear_cka",
]

SINGLE = 1 << 18  # entries from which a float32 layer's Gram matrix is formed in float32
EQUIDISTANT = (
    "equidistant: all its probes are equally far apart, so the debiased kernel is zero everywhere"
)


def linear_cka(x: Any, y: Any) -> float:
    """Biased linear CKA of two representations ``(n, p)`` and ``(n, q)`` of the same probes.

    Axes beyond the second are flattened. NaN, with an `UndefinedWarning`, where either is constant.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(100, 3))
    >>> round(linear_cka(x, x @ np.diag([1, 1, 2]) + 5), 3)
    0.805
    """
    return score(LINEAR_CKA, x, y)


def debiased_cka(x: Any, y: Any) -> float:
    """Debiased linear CKA of two representations of the same n ≥ 4 probes; may be negative."""
    return score(DEBIASED_CKA, x, y)


def _prepare(x: Tensor) -> Prepared:
    """Form ``features`` (X, d), or ``gram`` (K, d) where the units outnumber the probes."""
    found = centre(x)
    if found.reason:
        return Prepared(len(x), "none", reason=found.reason)
    matrix = found.matrix / torch.linalg.vector_norm(found.matrix)
    diagonal = matrix.square().sum(1)
    form = "features" if x.shape[1] < len(x) else "gram"
    return Prepared(
        len(x),
        form,
        (matrix if form == "features" else gram(matrix), diagonal),
        doubt=found.doubt,
    )


def _inner(x: Prepared, y: Prepared) -> float:
    """⟨K, L⟩_F, in the forms at hand."""
    left, right = x.parts[0], y.parts[0]
    if x.form == y.form == "features":
        return float((left.T @ right).square().sum())
    if x.form == y.form:
        return float((left * right).sum())
    kernel, features = (left, right) if x.form == "gram" else (right, left)
    return float(((kernel @ features) * features).sum())


def _compare_biased(x: Prepared, y: Prepared) -> float:
    cosine = _inner(x, y) / math.sqrt(_inner(x, x) * _inner(y, y))
    return min(max(cosine, 0.0), 1.0)


def _hsic(x: Prepared, y: Prepared) -> float:
    return u_product(_inner(x, y), x.parts[1], y.parts[1])


def _prepare_debiased(x: Tensor) -> Prepared:
    found = _prepare(x)
    if found.reason is None and _hsic(found, found) <= 1e-13 * _inner(found, found):
        return Prepared(len(x), "none", reason=EQUIDISTANT)
    return found


def _compare_debiased(x: Prepared, y: Prepared) -> float:
    cosine = _hsic(x, y) / math.sqrt(_hsic(x, x) * _hsic(y, y))
    return min(max(cosine, -1.0), 1.0)


def _embed(x: Tensor, debiased: bool) -> Prepared:
    single = x.dtype == torch.float32 and x.numel() > SINGLE
    direct = packed_uncentred(x, debiased) if single and 4 * x.shape[1] >= len(x) else None
    doubt = None
    if direct is None:
        found = centre_single(x) if single else centre(x)
        if found.reason:
            return Prepared(len(x), "vector", reason=found.reason)
        doubt = found.doubt
        direct = packed_gram(found.matrix, found.squares, debiased), found.squares
    vector, squares = direct
    if is_rounding(vector, squares):
        return Prepared(len(x), "vector", reason=EQUIDISTANT)
    return Prepared(len(x), "vector", (vector.div_(norm64(vector)),), doubt=doubt)


def is_rounding(vector: Tensor, squares: Tensor) -> bool:
    """Whether a packed kernel holds nothing but rounding errors; ``squares`` is its diagonal."""
    size = float(torch.linalg.vector_norm(squares))  # ‖K‖_F is at least this
    return norm64(vector) <= 1e4 * torch.finfo(vector.dtype).eps * size / len(squares)


def _embed_biased(x: Tensor) -> Prepared:
    return _embed(x, debiased=False)


def embed_debiased(x: Tensor) -> Prepared:
    """The packed U-centred kernel, of length 1."""
    return _embed(x, debiased=True)


LINEAR_CKA = Measure(
    name="linear_cka",
    source="Kornblith, Norouzi, Lee & Hinton 2019, arXiv 1905.00414",
    larger="more alike",
    cost="prepare n²p; pair n² (a block of pairs is one product)",
    prepare=_prepare,
    compare=_compare_biased,
    embed=_embed_biased,
    biased=True,
)

DEBIASED_CKA = Measure(
    name="debiased_cka",
    source="Song et al. 2012, JMLR 13; Székely & Rizzo 2014, Ann. Stat. 42",
    larger="more alike; 0 is what independent representations score on average",
    cost="prepare n²p; pair n² (a block of pairs is one product)",
    prepare=_prepare_debiased,
    compare=_compare_debiased,
    embed=embed_debiased,
    bounds=(-1.0, 1.0),
    least=4,
)
