"""Half of a centred Gram matrix as one row of numbers, straight from the features.

K = XXᵀ is symmetric, so half of it holds everything, and with the diagonal divided by √2 (or left
out, debiased) two rows have the inner product ½⟨K, L⟩_F, whatever order their entries stand in. The
order is that of tiles: each holds the triangle of 1,024 probes (in bands, `_triangle`), by a
symmetric rank-k product (numpy calls BLAS syrk for XXᵀ, half the flops), then their rectangle with
all later probes, multiplied into its place.

Wide float32 layers are multiplied as they are and centred after: with r the sums of the rows of XXᵀ
and T their total, K_ij = (XXᵀ)_ij − r_i/n − r_j/n + T/n². That spares every pass over X but the
product's own, and costs digits as T/n, the offset's energy, grows against the whole, Σ‖x_i‖². While
it holds no more than four fifths, the loss is within a factor of five of one rounding; beyond, and
where squares could leave float32, X is centred first. What rounding adds to r adds a_i + a_j to K,
which no score sees (`hsic`).

A tile's bits depend on X alone, so neither on threads nor on what else is compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from torch import Tensor

from stratigraph.similarity.centring import ORDINARY, Centred, centre, centre_single
from stratigraph.similarity.gram import places_of
from stratigraph.similarity.hsic import DEGENERATE, is_degenerate, u_shift
from stratigraph.similarity.threads import Each

__all__ = ["LAYOUT", "Packed", "pack_layer", "packed_length", "tiled_places"]

LAYOUT = 2  # of a packed row, which comparisons keep on disk: raise it with what decides the order
TILE = 1024  # probes
ROWS = 128  # of a triangle, that stay in the cache while they are centred and moved in one band
PART = 1 << 14  # numbers of a row whose float64 copy stays in the cache
UNITS = 4096  # that one product sums over, where there is a single tile to share out
SINGLE = 1 << 12  # entries from which a float32 layer is multiplied in float32,
PROBES = 32  # of as many probes: errors of fewer entries do not average out
OFFSET = 0.8  # of the energy: with a larger share of it in the mean, features are centred first
FAINT = 0.3  # of the trace, by n: a kernel fainter than FAINT/n would have scores off by 3e-7


@dataclass(frozen=True)
class Packed:
    """What is known of a packed row, whose features were scaled by 2^−exponent.

    Attributes:
        reason: why it has no geometry; what follows is then 0.
        doubt: why it has few digits.
        exponent: see above.
        own: HSIC with itself, twice the row's squared length.
        inner: ‖K‖².
        trace: tr K.

    """

    reason: str | None = None
    doubt: str | None = None
    exponent: int = 0
    own: float = 0.0
    inner: float = 0.0
    trace: float = 0.0


@dataclass(frozen=True)
class _Tile:
    """Some probes, and where their triangle and their rectangle stand in a packed row."""

    start: int
    stop: int
    triangle: slice
    rectangle: slice


def packed_length(n: int, diagonal: bool = True) -> int:
    """Numbers of a packed row of n probes."""
    return n * (n + 1) // 2 if diagonal else n * (n - 1) // 2


def tiled_places(n: int, diagonal: bool = True) -> np.ndarray:
    """Where entry (i, j) stands in a packed row, (n, n); −1 for a diagonal that is left out."""
    flat = np.empty(packed_length(n, diagonal), np.int64)
    for tile in _tiles(n, diagonal):
        size = tile.stop - tile.start
        rows, columns = np.divmod(_triangle(size, diagonal), size)
        flat[tile.triangle] = (tile.start + rows) * n + tile.start + columns
        across = np.arange(tile.start, tile.stop)[:, None] * n + np.arange(tile.stop, n)
        flat[tile.rectangle] = across.ravel()
    return places_of(flat, n)


def pack_layer(
    x: Any, row: np.ndarray, debiased: bool, each: Each = map, name: str = "x"
) -> Packed:
    """Write the packed half of a layer's centred (or U-centred) Gram matrix, at any scale.

    Args:
        x: features (n, p), numpy's; or torch's, and then products are made on its device.
        row: where it goes, `packed_length` numbers of float32 or float64.
        debiased: U-centred, and without the diagonal.
        each: maps over the tiles (`threads`).
        name: of the layer, for errors.

    Raises:
        InputError: an entry is NaN or infinite.

    """
    if x.dtype.itemsize == 4 and math.prod(x.shape) > SINGLE and len(x) >= PROBES:
        found = _pack(x, None, row, debiased, each)
        found = found or _pack(x, centre_single(x, name), row, debiased, each)
        if found:
            return found
    return _pack(x, centre(x, name), row, debiased, each) or Packed(DEGENERATE)


@np.errstate(over="ignore", invalid="ignore")
def _pack(
    x: Any, centred: Centred | None, row: np.ndarray, debiased: bool, each: Each
) -> Packed | None:
    """The row, of X as it is (centred after) or of X_c; None where that is short of digits."""
    n, p = x.shape
    if centred is not None and centred.reason:
        return Packed(centred.reason)
    features = x if centred is None else centred.matrix
    cut = _tiles(n, not debiased)
    squares = list(_products(features, row, cut, each))
    d = np.concatenate([square.diagonal() for square in squares]).astype(np.float64)
    shift = np.zeros(n)
    if centred is None:
        energy, r = float(d.sum()), _row_sums(squares, row, cut, each) / n
        mean = float(r.mean())
        # Also False for NaN and infinity: the careful ways name them.
        if not (ORDINARY[0] < energy / (n * p) < ORDINARY[1] and mean * n < OFFSET * energy):
            return None
        d = d - 2 * r + mean
        shift = r - mean / 2
    if debiased:
        shift = shift + u_shift(d)
    list(each(partial(_place, features, row, shift, not debiased), cut, squares))
    own, trace = 2 * _squared(row), float(d.sum())
    if features.dtype.itemsize == 4 and not own > (FAINT / n * trace) ** 2:
        return None
    inner = own
    if debiased:  # what debiasing took away
        inner += n / (n - 2) * float(d @ d) - trace**2 / ((n - 1) * (n - 2))
    if is_degenerate(own, inner, trace, x.dtype):
        return Packed(DEGENERATE)
    doubt, exponent = (centred.doubt, centred.exponent) if centred else (None, 0)
    return Packed(None, doubt, exponent, own, inner, trace)


def _products(x: Any, row: np.ndarray, cut: tuple[_Tile, ...], each: Each) -> Iterator[np.ndarray]:
    """Tile by tile, its probes' products with themselves (b, b); with later ones as `_multiply`."""
    if len(cut) > 1:
        yield from each(partial(_multiply, x, row), cut)
        return
    first, *more = each(_product, [x[:, i : i + UNITS] for i in range(0, x.shape[1], UNITS)])
    for part in more:
        first += part
    yield first


@np.errstate(over="ignore", invalid="ignore")
def _multiply(x: Any, row: np.ndarray, tile: _Tile) -> np.ndarray:
    """Products with later probes go in their place; where that would round them, `_place` does."""
    own, later = x[tile.start : tile.stop], x[tile.stop :]
    if row.dtype == x.dtype:
        np.matmul(own, later.T, out=_rectangle(row, tile, len(x)))
    elif row.dtype.itemsize == x.dtype.itemsize:  # torch's
        _rectangle(row, tile, len(x))[:] = _product(own, later)
    return _product(own)


@np.errstate(over="ignore", invalid="ignore")
def _product(x: Any, y: Any = None) -> np.ndarray:
    """XXᵀ or XYᵀ, made where X is."""
    found = x @ (x if y is None else y).T
    return found.cpu().numpy() if isinstance(found, Tensor) else np.asarray(found)


def _row_sums(
    squares: list[np.ndarray], row: np.ndarray, cut: tuple[_Tile, ...], each: Each
) -> np.ndarray:
    """Sums of the rows of XXᵀ, (n,), from its tiles."""
    n = cut[-1].stop
    sums = np.zeros(n)
    for tile, (own, later) in zip(
        cut, each(partial(_tile_sums, row, n), cut, squares), strict=True
    ):
        sums[tile.start : tile.stop] += own
        sums[tile.stop :] += later
    return sums


@np.errstate(over="ignore", invalid="ignore")
def _tile_sums(
    row: np.ndarray, n: int, tile: _Tile, square: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    across, ones = _rectangle(row, tile, n), np.ones(n, row.dtype)
    return square.sum(0) + across @ ones[tile.stop :], ones[tile.start : tile.stop] @ across


def _place(
    x: Any,
    row: np.ndarray,
    shift: np.ndarray,
    diagonal: bool,
    tile: _Tile,
    square: np.ndarray,
) -> None:
    """A tile's entries less shift_i + shift_j in their place, its diagonal divided by √2."""
    size, flat, triangle = len(square), square.reshape(-1), row[tile.triangle]
    own = shift[tile.start : tile.stop].astype(square.dtype)
    if diagonal:  # entry (i, i) is to be (K_ii − 2 shift_i)/√2
        square[np.diag_indices(size)] *= 0.5**0.5
        square[np.diag_indices(size)] += (2 - 2**0.5) * own
    places = _triangle(size, diagonal)
    for start in range(0, size, ROWS):
        stop = min(start + ROWS, size)
        part = square[start:stop, :stop]
        part -= own[:stop]
        part -= own[start:stop, None]
        first, last = packed_length(start, diagonal), packed_length(stop, diagonal)
        middle = first + (stop - start) * start  # before it copied columns, then a triangle
        triangle[first:middle].reshape(stop - start, start)[:] = part[:, :start]
        triangle[middle:last] = flat.take(places[middle:last])
    across = _rectangle(row, tile, len(shift))
    # Not yet rounded to the row's dtype: of a faint kernel little is left but the difference.
    entries = (
        across if row.dtype == square.dtype else _product(x[tile.start : tile.stop], x[tile.stop :])
    )
    entries -= shift[tile.stop :].astype(square.dtype)
    entries -= own[:, None]
    if entries is not across:
        across[:] = entries


def _rectangle(row: np.ndarray, tile: _Tile, n: int) -> np.ndarray:
    """Where a tile's products with later probes stand, (b, n − stop)."""
    return row[tile.rectangle].reshape(tile.stop - tile.start, n - tile.stop)


def _squared(row: np.ndarray) -> float:
    """The squared length, in float64, a part in the cache at a time."""
    parts = (row[i : i + PART].astype(np.float64) for i in range(0, len(row), PART))
    return math.fsum(float(part @ part) for part in parts)


@lru_cache(maxsize=64)
def _tiles(n: int, diagonal: bool) -> tuple[_Tile, ...]:
    """The tiles of n probes, in order."""
    found, at = [], 0
    for start in range(0, n, TILE):
        stop = min(start + TILE, n)
        middle = at + packed_length(stop - start, diagonal)
        end = middle + (stop - start) * (n - stop)
        found.append(_Tile(start, stop, slice(at, middle), slice(middle, end)))
        at = end
    return tuple(found)


@lru_cache(maxsize=8)
def _triangle(size: int, diagonal: bool) -> np.ndarray:
    """Flat places of the lower triangle of a square, in the order in which `_place` writes it.

    Of each band of `ROWS` rows the columns before its first row, which are copied whole; then the
    triangle on its diagonal.
    """
    square = np.arange(size * size).reshape(size, size)
    found: list[np.ndarray] = []
    for start in range(0, size, ROWS):
        part = square[start : start + ROWS]
        own = np.tril_indices(len(part), 0 if diagonal else -1)
        found += [part[:, :start].ravel(), part[:, start:][own]]
    return np.concatenate(found)
