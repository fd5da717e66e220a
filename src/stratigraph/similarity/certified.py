"""Procrustes at a fraction of the cost, with an interval that holds the exact value for certain.

Let P and Q project onto the leading sample directions of X and Y (of unit Frobenius norm). Then

    lower  ‖(PX)ᵀ(QY)‖_*                    a submatrix of XᵀY in principal coordinates
    upper  lower + ‖(I−P)X‖_F ‖(I−P)Y‖_F + ‖(I−Q)Y‖_F ‖(I−Q)PX‖_F

since XᵀY − (PX)ᵀ(QY) = ((I−P)X)ᵀ((I−P)Y) + (PX)ᵀ((I−Q)Y), and ‖AᵀB‖_* ≤ ‖A‖_F ‖B‖_F. Both terms are
products of two tails, so the gap is quadratically small where spectra decay. Ranks are raised until
the gap is within the tolerance: half of it is the largest error of the midpoint.

Cost: a pair n·r·(p or q) for the tails and r³ for the nuclear norm, r the kept ranks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.similarity.centring import centre
from stratigraph.similarity.inputs import as_matrix, check_finite
from stratigraph.similarity.measure import Prepared, tell
from stratigraph.similarity.procrustes import PROCRUSTES_SIMILARITY
from stratigraph.similarity.spectral import factor, nuclear_norm

if TYPE_CHECKING:
    import xarray

__all__ = ["Bracket", "certified_matrix", "certified_procrustes", "certify"]

MOST = 0.7  # of the directions: beyond it, take them all
ROUNDING = 1e-9  # what float64 may add to either end


class Bracket(NamedTuple):
    """An interval that holds the exact score, and the ranks that gave it."""

    lower: float
    upper: float
    rank_x: int
    rank_y: int


def certify(fx: Tensor, fy: Tensor, tolerance: float) -> Bracket:
    """Bracket ‖F_xᵀF_y‖_* of two unit factors in principal coordinates, leading first."""
    sx, sy = (torch.linalg.vector_norm(f, dim=0) for f in (fx, fy))
    tail_x, tail_y = _tails(sx), _tails(sy)
    level = math.sqrt(tolerance / 2)
    while True:
        r, s = (_rank(tail, level) for tail in (tail_x, tail_y))
        if r > MOST * len(sx) and s > MOST * len(sy):
            r, s = len(sx), len(sy)  # the little that could be left out would not pay for its bound
        inner = fx[:, :r].T @ fy[:, :s]
        if r == len(sx) and s == len(sy):
            value = nuclear_norm(inner)
            return Bracket(max(value - ROUNDING, 0.0), min(value + ROUNDING, 1.0), r, s)
        # Pythagoras: what is outside a projector is the whole less what is inside.
        y_in_p = (fx[:, :r].T @ fy / sx[:r, None]).square().sum() if r < len(sx) else 1.0
        x_in_q = (inner / sy[:s]).square().sum() if s < len(sy) else float(sx[:r].square().sum())
        y_out = math.sqrt(max(float(sy.square().sum()) - float(y_in_p), 0.0) + 1e-15)
        x_out = math.sqrt(max(float(sx[:r].square().sum()) - float(x_in_q), 0.0) + 1e-15)
        gap = float(tail_x[r]) * y_out + float(tail_y[s]) * x_out
        if gap <= tolerance:
            value = nuclear_norm(inner)
            return Bracket(max(value - ROUNDING, 0.0), min(value + gap + ROUNDING, 1.0), r, s)
        level /= 2 if level > 1e-6 else math.inf


def _principal(x: Tensor) -> Prepared:
    """Form ``factor``: F (n, r), FFᵀ = X_c X_cᵀ / ‖X_c‖²_F, leading directions first."""
    found = centre(x)
    if found.reason:
        return Prepared(len(x), "none", reason=found.reason)
    matrix = found.matrix / torch.linalg.vector_norm(found.matrix)
    return Prepared(len(x), "factor", (factor(matrix),), doubt=found.doubt)


def certified_procrustes(x: Any, y: Any, tolerance: float = 1e-3) -> Bracket:
    """An interval no wider than ``tolerance`` that holds the Procrustes similarity of x and y."""
    found = certified_matrix({"x": x}, {"y": y}, tolerance=tolerance)
    return Bracket(
        float(found["lower"][0, 0]),
        float(found["upper"][0, 0]),
        int(found["rank_x"][0, 0]),
        int(found["rank_y"][0, 0]),
    )


def certified_matrix(
    a: Mapping[str, Any], b: Mapping[str, Any] | None = None, *, tolerance: float = 1e-3
) -> xarray.Dataset:
    """Procrustes similarity of all pairs: ``value`` (the midpoint), ``lower``, ``upper``.

    Args:
        a: name → activations ``(n, p…)`` of the same probes.
        b: the same for the other axis; None is ``a``.
        tolerance: the widest that an interval may be.

    Raises:
        InputError: the tolerance is not positive, or an entry cannot be compared.

    """
    import xarray

    if not 0 < tolerance < math.inf:
        raise InputError(f"tolerance: expected a positive number, got {tolerance!r}.")
    sides = []
    for argument, given in (("a", a), ("b", b)):
        if given is None:
            continue
        side = []
        for name, value in given.items():
            matrix = as_matrix(value, f"{argument}[{name!r}]")
            check_finite(matrix, f"{argument}[{name!r}]")
            found = _principal(matrix)
            tell("procrustes_similarity", repr(name), found.reason, found.doubt)
            side.append(found)
        sides.append(side)
    if len({p.n for side in sides for p in side}) > 1:
        raise InputError("a and b: expected the same probes in every representation.")
    left, right = sides[0], sides[-1]
    ends = np.full((4, len(left), len(right)), math.nan)
    for i, x in enumerate(left):
        for j, y in enumerate(right):
            if x.reason or y.reason:
                continue
            if b is None and j < i:
                ends[:, i, j] = ends[[0, 1, 3, 2], j, i]
            else:
                ends[:, i, j] = certify(x.parts[0], y.parts[0], tolerance)
    values = {"value": ends[:2].mean(0), "lower": ends[0], "upper": ends[1]}
    values |= {"rank_x": ends[2], "rank_y": ends[3]}
    return xarray.Dataset(
        {name: (("x", "y"), value) for name, value in values.items()},
        coords={"x": list(a), "y": list(a if b is None else b)},
        attrs={
            "measure": PROCRUSTES_SIMILARITY.name,
            "tolerance": tolerance,
            "plan": "leading factors, the rest bounded",
        },
    )


def _tails(roots: Tensor) -> Tensor:
    """Norm of the directions from each rank on; one entry more than directions."""
    squares = torch.cat([roots.square(), roots.new_zeros(1)])
    return squares.flip(0).cumsum(0).flip(0).sqrt()


def _rank(tail: Tensor, level: float) -> int:
    """The fewest directions that leave a tail of at most ``level``."""
    return max(int((tail > level).sum()), 1)
