"""Claim 19: the gain in disentanglement comes while encoder and mean move, not the decoder.

Between two snapshots k and k + 1 a layer goes part m_k of its way, the rise of its similarity to
its final state, and a score gains g_k; falls count nothing, and both are shares of their sums.
Their overlap,

    Σ_k min(m_k, g_k),

is 1 where a layer moves when the score rises, and 0 where it never does. The contrast is the mean
overlap over the encoder's layers and the mean less that over the decoder's, within runs. Each
layer's overlap stands in the details, of other scores that of each part: they say which layer's
movement comes with the gain.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from stratigraph.evidence.claims.course import (
    DECIDES,
    LEAST_GAIN,
    course,
    is_mean,
    scores_over_training,
    why_none,
)
from stratigraph.evidence.claims.parts import decoder, encoder, of_vaes, one_run
from stratigraph.evidence.contrast import Contrast, weigh
from stratigraph.evidence.evidence import Evidence
from stratigraph.evidence.finding import Question
from stratigraph.evidence.trajectories import LEAST_ROOM

__all__ = ["gain_with_encoder", "overlaps"]

LEAST = 0.05
STILL = (
    "No run both gained in the score and moved its encoder and its decoder over three snapshots."
)


def _shares(values: np.ndarray, least: float) -> np.ndarray | None:
    """The rises of a series as shares of their sum; None where it rises by less in all."""
    rises = np.maximum(np.diff(values), 0)
    if len(rises) < 2 or not np.isfinite(rises).all() or values[-1] - values[0] < least:
        return None
    return np.asarray(rises / rises.sum())


def overlaps(evidence: Evidence, measure: str, score: str) -> pd.DataFrame:
    """The overlap of each layer's movement with each run's gain.

    Returns:
        One row a run and layer, with the labels of its pairs, and ``overlap``.

    """
    gained = course(evidence, score, measure)
    gains: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for run, rows in gained.table.groupby("run_x", sort=False):
        order = rows.sort_values("step_x").index
        steps = gained.table["step_x"].to_numpy()[order]
        shares = _shares(gained.values[order, 0], LEAST_GAIN)
        if shares is not None:
            gains[str(run)] = steps, shares
    pairs = of_vaes(evidence.to_final[measure])
    found, where = [], []
    for _, rows in pairs.table.groupby(["run_x", "layer_x"], sort=False):
        run = str(rows["run_x"].iloc[0])
        if run not in gains:
            continue
        steps, shares = gains[run]
        rows = rows.sort_values("step_x")
        rows = rows[rows["step_x"].isin(steps)]
        moved = _shares(pairs.values[rows.index, 0], LEAST_ROOM)
        if moved is None or len(moved) != len(shares):
            continue
        found.append(float(np.minimum(moved, shares).sum()))
        where.append(rows.index[0])
    return pairs.table.loc[where].reset_index(drop=True).assign(overlap=found)


def _contrast(table: pd.DataFrame) -> Contrast | None:
    if table.empty:
        return None
    early, late = encoder(table) | is_mean(table), decoder(table)
    rows = one_run(table).reset_index(drop=True)
    first = rows.drop_duplicates("run_x").set_index("run_x")
    means = [rows[mask].groupby("run_x")["overlap"].mean() for mask in (early, late)]
    gap = (means[0] - means[1]).dropna()
    if gap.empty:
        return None
    inside = rows[early | late].groupby("run_x")["layer_x"].agg(tuple)
    runs = first.loc[[run for run in first.index if run in gap.index]]
    kept = runs.reset_index().assign(group="", side="gap")
    kept["layers"] = [inside[run] for run in kept["run_x"]]
    values = gap.loc[kept["run_x"]].to_numpy(dtype=float)[:, None]
    return weigh(kept.drop(columns="overlap"), values, {"gap": 1.0})


def gain_with_encoder(evidence: Evidence) -> list[Question]:
    """One question."""
    missing = why_none(evidence)
    found: dict[str, Contrast] = {}
    details: list[dict[str, Any]] = []
    for measure in () if missing else evidence.side_by_side:
        for score in scores_over_training(evidence):
            table = overlaps(evidence, measure, score)
            one = _contrast(table) if score == DECIDES else None
            if one is not None:
                found[measure] = one
            own = table[table["part_x"].isin(["encoder", "latents", "decoder"])]
            named = own["layer_x"] if score == DECIDES else "all"
            means = own.assign(layer=named).groupby(["part_x", "layer"], sort=False)["overlap"]
            details += [
                {"measure": measure, "score": score, **{str(k): v for k, v in row.items()}}
                for row in means.agg(overlap="mean", runs="size").reset_index()
                .rename(columns={"part_x": "part"}).to_dict("records")
            ]  # fmt: skip
    return [
        Question(
            "gain_with_encoder",
            19,
            "The gain in disentanglement comes while encoder and mean move, not the decoder.",
            "overlap of movement with the MIG's gain, encoder and mean less decoder",
            found,
            LEAST,
            details if found else [],
            missing or ("" if found else STILL),
        )
    ]
