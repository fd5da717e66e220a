"""Factors F of centred representations, FFᵀ = XXᵀ with ‖X‖_F = 1: what Procrustes is made from.

Centred probes span n − 1 dimensions: a reflection that takes (1, …, 1)/√n to an axis leaves row
i ≥ 1 as x_i − x_0/(√n + 1), and row 0 empty. Of those n − 1 rows any F will do, so each layer gets
the cheapest. With S the smaller of K = XXᵀ and XᵀX,

``triangle``  units outnumber probes: F the Cholesky factor of K, a twentieth of the eigenvectors'
              cost, kept below K's upper half in one matrix
``rows``      narrow layers of full rank: F = X; and of K's pivoted factor where its rank is short
``columns``   principal columns, largest first, which can be cut. They cost the eigenvectors of S,
              so they are made only where few suffice; columns that are principal already, as stored
              coordinates are but for float32's rounding, stay as they are

Directions that rounding could have made are dropped, 1e-15 of the energy at most: no nuclear norm
changes by more than the root of that.

K of wide float32 layers is made in float32 and centred after, where that is safe. Rounding adds
errors of standard deviation η ≈ ερ/4n (measured) to its entries, ρ the energy before centring over
that after. The norm moves by ½⟨W, δK⟩, where WKW = L = YYᵀ and so ‖W‖_F ≤ λ_min(K)^−½: by
½ η λ_min^−½ in standard deviations. The least pivot stands for λ_min, which it exceeds by a small
factor.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.linalg import lapack
from torch import Tensor

from stratigraph.similarity.centring import ORDINARY, centre
from stratigraph.similarity.inputs import as_array
from stratigraph.similarity.measure import Prepared

__all__ = ["DROPPED", "EXACT", "as_columns", "factorise", "log_norm", "permute_factor"]

EXACT = 1e-6  # the gap that an exact score may leave open; its middle is off by half of it
DROPPED = 1e-15  # of the energy
FEW = 0.5  # of the smaller side: eigenvectors pay where fewer columns than this suffice
ALMOST = 1e-6  # ‖UᵀT‖_F of any cut: columns as near to orthogonal as this are taken as they are
LARGE = 1 << 18  # entries from which a wide layer is not copied as a whole
CHUNK = 1024  # units at a time
NOISE = 1e-8  # standard deviation of the error that float32 may add
PIVOT = 1e-14  # of the largest: a smaller pivot of K says that its rank is not full


def factorise(x: Tensor, tolerance: float = 0.0, *, single: bool = False) -> Prepared:
    """A representation ``(n, p)`` ready for `procrustes.bracket`, on the CPU in float64.

    The Gram matrix is made where ``x`` is. The last of the parts is log‖X_c‖_F.

    Args:
        x: finite activations.
        tolerance: how wide the intervals may be that `bracket` will be asked for.
        single: float32 may be used where it is safe, at an error of some 1e-8.

    """
    n, p = x.shape
    wide = p > n
    if wide and x.device.type == "cpu" and x.numel() > LARGE:
        found = _factor_large(x.numpy(), tolerance, single and x.dtype == torch.float32)
        if found is not None:
            return found
    whole = centre(as_array(x))
    if whole.reason:
        return Prepared(n, "none", reason=whole.reason)
    norm = math.sqrt(float(whole.squares.sum()))
    matrix = whole.matrix
    matrix /= norm
    size = math.log(norm) + whole.exponent * math.log(2)
    # Wide layers keep their n rows: the product is what has to lose one.
    rows = matrix @ matrix.T if wide else matrix
    rows = _without_mean(rows.cpu().numpy() if isinstance(rows, Tensor) else rows)
    if wide:
        form, parts = _factor_kernel(_without_mean(rows.T), tolerance)
    else:
        form, parts = _factor_rows(rows, tolerance)
    return _pack(n, form, parts, size, whole.doubt)


def log_norm(x: Prepared) -> float:
    """log‖X_c‖_F of a representation from `factorise`."""
    return float(x.parts[-1])


def permute_factor(x: Prepared, order: np.ndarray) -> Prepared:
    """A factored representation with its probes in another order: another factor of PKPᵀ.

    Of ``rows`` and ``columns`` the rows are permuted; a ``triangle`` would be none any more, so it
    is the Cholesky factor of the permuted kernel.
    """
    first, *rest = (part.numpy() for part in x.parts[:-1])
    if x.form != "triangle":
        moved = _without_mean(_with_mean(first)[order])
        return _pack(x.n, x.form, (moved, *rest), log_norm(x), x.doubt)
    kernel = np.triu(first, 1)
    kernel += kernel.T
    np.fill_diagonal(kernel, rest[0])
    whole = _with_mean(_with_mean(kernel).T)[order][:, order]
    found = _factor_kernel(_without_mean(_without_mean(whole).T), 0.0)
    return _pack(x.n, *found, log_norm(x), x.doubt)


def _pack(
    n: int, form: str, parts: tuple[np.ndarray, ...], size: float, doubt: str | None = None
) -> Prepared:
    every = (*map(torch.from_numpy, parts), torch.tensor(size, dtype=torch.float64))
    return Prepared(n, form, every, doubt=doubt)


def _factor_large(x: np.ndarray, tolerance: float, single: bool) -> Prepared | None:
    """A wide layer from its Gram matrix, without a copy of it; None where that costs digits."""
    # A quarter of the probes, a sixteenth of the product, refuses most of what all would.
    if single and _triangle_single(x[::4]) is not None:
        found = _triangle_single(x)
        if found is not None:
            return _pack(len(x), "triangle", *found)
    n, p = x.shape
    kernel, offset = np.zeros((n, n)), 0.0
    room = np.empty(n * min(CHUNK, p))  # fresh memory for each chunk would cost more than its sums
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, p, CHUNK):
            units = x[:, start : start + CHUNK]
            part = room[: units.size].reshape(units.shape)
            np.copyto(part, units)
            mean = part.mean(0)
            part -= mean
            offset += n * float(mean @ mean)
            kernel += part @ part.T
        energy = float(kernel.trace())
    # Centred first, in float64, an offset costs nothing; of a huge one `centre` takes more care.
    if not _is_ordinary(energy + offset, n * p) or energy < 1e-6 * offset:
        return None
    kernel = _without_mean(_without_mean(kernel / energy).T)
    return _pack(n, *_factor_kernel(kernel, tolerance), 0.5 * math.log(energy))


def _is_ordinary(energy: float, count: int) -> bool:
    """Whether numbers of this energy can be squared; NaN cannot."""
    return ORDINARY[0] < energy / count < ORDINARY[1]


def _triangle_single(x: np.ndarray) -> tuple[tuple[np.ndarray, ...], float] | None:
    """Parts of form ``triangle`` by a product in float32, and log‖X_c‖; None where it is unsafe."""
    n, p = x.shape
    with np.errstate(over="ignore", invalid="ignore"):
        kernel = (x @ x.T).astype(np.float64)
        before = float(kernel.trace())
        means = kernel.mean(0)
        after = before - n * float(means.mean())
    if not _is_ordinary(before, n * p) or not after > 0.2 * before:
        return None
    kernel -= means
    kernel -= means[:, None]
    kernel += means.mean()
    parts = _triangle(_without_mean(_without_mean(kernel / after).T))
    noise = 0.25 * np.finfo(np.float32).eps * before / after / n
    if parts is None or 0.5 * noise > NOISE * float(parts[0].diagonal().min()):
        return None
    return parts, 0.5 * math.log(after)


def _without_mean(matrix: np.ndarray) -> np.ndarray:
    """Columns that sum to 0, in n − 1 coordinates of the same inner products."""
    return matrix[1:] - matrix[0] / (len(matrix) ** 0.5 + 1)


def _with_mean(rows: np.ndarray) -> np.ndarray:
    """The centred columns that `_without_mean` made so."""
    root = (len(rows) + 1) ** 0.5
    first = -rows.sum(0) / root
    return np.vstack([first, rows + first / (root + 1)])


def _triangle(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """F with K above its diagonal, and K's diagonal; None where the rank is not full."""
    both, failed = lapack.dpotrf(kernel.T, lower=1, clean=0)
    pivots = np.square(both.diagonal())
    if failed or not pivots.min() > PIVOT * pivots.max():
        return None
    return both, kernel.diagonal().copy()


def _factor_kernel(kernel: np.ndarray, tolerance: float) -> tuple[str, tuple[np.ndarray, ...]]:
    """The cheapest form of K = FFᵀ."""
    parts = _triangle(kernel)
    if parts is not None and tolerance <= EXACT:
        return "triangle", parts
    lower, order, needed = _pivoted(kernel, tolerance)
    if parts is not None and needed > FEW * len(kernel):
        return "triangle", parts
    rows = np.empty_like(lower)
    rows[order] = lower
    if needed > FEW * len(kernel):
        return "rows", (rows,)
    return "columns", _principal(rows, lower.T @ lower)


def _factor_rows(rows: np.ndarray, tolerance: float) -> tuple[str, tuple[np.ndarray, ...]]:
    """The cheapest form of narrow X, in n − 1 coordinates."""
    inner = rows.T @ rows
    live = inner.diagonal() > 0
    if not live.all():  # units that are constant, or the place of a mean in stored coordinates
        rows, inner = rows[:, live], inner[np.ix_(live, live)]
    side = len(inner)
    principal = _is_principal(inner)
    if principal:
        needed = _needed(inner.diagonal(), tolerance)
    if side >= len(rows) and not (principal and needed <= FEW * side):
        return _factor_kernel(rows @ rows.T, tolerance)
    if principal:
        return "columns", as_columns(rows, inner)
    lower, _, needed = _pivoted(inner, tolerance)
    if lower.shape[1] == side and needed > FEW * side:
        return "rows", (rows,)
    return "columns", _principal(rows, inner)


def _pivoted(symmetric: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray, int]:
    """L (side, rank), the order of S's rows, S[order][:, order] = LLᵀ, and how much of L counts.

    The last is the columns that leave a tail of at most ``tolerance``, as no fewer principal ones
    are likely to.
    """
    side = len(symmetric)
    lower, pivots, rank, _ = lapack.dpstrf(symmetric.T, lower=1, tol=DROPPED / side)
    lower = np.tril(lower[:, : max(int(rank), 1)])
    return lower, pivots.astype(np.intp) - 1, _needed(np.square(lower).sum(0), tolerance)


def _needed(energies: np.ndarray, tolerance: float) -> int:
    return int(np.count_nonzero(_tails(energies) > max(tolerance, EXACT)))


def _principal(rows: np.ndarray, inner: np.ndarray) -> tuple[np.ndarray, ...]:
    """Parts of form ``columns``, from any F and FᵀF."""
    found, turn = np.linalg.eigh(inner)
    rank = max(np.count_nonzero(found.cumsum() > DROPPED), 1)
    columns = rows @ turn[:, ::-1][:, :rank]
    return as_columns(columns, columns.T @ columns)


def _is_principal(inner: np.ndarray) -> bool:
    """Whether columns with these inner products are orthogonal but for rounding, largest first."""
    sizes = inner.diagonal()
    if not (sizes[1:] <= sizes[:-1] * 1.001).all() or not sizes[-1] > 0:
        return False
    return float(_leaks(inner, np.sqrt(sizes)).max()) <= ALMOST


def as_columns(f: np.ndarray, inner: np.ndarray) -> tuple[np.ndarray, ...]:
    """Parts of form ``columns``, of any F and FᵀF; the less principal, the wider its bounds.

    Returns:
        F (n, r); the norms of its columns (r,); and of every head of 0 … r columns, U the columns
        of unit length in it and T the others, ‖T‖_F, ‖UᵀU − I‖_F and ‖UᵀT‖_F.

    """
    sizes = np.sqrt(inner.diagonal())
    askew = np.square(np.tril(inner, -1) / sizes / sizes[:, None]).sum(1)
    skew = np.sqrt(np.append(0.0, 2 * askew.cumsum()))
    return f, sizes, _tails(np.square(sizes)), skew, _leaks(inner, sizes)


def _leaks(inner: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """‖UᵀT‖_F of every cut: a column that joins the head brings its products with the tail."""
    outside = np.square(np.triu(inner, 1) / sizes[:, None])
    squares = np.append(0.0, (outside.sum(1) - outside.sum(0)).cumsum())
    return np.sqrt(np.maximum(squares, 0.0))


def _tails(squares: np.ndarray) -> np.ndarray:
    """The root of what is left from each place on; one entry more than there are places."""
    return np.sqrt(np.append(squares[::-1].cumsum()[::-1], 0.0))
