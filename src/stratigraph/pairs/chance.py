"""What chance alone would score: every measure against permuted probes, and the best of many.

A draw permutes the probes of y, by one permutation for all of its layers, so that nothing relates
them to those of x, and each network stays as it is. It takes the summary T that is looked at: a
cell, the best of a row or column, the best of the matrix. With T_0 the one observed and
T_1 … T_B those of the draws, larger being more alike,

    p = (1 + #{T_b ≥ T_0}) / (1 + B),
    τ = the ⌈(1 − α)(B + 1)⌉-th smallest of T_0 … T_B,
    calibrated = max(0, (T_0 − τ) / (T_max − τ)),     α = 0.05, T_max the score of x with itself,

so a calibrated score is 0 where chance would do, and 1 for copies. p is exact: under the null that
the rows of x and y are exchangeable against each other it is ≤ α in at most a share α of cases, for
the best of a matrix as for a cell. Distances are turned round: the smallest is the best, and τ is
what chance comes down to.

Probes may come in classes. Permuted within them (``groups``), the null is that nothing but the
class relates the two; permuted freely, that nothing does.

One network with itself: a copy of it is permuted, each cell is tested as any other, and the
diagonal does not count among the best. There a draw relates all pairs of layers by one permutation,
which the observed scores of three layers or more cannot mirror: take p of the best for a guide.

Source: Gröger, Wen & Brbić 2026, arXiv 2602.14486, algorithms 1 and 2; Phipson & Smyth 2010 (the
1 +). Cost: `permuted`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.labels import find_ids, join_rows
from stratigraph.pairs.blocks import Progress
from stratigraph.pairs.permuted import score_permuted
from stratigraph.similarity.measure import Measure
from stratigraph.values import check_whole

if TYPE_CHECKING:
    import xarray

__all__ = ["FEWEST", "draw_orders", "join_groups", "with_chance"]

LEVEL = 0.05
FEWEST = 19  # draws: of fewer, τ is the observed score itself, and p never at most the level
ROUNDING = 1e-6  # scores that differ by less are alike: another way of computing may add as much
SUMMARIES = {"": ("x", "y"), "_row": ("x",), "_column": ("y",), "_matrix": ()}  # → what is left


def with_chance(
    found: xarray.DataArray,
    sides: Sequence[Sequence[Tensor]],
    measure: Measure,
    *,
    null: int,
    groups: Any = None,
    seed: int = 0,
    memory: int,
    progress: Progress | None = None,
) -> xarray.DataArray:
    """A matrix with what chance would score beside it.

    Args:
        found: scores (x, y) of what is in ``sides``.
        sides: finite matrices of the same probes; of one list, a copy is permuted.
        measure: what they were compared by.
        null: draws.
        groups: a label for each probe; they are permuted among those of the same.
        seed: of the permutations.
        memory: bytes to hold.
        progress: called with (draws done, draws in all).

    Returns:
        the same with the coordinates ``p``, ``calibrated`` and ``threshold`` (τ) of each cell; with
        these and the ``value`` of the best of rows (``value_row``, ``p_row``, …), columns and all;
        and with the attribute ``null``, what was permuted how.

    Raises:
        InputError: fewer than 19 draws, groups that do not fit the probes, or more to hold than
            ``memory``.

    """
    check_whole("null", null, FEWEST, error=InputError)
    orders, within = draw_orders(len(sides[0][0]), null, groups, seed)
    scores, way = score_permuted(sides, measure, orders, memory, progress)
    whole = f"probes of {'y' if len(sides) > 1 else 'a copy'} permuted {null} times{within}"
    held = _against_chance(found.values, scores, measure, len(sides) == 1)
    coordinates = {
        name + summary: (dims, values)
        for summary, dims in SUMMARIES.items()
        for name, values in held[summary].items()
    }
    return found.assign_coords(coordinates).assign_attrs(
        null=f"{whole}, seed {seed}", plan=f"{found.attrs['plan']}; null by {way}"
    )


def _best_of(values: np.ndarray, distance: bool, apart: bool) -> dict[str, np.ndarray]:
    """Summary → the best of the last two axes that it leaves out, NaN where nothing has a score.

    Args:
        values: scores, (…, x, y).
        distance: the smallest is the best.
        apart: leave the diagonal out: it is of layers with themselves.

    """
    found = {"": values}
    if apart:
        values = np.where(np.eye(values.shape[-1], dtype=bool), math.nan, values)
    best = np.nanmin if distance else np.nanmax
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all NaN
        for summary, axes in (("_row", -1), ("_column", -2), ("_matrix", (-2, -1))):
            found[summary] = np.asarray(best(values, axis=axes))
    return found


def _against_chance(
    observed: np.ndarray, scores: np.ndarray, measure: Measure, apart: bool
) -> dict[str, dict[str, np.ndarray]]:
    """Summary → its p, calibrated score and threshold; of the best of some its value too."""
    distance = not measure.itself
    sign = -1.0 if distance else 1.0
    seen, drawn = (_best_of(values, distance, apart) for values in (observed, scores))
    found = {}
    for summary in SUMMARIES:
        p, calibrated, threshold = _calibrated(
            sign * seen[summary], sign * drawn[summary], sign * measure.itself
        )
        found[summary] = {"p": p, "calibrated": calibrated, "threshold": sign * threshold}
        if summary:
            found[summary]["value"] = seen[summary]
    return found


def _calibrated(
    observed: np.ndarray, scores: np.ndarray, most: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draws = len(scores)
    slack = ROUNDING * np.maximum(np.abs(observed), abs(most))
    p = (1 + (scores >= observed - slack).sum(0)) / (1 + draws)
    place = math.ceil(round((1 - LEVEL) * (draws + 1), 9)) - 1
    every = np.concatenate([scores, observed[None]])
    threshold = np.partition(every, place, axis=0)[place]
    room = np.maximum(most - threshold, 0)
    share = np.where(room > slack, (observed - threshold) / np.where(room > slack, room, 1), 0)
    nothing = np.isnan(observed)
    return tuple(  # type: ignore[return-value]
        np.where(nothing, math.nan, one) for one in (p, np.clip(share, 0, 1), threshold)
    )


def draw_orders(n: int, count: int, groups: Any = None, seed: int = 0) -> tuple[np.ndarray, str]:
    """Permutations of n probes (count, n), within groups where there are some; and that in words.

    Raises:
        InputError: groups that are not one label for each probe, or of one probe each.

    """
    rng = np.random.default_rng(seed)
    if groups is None:
        return np.stack([rng.permutation(n) for _ in range(count)]), ""
    import pandas as pd

    labels = np.asarray(groups)
    if labels.shape != (n,):
        raise InputError(
            f"groups: expected a label for each of {n} probes, got shape {labels.shape}."
        )
    codes, names = pd.factorize(labels)
    if (codes < 0).any():
        raise InputError(f"groups: {int((codes < 0).sum())} of {n} probes have no label.")
    if len(names) == n:
        raise InputError("groups: every probe is its own group, so nothing can be permuted.")
    places = np.argsort(codes, kind="stable")
    orders = np.empty((count, n), np.intp)
    for order in orders:
        order[places] = np.lexsort((rng.random(n), codes))
    return orders, f" within {len(names)} groups"


def join_groups(groups: Any, sides: Sequence[Mapping[str, Any]]) -> Any:
    """Groups in the order of the probes; by their labels, where both have some (`labels`)."""
    if groups is None or find_ids(groups) is None:
        return groups
    every = [value for side in sides for value in side.values()]
    first = next((value for value in every if find_ids(value) is not None), every[0])
    return join_rows({"the representations": first, "groups": groups})["groups"]
