"""CKA between layers of which only a sample of the units was read.

With X (n, p) the centred units that were read, h(a, b) the unbiased squared covariance over probes
of units a and b (the linear HSIC of Song et al. of the two alone), and means over units,

    ⟨K, L⟩ ∝ mean of h(x_a, y_b) over a, b          ⟨K, K⟩ ∝ mean of h(x_a, x_b) over a, b.

Among all P units of a layer, one pair in P is a unit with itself, whose h is its variance squared,
as a rule far above the rest; among p units that were read, one in p. So plain CKA of a sample has
norms that are too large. In the corrected one every mean is taken over what the pairs of all units
are made of:

    (1 − 1/P) · mean over a ≠ b  +  1/P · mean over a = b,        P = ∞ unless it is known.

The same for ⟨K, L⟩ where p = q: "sample:512" reads the same units of a layer in all its snapshots,
and if a is not the same unit in both, the mean over a ≠ b is as good an estimate of the whole. With
p ≠ q all pairs count. Each of the three means is unbiased over samples of units and of probes;
their ratio leaves [−1, 1] where units are few. With P = p it is debiased CKA.

Source: Chun, Canatar, Chung & Lee 2025, arXiv 2502.15104 (P = ∞); Song et al. 2012.
Cost: preparing np, and n²p where p ≥ n; a pair npq, or n² where both have p ≥ n.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.similarity.centring import centre
from stratigraph.similarity.gram import gram
from stratigraph.similarity.hsic import debiased_hsic_centred, is_degenerate
from stratigraph.similarity.measure import Measure, Prepared, score
from stratigraph.values import is_whole

__all__ = ["FEATURE_CORRECTED_CKA", "feature_corrected_cka"]

ONE_UNIT = "a single unit: nothing says what it has in common with the others of its layer"
NOTHING_SHARED = (
    "without anything that its units share: no two of them vary together by more than chance, so "
    "they say nothing of the units that were not read"
)


def feature_corrected_cka(
    x: Any, y: Any, units: tuple[int | None, int | None] | None = None
) -> float:
    """Debiased CKA of two layers (n, p), (n, q), of whose units x and y hold random samples.

    Args:
        x: what was read of one layer, of n ≥ 4 probes.
        y: what was read of the other. Where it holds as many units, those in the same place may be
            the same unit, as in two snapshots of one layer.
        units: how many units the layers have in all; None for so many that p and q are few.

    Returns:
        The score, 1 for x with itself; beyond [−1, 1] where so few units say little. NaN, with an
        `UndefinedWarning`, where units of one side have nothing in common.

    Raises:
        InputError: either is not a finite matrix, or ``units`` are fewer than were read.

    """
    whole = (None, None) if units is None else units
    if len(whole) != 2:
        raise InputError(f"units: expected the total of each layer, got {units!r}.")
    sides = tuple(partial(_prepare, units=count) for count in whole)
    return score(FEATURE_CORRECTED_CKA, x, y, prepare=sides)


def _prepare(x: Tensor, units: int | None = None) -> Prepared:
    """Form ``units``: X, its rows' squares, 1/P, the mean of h; and K where units are many."""
    n, p = x.shape
    if units is not None and not (is_whole(units) and units >= p):
        raise InputError(f"units: expected at least the {p} that were read, got {units!r}.")
    found = centre(x)
    if found.reason:
        return Prepared(n, "none", reason=found.reason)
    if p == 1 and units != 1:
        return Prepared(n, "none", reason=ONE_UNIT)
    made = _of_units(found.matrix / torch.linalg.vector_norm(found.matrix), units)
    own = _mean(made, made)
    if is_degenerate(own * p**2, _inner(made, made), 1.0, x.dtype):
        return Prepared(n, "none", reason=NOTHING_SHARED)
    scale = made.parts[0].new_tensor(own)
    return Prepared(n, "units", (*made.parts[:3], scale, *made.parts[3:]), doubt=found.doubt)


def _of_units(x: Tensor, units: int | None) -> Prepared:
    """As `_prepare`, of centred units, before it is known whether they have a score."""
    n, p = x.shape
    share = x.new_tensor(0.0 if units is None else 1 / units)
    return Prepared(n, "units", (x, x.square().sum(1), share, *([gram(x)] if p >= n else [])))


def _permute(x: Prepared, order: np.ndarray) -> Prepared:
    matrix, squares, share, own, *kernel = x.parts
    moved = (k[order][:, order] for k in kernel)
    return replace(x, parts=(matrix[order], squares[order], share, own, *moved))


def _inner(x: Prepared, y: Prepared) -> float:
    """⟨K, L⟩ = ‖XᵀY‖²."""
    left, right = x.parts[0], y.parts[0]
    wide = [side.parts[-1] for side in (x, y) if side.parts[0].shape[1] >= side.n]
    if len(wide) == 2:
        return float((wide[0] * wide[1]).sum())
    return float((left.T @ right).square().sum())


def _mean(x: Prepared, y: Prepared) -> float:
    """The mean of h over the pairs of all units, of which these are a sample.

    HSIC is bilinear, so that the sum of h over pairs is H of the sums over pairs.
    """
    (left, d, a), (right, e, b) = x.parts[:3], y.parts[:3]
    n, p, q = x.n, left.shape[1], right.shape[1]
    every = float(debiased_hsic_centred(_inner(x, y), d @ e, d.sum() * e.sum(), n))
    share = float(a)
    if p != q or share != float(b):
        return every / (p * q)
    squares = left.square(), right.square()
    same = float(
        debiased_hsic_centred(
            (left * right).sum(0).square().sum(),
            (squares[0] * squares[1]).sum(),
            squares[0].sum(0) @ squares[1].sum(0),
            n,
        )
    )
    if p == 1:
        return same
    return (1 - share) * (every - same) / (p * (p - 1)) + share * same / p


def _compare(x: Prepared, y: Prepared) -> float:
    return _mean(x, y) / math.sqrt(float(x.parts[3]) * float(y.parts[3]))


FEATURE_CORRECTED_CKA = Measure(
    name="feature_corrected_cka",
    source="Chun, Canatar, Chung & Lee 2025, arXiv 2502.15104",
    larger="more alike; 0 is what independent layers score on average",
    cost="prepare np (n²p where p ≥ n); pair npq (n² where both p, q ≥ n)",
    prepare=_prepare,
    compare=_compare,
    permute=_permute,
    bounds=(None, None),
    rotation=False,
    permutation=False,
    least=4,
    sampled=True,
)
