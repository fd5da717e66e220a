"""How a study learned, as tables: pure functions from `ReportData`.

Means are over runs of one configuration, with a 95 % interval over its seeds (Student's t); where
there is one seed the interval is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy

from stratigraph.evidence import LEAST_ROOM, Evidence, part_of
from stratigraph.evidence.claims.parts import of_vaes
from stratigraph.evidence.settling import areas
from stratigraph.report.data import ReportData, Scored

__all__ = [
    "curves",
    "dimensions",
    "disentanglement",
    "find_settling",
    "layer_pairs",
    "losses",
    "name_runs",
    "over_seeds",
    "parts",
    "regimes",
    "to_input",
]


def over_seeds(table: pd.DataFrame, keys: Sequence[str], value: str) -> pd.DataFrame:
    """``mean``, ``low``, ``high`` (95 % interval over seeds) and ``runs`` by keys.

    Runs of one seed, such as those of several strengths, are averaged first: one replicate.
    """
    known = table.dropna(subset=[value])
    runs = known.groupby(list(keys), sort=False).size().rename("runs").reset_index()
    per_seed = known.groupby([*keys, "seed"], sort=False)[value].mean().reset_index()
    grouped = per_seed.groupby(list(keys), sort=False)[value]
    found = grouped.agg(["mean", "std", "size"]).reset_index()
    with np.errstate(invalid="ignore"):
        quantile = scipy.special.stdtrit(np.maximum(found["size"] - 1, 1), 0.975)  # Student's t
        reach = np.where(
            found["size"] > 1, quantile * found["std"] / np.sqrt(found["size"]), np.nan
        )
    found["low"], found["high"] = found["mean"] - reach, found["mean"] + reach
    return found.drop(columns=["std", "size"]).merge(runs, on=list(keys), how="left")


def layer_pairs(data: ReportData, evidence: Evidence, measure: str) -> pd.DataFrame:
    """(input, sample) and (mean, sample) over training.

    Columns: configuration, group (objective and data), pair, step, mean, low, high, runs.
    """
    pairs = of_vaes(evidence.within[measure])
    table = name_runs(data, pairs.table.assign(value=pairs.values[:, 0], run=pairs.table["run_x"]))
    if table.empty:
        return table
    names = {
        frozenset(("input", "z_sample")): "input and sample",
        frozenset(("z_mean", "z_sample")): "mean and sample",
    }
    table["pair"] = [
        names.get(frozenset(ends)) for ends in zip(table["layer_x"], table["layer_y"], strict=True)
    ]
    table = table.dropna(subset=["pair"])
    keys = ["group", "configuration", "pair", "step_x"]
    return over_seeds(table, keys, "value").rename(columns={"step_x": "step"})


def name_runs(data: ReportData, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of runs that the report shows, with their configuration, group and seed."""
    if table.empty:
        return table
    of_run = data.configuration_of
    table = table[table["run"].isin(of_run)]
    labels = {run: c.label for run, c in of_run.items()}
    groups = {run: c.group for run, c in of_run.items()}
    seeds = {run: data.study.runs[run].config.seed for run in of_run}
    return table.assign(
        configuration=[labels[run] for run in table["run"]],
        group=[groups[run] for run in table["run"]],
        seed=[seeds[run] for run in table["run"]],
    )


def to_input(data: ReportData, scored: Scored) -> pd.DataFrame:
    """Each layer's similarity to the input, over training.

    Columns: group, layer, part, step, mean, low, high, runs; empty where it was not compared.
    """
    labels = name_runs(data, scored.labels)
    inputs = labels[labels["layer"] == "input"].reset_index()
    place = inputs.set_index(["run", "step"])["index"].to_dict()
    rows = [place.get(key, -1) for key in zip(labels["run"], labels["step"], strict=True)]
    known = np.array(rows) >= 0
    labels, columns = labels[known], np.array(rows)[known]
    table = labels.assign(
        value=np.asarray(scored.values[labels.index.to_numpy(), columns]),
        part=labels["layer"].map(part_of),
    )
    table = table[table["layer"] != "input"]
    return over_seeds(table, ["group", "layer", "part", "step"], "value")


def find_settling(data: ReportData, evidence: Evidence, measure: str) -> pd.DataFrame:
    """When each layer settles: the area of its curve (`stratigraph.evidence.settling`), by group.

    Columns: group, layer, part, kind (similarity or progress), mean, low, high, runs.
    """
    rows, area, untrained = areas(of_vaes(evidence.to_final[measure]))
    of_run = data.configuration_of
    kept = rows["run_x"].isin(of_run).to_numpy() & (rows["part_x"] != "input").to_numpy()
    room = 1 - untrained[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        progress = np.where(room >= LEAST_ROOM, (area[:, 0] - untrained[:, 0]) / room, np.nan)
    tables = [
        pd.DataFrame(
            {
                "group": [of_run[run].group for run in rows["run_x"][kept]],
                "layer": rows["layer_x"][kept],
                "part": rows["part_x"][kept],
                "kind": kind,
                "seed": rows["seed_x"][kept],
                "value": values[kept],
            }
        )
        for kind, values in (("similarity", area[:, 0]), ("progress", progress))
    ]
    return over_seeds(pd.concat(tables), ["group", "layer", "part", "kind"], "value")


def regimes(data: ReportData, evidence: Evidence) -> pd.DataFrame:
    """Latents in each regime over training: group, configuration, step, regime, mean, low, high."""
    table = name_runs(data, evidence.latents)
    if table.empty:
        return table
    long = table.melt(
        ["seed", "group", "configuration", "step"], ["active", "mixed", "passive"], "regime"
    )
    return over_seeds(long, ["group", "configuration", "step", "regime"], "value")


def dimensions(data: ReportData, evidence: Evidence) -> pd.DataFrame:
    """Intrinsic dimension: group, layer, part, step, estimator, mean, low, high, runs."""
    table = name_runs(data, evidence.layers)
    if table.empty:
        return table
    table = table.assign(part=table["layer"].map(part_of))
    long = table.melt(
        ["seed", "group", "layer", "part", "step"], ["two_nn", "levina_bickel"], "estimator"
    )
    return over_seeds(long, ["group", "layer", "part", "step", "estimator"], "value")


def disentanglement(data: ReportData) -> pd.DataFrame:
    """Scores of the latents: configuration, score, step, mean, low, high, runs, n (probes)."""
    table = name_runs(data, data.study.disentanglement())
    if table.empty:
        return table
    keys = ["group", "configuration", "score", "step"]
    probes = table.groupby(keys, sort=False)["n"].min().reset_index()
    return over_seeds(table, keys, "value").merge(probes, on=keys, how="left")


def curves(data: ReportData, scored: Scored, kind: str = "similarity") -> pd.DataFrame:
    """Similarity to the final state by configuration, layer and step: mean and extremes over runs.

    With ``kind`` ``progress``, what of it is above the untrained network.

    Columns: configuration, layer, part, step, mean, low, high, runs, untrained.
    """
    labels = {run: c.label for run, c in data.configuration_of.items()}
    named = scored.to_final.assign(configuration=scored.to_final["run"].map(labels))
    grouped = named.groupby(["configuration", "layer", "part", "step"], sort=False)
    return grouped.agg(
        mean=(kind, "mean"),
        low=(kind, "min"),
        high=(kind, "max"),
        runs=(kind, "count"),
        untrained=("untrained", "mean"),
    ).reset_index()


def parts(scored: Scored, runs: Sequence[str] = ()) -> pd.DataFrame:
    """Encoder, latents, decoder, network: the mean of their layers over training.

    Args:
        scored: a matrix.
        runs: whose; all, where none is named.

    Columns: kind (similarity to the final state, or progress above the untrained network), part,
    step, mean, low, high (the extremes over runs), runs.

    """
    every, tables = scored.to_final, []
    if runs:
        every = every[every["run"].isin(runs)]
    for kind in ("similarity", "progress"):
        own = every.groupby(["part", "run", "step"], sort=False)[kind].mean()
        over = own.groupby(["part", "step"]).agg(mean="mean", low="min", high="max", runs="count")
        tables.append(over.reset_index().assign(kind=kind))
    found = pd.concat(tables, ignore_index=True)
    return found[found["part"].isin(["encoder", "latents", "decoder", "network"])]


def losses(data: ReportData) -> pd.DataFrame:
    """Every run's logged terms: configuration, run, seed, step, split, loss, reconstruction, kl."""
    tables = [
        data.metrics[run.run_id].assign(configuration=c.label, run=run.run_id, seed=run.config.seed)
        for c in data.configurations
        for run in c.runs
    ]
    return pd.concat(tables, ignore_index=True)
