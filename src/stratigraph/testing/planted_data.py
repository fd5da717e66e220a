"""Planted networks of several data sets that read the same probes (`stratigraph.testing.planted`).

On each set of probes, with factors Z (n × 6) of its own, a layer of a network is

    X_T = √s · Z M + √(1 − s) · 3 O + noise,

M shared by all networks, O by those of one data set, and s how much of a layer is generic: of an
encoder `Plan.generic`, of a decoder and of the latents `Plan.generic_decoder`. Untrained layers are
of each network alone.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from stratigraph.engine import one_thread
from stratigraph.evidence.evidence import Pairs
from stratigraph.pairs.group_sums import pair_scores
from stratigraph.similarity.procrustes import procrustes_similarity

__all__ = ["plant_across"]

WIDTH = 12


def plant_across(
    labels: pd.DataFrame, shares: dict[str, float], probes: int, seed: int
) -> dict[str, Pairs]:
    """`Evidence.across` of a planted study.

    Args:
        labels: one row a run, step and layer, with the columns of `Pairs.label`.
        shares: part → how much of its layers is generic.
        probes: how many each set has.
        seed: of everything random.

    """
    ends = labels[labels["last"] | (labels["step"] == 0)].reset_index(drop=True)
    found: dict[str, list[Pairs]] = {}
    for number, shown in enumerate(dict.fromkeys(labels["data"])):
        xs = list(_representations(ends, shares, probes, [seed, 16, number]))
        pairs = _pairs(ends)
        table = Pairs.label(ends, pairs).assign(shown_x=shown, shown_y=shown)
        with one_thread():
            cka = pair_scores(xs, pairs, "debiased_cka")
            last = ends["last"].to_numpy()[pairs[:, 0]]
            procrustes = [[procrustes_similarity(xs[i], xs[j])] for i, j in pairs[last]]
        found.setdefault("debiased_cka", []).append(Pairs(table, cka))
        own = Pairs(table[last].reset_index(drop=True), np.array(procrustes))
        found.setdefault("procrustes_similarity", []).append(own)
    return {
        measure: Pairs(
            pd.concat([one.table for one in parts], ignore_index=True),
            np.concatenate([one.values for one in parts]),
        )
        for measure, parts in found.items()
    }


def _pairs(ends: pd.DataFrame) -> np.ndarray:
    """One layer of two runs at one step, each once."""
    rows = ends[["run", "step", "layer"]].assign(row=np.arange(len(ends)))
    both = rows.merge(rows, on=["step", "layer"])
    return both[both["row_x"] < both["row_y"]][["row_x", "row_y"]].to_numpy()


def _representations(
    ends: pd.DataFrame, shares: dict[str, float], probes: int, seed: list[int]
) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((probes, 6))
    maps = {layer: rng.standard_normal((6, WIDTH)) for layer in dict.fromkeys(ends["layer"])}
    own = {
        key: rng.standard_normal((probes, WIDTH))
        for key in dict.fromkeys(zip(ends["data"], ends["layer"], strict=True))
    }
    found = []
    columns = (ends["data"], ends["layer"], ends["part"], ends["step"])
    for data, layer, part, step in zip(*columns, strict=True):
        noise = rng.standard_normal((probes, WIDTH))
        share = shares.get(part, 1.0)
        x = np.sqrt(share) * factors @ maps[layer]
        x = x + np.sqrt(1 - share) * 3 * own[data, layer] + 0.3 * noise
        found.append(noise if step == 0 and part != "input" else x)
    return [x - x.mean(axis=0) for x in found]
