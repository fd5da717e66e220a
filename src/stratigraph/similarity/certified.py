"""Scores at a fraction of the cost, with an interval that holds the exact value for certain.

Principal coordinates F, leading first, of unit Frobenius norm; P and Q project onto the r and s
leading sample directions of X and Y.

Procrustes:

    lower  ‖(PX)ᵀ(QY)‖_*                    a submatrix of XᵀY in principal coordinates
    upper  lower + ‖(I−P)X‖_F ‖(I−P)Y‖_F + ‖(I−Q)Y‖_F ‖(I−Q)PX‖_F,
           where ‖(I−P)Y‖²_F ≤ ‖(I−P)QY‖²_F + ‖(I−Q)Y‖²_F

since XᵀY − (PX)ᵀ(QY) = ((I−P)X)ᵀ((I−P)Y) + (PX)ᵀ((I−Q)Y), and ‖AᵀB‖_* ≤ ‖A‖_F ‖B‖_F. Both terms are
products of two tails, so the gap is quadratically small where spectra decay. Ranks are raised until
the gap is within the tolerance: half of it is the largest error of the midpoint.

CKA: with K = K_r + K_t (t the tail; both positive semi-definite), and so for L,

    0 ≤ ⟨K, L⟩ − ⟨K_r, L_s⟩ = ⟨K_t, L_s⟩ + ⟨K_r, L_t⟩ + ⟨K_t, L_t⟩
      ≤ ‖K_t‖_F ‖L_s‖_F + ‖K_r‖_F ‖L_t‖_F + ‖K_t‖_F ‖L_t‖_F,

every norm a sum over eigenvalues. ‖K_t‖_F weighs directions by their squares, so few are kept: a
pair costs n·r·s in place of n², and a representation n·r numbers in place of n²/2. What debiasing
adds, the diagonals of K and L, is exact.

Cost: preparing np·min(n, p) and the eigenvectors of the smaller Gram matrix. A pair, for
Procrustes, n·r·s and r³ for the nuclear norm; for CKA n·r·s, and a block of pairs is one product.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.similarity.catalog import find_measure
from stratigraph.similarity.centring import centre
from stratigraph.similarity.cka import EQUIDISTANT
from stratigraph.similarity.inputs import as_matrix, check_finite, check_probes
from stratigraph.similarity.measure import Measure, Prepared, tell
from stratigraph.similarity.spectral import factor, nuclear_norm

if TYPE_CHECKING:
    import xarray

__all__ = ["Bracket", "certified_matrix", "certified_procrustes", "certify"]

CERTIFIED = ("procrustes_similarity", "linear_cka", "debiased_cka")
MOST = 0.7  # of the directions: beyond it, take them all
ROUNDING = 1e-9  # what float64 may add to either end
STACK = 64  # representations a side of one product


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
        # Pythagoras: what is outside a projector is the whole less what is inside. Of Y, the tail
        # counts as outside P altogether, so that only the leading coordinates are multiplied.
        y_in_p, x_in_q = (inner / sx[:r, None]).square().sum(), (inner / sy[:s]).square().sum()
        y_left = float(sy[:s].square().sum() - y_in_p) + float(tail_y[s]) ** 2
        x_left = float(sx[:r].square().sum() - x_in_q)
        y_out, x_out = (math.sqrt(max(left, 0.0) + 1e-15) for left in (y_left, x_left))
        gap = float(tail_x[r]) * y_out + float(tail_y[s]) * x_out
        if gap <= tolerance:
            value = nuclear_norm(inner)
            return Bracket(max(value - ROUNDING, 0.0), min(value + gap + ROUNDING, 1.0), r, s)
        level /= 2 if level > 1e-6 else math.inf


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
    a: Mapping[str, Any],
    b: Mapping[str, Any] | None = None,
    *,
    measure: str | Measure = "procrustes_similarity",
    tolerance: float = 1e-3,
) -> xarray.Dataset:
    """All pairs within a tolerance: ``value`` (the midpoint), ``lower``, ``upper``.

    Args:
        a: name → activations ``(n, p…)`` of the same probes.
        b: the same for the other axis; None is ``a``.
        measure: procrustes_similarity, linear_cka or debiased_cka.
        tolerance: the widest that an interval may be.

    Returns:
        dims ``("x", "y")``; beside the three, ``rank_x`` and ``rank_y``, the directions kept; the
        attributes ``measure``, ``tolerance``, ``plan`` and ``reasons`` (JSON: name → why).

    Raises:
        InputError: the tolerance is not positive, the measure has no certified form, or an entry
            cannot be compared.

    """
    import xarray

    if isinstance(tolerance, bool) or not 0 < tolerance < math.inf:
        raise InputError(f"tolerance: expected a positive number, got {tolerance!r}.")
    chosen = find_measure(measure)
    if chosen.name not in CERTIFIED:
        raise InputError(
            f"tolerance: {chosen.name} has no certified form; "
            f"{', '.join(CERTIFIED)} have. Leave the tolerance out for the exact score."
        )
    sides, reasons = _prepared({"a": a} if b is None else {"a": a, "b": b}, chosen)
    if chosen.name == "procrustes_similarity":
        ends, plan = _procrustes(sides, tolerance), "leading factors, the rest bounded"
    else:
        ends, plan = _cka(sides, chosen, tolerance)
    values = {"value": ends[:2].mean(0), "lower": ends[0], "upper": ends[1]}
    values |= {"rank_x": ends[2], "rank_y": ends[3]}
    return xarray.Dataset(
        {name: (("x", "y"), value) for name, value in values.items()},
        coords={"x": list(a), "y": list(a if b is None else b)},
        attrs={
            "measure": chosen.name,
            "tolerance": tolerance,
            "plan": f"certified: {plan}",
            "reasons": json.dumps(reasons),
        },
    )


def _prepared(
    given: Mapping[str, Mapping[str, Any]], measure: Measure
) -> tuple[list[list[Prepared]], dict[str, str]]:
    sides, reasons, told = [], {}, set()
    first, n = "", 0
    prepare: Callable[[Tensor], Prepared] = (
        _principal if measure.name == "procrustes_similarity" else _kernel(measure)
    )
    for argument, entries in given.items():
        side = []
        for name, value in entries.items():
            label = f"{argument}[{name!r}]"
            matrix = as_matrix(value, label)
            check_finite(matrix, label)
            if not first:
                first, n = label, len(matrix)
                check_probes(n, measure.least, measure.name, label)
            elif len(matrix) != n:
                raise InputError(
                    f"{label}: expected the same probes as {first}, {n}, got {len(matrix)} rows."
                )
            side.append(prepare(matrix))
            if name not in told:
                told.add(name)
                tell(measure.name, repr(name), side[-1].reason, side[-1].doubt, level=4)
            if side[-1].reason is not None:
                reasons[name] = side[-1].reason
        sides.append(side)
    return sides, reasons


def _principal(x: Tensor) -> Prepared:
    """Form ``factor``: F (n, r), FFᵀ = X_c X_cᵀ / ‖X_c‖²_F, leading directions first."""
    found = centre(x)
    if found.reason:
        return Prepared(len(x), "none", reason=found.reason)
    matrix = found.matrix.div_(found.squares.sum().sqrt())
    return Prepared(len(x), "factor", (factor(matrix),), doubt=found.doubt)


def _kernel(measure: Measure) -> Callable[[Tensor], Prepared]:
    """Form ``kernel``: F, the eigenvalues of K, and its diagonal, K̃ (or K) of norm 1."""
    debiased = measure.name == "debiased_cka"

    def prepare(x: Tensor) -> Prepared:
        found = _principal(x)
        if found.reason:
            return found
        n, f = found.n, found.parts[0]
        energies, d = f.square().sum(0), f.square().sum(1)
        own = whole = float(energies.square().sum())
        if debiased:
            own += _diagonals(d[None], d[None])[0, 0].item()
        if own <= 1e-13 * whole:
            return Prepared(n, "none", reason=EQUIDISTANT)
        return Prepared(
            n, "kernel", (f / own**0.25, energies / own**0.5, d / own**0.5), doubt=found.doubt
        )

    return prepare


def _diagonals(d: Tensor, e: Tensor) -> Tensor:
    """⟨K̃, L̃⟩ − ⟨K, L⟩ of all pairs, from diagonals ``(k, n)`` and ``(k′, n)``."""
    n = d.shape[1]
    sums = torch.outer(d.sum(1), e.sum(1)) / ((n - 1) * (n - 2))
    return sums - n / (n - 2) * (d @ e.T)


def _procrustes(sides: Sequence[Sequence[Prepared]], tolerance: float) -> np.ndarray:
    left, right = sides[0], sides[-1]
    ends = np.full((4, len(left), len(right)), math.nan)
    for i, x in enumerate(left):
        for j, y in enumerate(right):
            if x.reason or y.reason:
                continue
            if len(sides) == 1 and j < i:
                ends[:, i, j] = ends[[0, 1, 3, 2], j, i]
            else:
                ends[:, i, j] = certify(x.parts[0], y.parts[0], tolerance)
    return ends


def _cka(
    sides: Sequence[Sequence[Prepared]], measure: Measure, tolerance: float
) -> tuple[np.ndarray, str]:
    norms = [float(torch.linalg.vector_norm(p.parts[1])) for side in sides for p in side if p.parts]
    # ‖K_t‖‖L‖ + ‖K‖‖L_t‖ + ‖K_t‖‖L_t‖ is then within the tolerance for every pair.
    level = tolerance / (2 * max(norms, default=1.0) + 0.5 * tolerance + 1e-12)
    kept = [[_truncated(p, level) if p.parts else None for p in side] for side in sides]
    left, right = kept[0], kept[-1]
    ends = np.full((4, len(left), len(right)), math.nan)
    for rows in _stacks(len(left)):
        for columns in _stacks(len(right)):
            # An interval of one set is symmetric; products are cheap beside keeping track.
            xs = [(i, x) for i, x in enumerate(left[rows], rows.start) if x is not None]
            ys = [(j, y) for j, y in enumerate(right[columns], columns.start) if y is not None]
            if xs and ys:
                where = np.ix_(range(4), [i for i, _ in xs], [j for j, _ in ys])
                ends[where] = _brackets([x for _, x in xs], [y for _, y in ys], measure)
    if len(sides) == 1:
        upper = np.triu(np.ones(ends.shape[1:], bool))
        ends = np.where(upper, ends, ends[[0, 1, 3, 2]].transpose(0, 2, 1))
    ranks = [len(k.rows) for side in kept for k in side if k is not None]
    plan = f"{np.median(ranks):.0f} leading directions in the median" if ranks else "nothing to do"
    return ends, plan + ", the rest bounded"


class _Kept(NamedTuple):
    rows: Tensor  # (r, n): leading coordinates
    head: float  # ‖K_r‖_F
    tail: float  # ‖K_t‖_F
    diagonal: Tensor


def _truncated(p: Prepared, level: float) -> _Kept:
    f, energies, diagonal = p.parts
    tail = _tails(energies)
    r = _rank(tail, level)
    head = float(torch.linalg.vector_norm(energies[:r]))
    return _Kept(f[:, :r].T.contiguous(), head, float(tail[r]), diagonal)


def _brackets(xs: Sequence[_Kept], ys: Sequence[_Kept], measure: Measure) -> np.ndarray:
    inner = (torch.cat([x.rows for x in xs]) @ torch.cat([y.rows for y in ys]).T).square_().numpy()
    counts = [np.array([len(k.rows) for k in side]) for side in (xs, ys)]
    starts = [np.concatenate([[0], c.cumsum()[:-1]]) for c in counts]
    low = np.add.reduceat(np.add.reduceat(inner, starts[0], axis=0), starts[1], axis=1)
    head = [np.array([k.head for k in side]) for side in (xs, ys)]
    tail = [np.array([k.tail for k in side]) for side in (xs, ys)]
    gap = np.outer(tail[0], head[1]) + np.outer(head[0], tail[1]) + np.outer(*tail)
    if measure.name == "debiased_cka":
        low += _diagonals(*(torch.stack([k.diagonal for k in side]) for side in (xs, ys))).numpy()
    least, most = measure.bounds
    ends = np.clip([low - ROUNDING, low + gap + ROUNDING], least, most)
    ranks = np.broadcast_arrays(counts[0][:, None], counts[1][None, :])
    return np.concatenate([ends, np.stack(ranks)])


def _stacks(count: int) -> list[slice]:
    return [slice(start, min(start + STACK, count)) for start in range(0, count, STACK)]


def _tails(roots: Tensor) -> Tensor:
    """Norm of the directions from each rank on; one entry more than directions."""
    squares = torch.cat([roots.square(), roots.new_zeros(1)])
    return squares.flip(0).cumsum(0).flip(0).sqrt()


def _rank(tail: Tensor, level: float) -> int:
    """The fewest directions that leave a tail of at most ``level``."""
    return max(int((tail > level).sum()), 1)
