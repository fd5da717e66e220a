"""Procrustes similarity between two bounds, from the leading columns of each factor.

F_x, F_y are any matrices of unit Frobenius norm with FFᵀ = X_cX_cᵀ / ‖X_c‖²_F, cut after r and s
columns into heads and tails, F = [H T]. P and Q project onto the spans of H_x and H_y.

    lower   ‖H_xᵀH_y‖_*                                  a submatrix of F_xᵀF_y
    upper   lower + ‖T_xᵀF_y‖_* + ‖H_xᵀT_y‖_*            the rest of it, by the triangle inequality
    where   ‖T_xᵀF_y‖_* ≤ ‖T_x‖_F ‖(I − P)F_y‖_F + ‖PT_x‖_F,
            ‖H_xᵀT_y‖_* ≤ ‖T_y‖_F ‖(I − Q)H_x‖_F + ‖QT_y‖_F,

since ‖AᵀB‖_* ≤ ‖A‖_F ‖B‖_F. With principal columns the tails are small and PT = QT = 0, and each
bound is a product of two tails: quadratically small where spectra decay. Ranks are raised until
the gap is within the tolerance; half of it is the largest error of the midpoint.

Columns need not be orthogonal for this to hold. Stored coordinates of wide layers are principal
but for float32's rounding, and are taken as they are; how far they are from orthogonal is measured.
With U the columns of unit length and e = ‖UᵀU − I‖_F over a head,

    ‖PB‖²_F ≥ ‖UᵀB‖²_F / (1 + e),     ‖PT‖_F ≤ ‖UᵀT‖_F / √(1 − e).

Cost: preparing n·p·min(n, p), and eigenvectors of the smaller Gram matrix where columns are not
principal yet; a pair n·r·s + r³.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stratigraph.similarity.centring import centre
from stratigraph.similarity.gram import gram
from stratigraph.similarity.measure import Prepared
from stratigraph.similarity.spectral import ENOUGH, factor, nuclear_norm

__all__ = ["ITSELF", "LAYERS", "bracket", "columns", "leading", "principal", "rank", "tails"]

LAYERS = 4  # lower end, upper end, rank kept of x, rank kept of y
ITSELF = 1 - 1e-12  # a representation with itself, of which nothing needs to be computed
MOST = 0.7  # of the columns: beyond it, take them all
ALMOST = 1e-6  # ‖UᵀT‖_F, over all cuts: columns as near to orthogonal as this stay as they are
ROUNDING = ENOUGH + 1e-9  # what a nuclear norm may be off by, at either end


def columns(x: Tensor) -> Prepared:
    """Form ``columns``: F (n, r), FFᵀ = X_cX_cᵀ / ‖X_c‖²_F, leading first, and FᵀF."""
    found = centre(x)
    if found.reason:
        return Prepared(len(x), "none", reason=found.reason)
    f = found.matrix.div_(found.squares.sum().sqrt())
    n, p = f.shape
    if p <= n:
        inner = gram(f.T)
        live = inner.diagonal() > 0
        f, inner = f[:, live], inner[live][:, live]
        sizes = inner.diagonal()
        falling = bool((sizes[1:] <= sizes[:-1] * 1.001).all())
        if not falling or float(_leak(inner)) > ALMOST:
            f = factor(f, inner if f.shape[1] < n else None)
            inner = gram(f.T)
    else:
        f = factor(f)
        inner = gram(f.T)
    return Prepared(n, "columns", (f.contiguous(), inner), doubt=found.doubt)


def principal(x: Tensor) -> Prepared:
    """Form ``leading``: F, the norms of its columns, e of each head, ‖UᵀT‖_F of any cut."""
    found = columns(x)
    return found if found.reason else leading(found.n, found.parts[0], found.parts[1], found.doubt)


def leading(n: int, f: Tensor, inner: Tensor, doubt: str | None = None) -> Prepared:
    """The same of any F of unit norm, and FᵀF; the less principal, the wider its bounds."""
    sizes = inner.diagonal().sqrt()
    skew = (inner / sizes).div_(sizes[:, None]).tril_(-1).square_().sum(1).mul_(2)
    heads = torch.cat([skew.new_zeros(1), skew.cumsum(0)]).sqrt_()
    return Prepared(n, "leading", (f, sizes, heads, _leak(inner)), doubt=doubt)


def _leak(inner: Tensor) -> Tensor:
    """√Σ_{i<j} (u_i·f_j)²: no less than ‖UᵀT‖_F, wherever F is cut."""
    return torch.linalg.vector_norm((inner / inner.diagonal().sqrt()[:, None]).triu_(1))


def tails(squares: Tensor) -> Tensor:
    """The root of what is left from each place on; one entry more than there are places."""
    padded = torch.cat([squares, squares.new_zeros(1)])
    return padded.flip(0).cumsum(0).flip(0).sqrt()


def rank(tail: Tensor, level: float) -> int:
    """The fewest columns that leave a tail of at most ``level``."""
    return max(int((tail > level).sum()), 1)


def bracket(x: Prepared, y: Prepared, tolerance: float) -> tuple[float, float, int, int]:
    """An interval that holds the Procrustes similarity for certain, and the ranks that gave it.

    Args:
        x: from `principal`, and
        y: likewise; NaN where either has no geometry.
        tolerance: the widest that the interval may be; at least 1e-6.

    """
    if x.reason or y.reason:
        return math.nan, math.nan, 0, 0
    (fx, sx, skew_x, leak_x), (fy, sy, skew_y, leak_y) = x.parts, y.parts
    if x is y:
        return ITSELF, 1.0, len(sx), len(sy)
    tail_x, tail_y = tails(sx.square()), tails(sy.square())
    allowed = tolerance - 2 * ROUNDING
    level = math.sqrt(allowed / 2)
    while True:
        r, s = rank(tail_x, level), rank(tail_y, level)
        if r > MOST * len(sx) and s > MOST * len(sy):
            r, s = len(sx), len(sy)  # the little that could be left out would not pay for its bound
        inner = fx[:, :r].T @ fy[:, :s]
        if r == len(sx) and s == len(sy):
            gap = 0.0
        else:
            gap = _gap(
                inner,
                (sx[:r], tail_x[r], skew_x[r], leak_x),
                (sy[:s], tail_y[s], skew_y[s], leak_y),
            )
        if gap <= allowed:
            value = nuclear_norm(inner)
            return max(value - ROUNDING, 0.0), min(value + gap + ROUNDING, 1.0), r, s
        level /= 2 if level > 1e-6 else math.inf


def _gap(inner: Tensor, x: tuple[Tensor, ...], y: tuple[Tensor, ...]) -> float:
    """What F_xᵀF_y can hold beside H_xᵀH_y; of each side: head norms, ‖T‖_F, e, ‖UᵀT‖_F."""
    (sx, tail_x, skew_x, leak_x), (sy, tail_y, skew_y, leak_y) = x, y
    if max(float(skew_x), float(skew_y)) > 0.5:
        return math.inf
    # Pythagoras: what is outside a projector is the whole less what is inside. Of Y, the tail
    # counts as outside P altogether, so that only the heads are multiplied.
    y_in_p = (inner / sx[:, None]).square().sum() / (1 + skew_x)
    x_in_q = (inner / sy).square().sum() / (1 + skew_y)
    y_left = float(sy.square().sum() - y_in_p + tail_y.square())
    x_left = float(sx.square().sum() - x_in_q)
    y_out, x_out = (math.sqrt(max(left, 0.0) + 1e-15) for left in (y_left, x_left))
    leaks = leak_x / (1 - skew_x).sqrt() + leak_y / (1 - skew_y).sqrt()
    return float(tail_x) * y_out + float(tail_y) * x_out + float(leaks)
