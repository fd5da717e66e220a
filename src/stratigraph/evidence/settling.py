"""When layers settle: areas under the curve of similarity to the final state.

For a layer of a run with snapshots at t_0 < … < t_m = T and s_t its similarity to the last,

    area = ∫ s dlog(1 + t) / log((1 + T)/(1 + t_0)),      by trapezoids,

is the mean similarity over the logarithm of training: 1 for a layer that never differs from its
final state, larger the earlier it settles. It reads every snapshot, where a threshold reads two.

Progress, pooled over the layers L of a part of a network that had a snapshot at step 0:

    Σ_L (area − s_0) / Σ_L (1 − s_0)

is the share of the way that was left to the untrained network. The sums weigh a layer by its room
1 − s_0, so that a layer which never had to move, of which the ratio would be noise, counts little.
Where the mean room is below `LEAST_ROOM` there is nothing to tell, and progress is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from stratigraph.evidence.evidence import Pairs
from stratigraph.evidence.trajectories import LEAST_ROOM

__all__ = ["Kind", "areas", "part_areas"]

Kind = Literal["similarity", "progress"]


def areas(pairs: Pairs) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The area and the untrained score of each layer of each run.

    Args:
        pairs: `Evidence.to_final` of a measure.

    Returns:
        One row a run and layer, with the labels of its pairs; the areas (k, 1 + g), NaN where a
        score is undefined at any step; and the scores at step 0, NaN without a snapshot there.

    """
    table = pairs.table
    group, _ = pd.factorize(pd.MultiIndex.from_frame(table[["run_x", "layer_x"]]))
    step = table["step_x"].to_numpy()
    order = np.lexsort((step, group))
    group, step, values = group[order], step[order], pairs.values[order]
    time = np.log1p(step.astype(float))
    weight = np.zeros(len(step))
    same = group[1:] == group[:-1]
    width = np.where(same, np.diff(time), 0.0)
    weight[1:] += width / 2
    weight[:-1] += width / 2
    count = int(group.max()) + 1 if len(group) else 0
    span = np.bincount(group, weight, count)
    total = np.zeros((count, values.shape[1]))
    np.add.at(total, group, weight[:, None] * values)
    first = np.r_[True, ~same] if len(group) else np.zeros(0, dtype=bool)
    untrained = np.where((step[first] == 0)[:, None], values[first], np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        area = total / np.where(span > 0, span, np.nan)[:, None]
    rows = table.iloc[order[first]].reset_index(drop=True)
    return rows, area, untrained


def part_areas(
    pairs: Pairs, parts: Sequence[Callable[[pd.DataFrame], np.ndarray]], kind: Kind
) -> tuple[pd.DataFrame, list[np.ndarray], pd.Series]:
    """For each run, the area of some parts of its network, pooled over their layers.

    Args:
        pairs: `Evidence.to_final` of a measure.
        parts: rows of layers (as `areas` gives) → which are in the part (k,).
        kind: of similarity, or of progress above the untrained network.

    Returns:
        One row a run; for each part an array (runs, 1 + g); and each run's layers in any part.

    """
    rows, area, untrained = areas(pairs)
    # A layer that is dead somewhere has no curve; the run's other layers still have theirs.
    defined = np.isfinite(area[:, 0])
    if kind == "progress":
        defined &= np.isfinite(untrained[:, 0])
    run, names = pd.factorize(rows["run_x"])
    first = pd.Series(np.arange(len(rows))).groupby(run).first().to_numpy(dtype=int)
    found = []
    inside = np.zeros(len(rows), dtype=bool)
    for part in parts:
        chosen = part(rows) & defined
        inside |= chosen
        if kind == "similarity":
            above, room, least = area, np.ones_like(area), 0.0
        else:
            above, room, least = area - untrained, 1 - untrained, LEAST_ROOM
        number = np.bincount(run[chosen], minlength=len(names))
        sums = []
        for what in (above, room):
            total = np.zeros((len(names), area.shape[1]))
            np.add.at(total, run[chosen], what[chosen])
            sums.append(total)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = sums[0] / sums[1]
            enough = (number > 0) & (sums[1][:, 0] >= least * number)
        found.append(np.where(enough[:, None], share, np.nan))
    layers: list[list[str]] = [[] for _ in names]
    for one, layer in zip(run[inside], rows["layer_x"][inside], strict=True):
        layers[one].append(layer)
    return rows.iloc[first].reset_index(drop=True), found, pd.Series(layers).map(tuple)
