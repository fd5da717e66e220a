"""Inner products of many vectors: blocks of them, over tiles of columns, summed in float64.

Vectors are of float32. Where all products together are few, a tile is multiplied in float64; else
in float32, whose rounding then adds at most some 2e-7 to a score.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

__all__ = ["COLUMNS", "PART", "as_cosines", "in_float64", "multiply"]

COLUMNS = 8192  # of a tile: 16 MB of float64 for 256 vectors
PART = 8 * COLUMNS  # columns whose products are summed up apart: what a thread takes at a time
FEW = 2**28  # multiply-adds of all pairs up to which they are made in float64: some 20 ms


def in_float64(pairs: int, length: int) -> bool:
    """Whether products of so many pairs of vectors are made in float64."""
    return pairs * length <= FEW


def multiply(
    left: np.ndarray, right: np.ndarray | None, double: bool, device: str = "cpu"
) -> np.ndarray:
    """All inner products of rows ``(r, m)`` with rows ``(c, m)``, or with themselves: float64.

    Args:
        left: rows of float32.
        right: the same for the other side; None is ``left``, at half the cost.
        double: multiply in float64.
        device: where; on a GPU a tile is what its memory holds.

    """
    total = np.zeros((len(left), len(left if right is None else right)))
    dtype = np.float64 if double else np.float32
    step = COLUMNS if device == "cpu" else _columns(sum(total.shape), device)
    for start in range(0, left.shape[1], step):
        tiles: list[Any] = [
            side[:, start : start + step].astype(dtype, copy=False)
            for side in (left, right)
            if side is not None
        ]
        if device == "cpu":
            total += tiles[0] @ tiles[-1].T
        else:
            there = [torch.from_numpy(np.ascontiguousarray(tile)).to(device) for tile in tiles]
            total += (there[0] @ there[-1].T).double().cpu().numpy()
    return total


def as_cosines(
    products: np.ndarray,
    norms: tuple[np.ndarray, np.ndarray],
    same: bool,
    wanted: np.ndarray,
    bounds: tuple[float | None, float | None],
) -> np.ndarray:
    """The scores of a block, (1, r, c): NaN where one is not wanted, or a norm is NaN.

    Args:
        products: inner products, (r, c), which are overwritten.
        norms: of the vectors of both sides.
        same: both sides are the same vectors, each exactly like itself.
        wanted: which pairs are, (r, c).
        bounds: that no score leaves.

    """
    if same:
        np.fill_diagonal(products, norms[0] ** 2)
    products /= norms[0][:, None] * norms[1][None, :]
    return np.where(wanted, np.clip(products, *bounds), np.nan)[None]


def _columns(rows: int, device: str) -> int:
    """Columns of a tile: a sixteenth of the GPU's free memory."""
    free, _ = torch.cuda.mem_get_info(device)
    return int(max(free // 16 // (8 * rows), 1))
