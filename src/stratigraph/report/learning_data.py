"""The numbers behind the figures of how a study learned: pure functions from a study to tables.

Means are over runs of one configuration, with a 95 % interval over its seeds (Student's t); where
there is one seed the interval is NaN.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from stratigraph.evidence import LEAST_ROOM, Evidence, part_of
from stratigraph.evidence.claims.parts import of_vaes
from stratigraph.evidence.settling import areas
from stratigraph.report.figure_data import Configuration, HeatMap, configurations
from stratigraph.study import Run, Study

__all__ = [
    "Between",
    "ModelMap",
    "between",
    "comparisons",
    "dimensions",
    "disentanglement",
    "layer_pairs",
    "map_of_models",
    "over_seeds",
    "regimes",
    "settled",
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
        quantile = special.stdtrit(np.maximum(found["size"] - 1, 1), 0.975)  # Student's t
        reach = np.where(
            found["size"] > 1, quantile * found["std"] / np.sqrt(found["size"]), np.nan
        )
    found["low"], found["high"] = found["mean"] - reach, found["mean"] + reach
    return found.drop(columns=["std", "size"]).merge(runs, on=list(keys), how="left")


def _configuration_of(study: Study) -> dict[str, Configuration]:
    return {run.run_id: c for c in configurations(study) for run in c.runs}


def layer_pairs(study: Study, evidence: Evidence, measure: str) -> pd.DataFrame:
    """(input, sample) and (mean, sample) over training.

    Columns: configuration, group (objective and data), pair, step, mean, low, high, runs.
    """
    pairs = of_vaes(evidence.within[measure])
    table = _named(study, pairs.table.assign(value=pairs.values[:, 0], run=pairs.table["run_x"]))
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


def _named(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of runs that the report shows, with their configuration, group and seed."""
    if table.empty:
        return table
    of_run = _configuration_of(study)
    table = table[table["run"].isin(of_run)]
    labels = {run: c.label for run, c in of_run.items()}
    groups = {run: _group(c) for run, c in of_run.items()}
    seeds = {run: study.runs[run].config.seed for run in of_run}
    return table.assign(
        configuration=[labels[run] for run in table["run"]],
        group=[groups[run] for run in table["run"]],
        seed=[seeds[run] for run in table["run"]],
    )


def _group(c: Configuration) -> str:
    return f"{c.objective} on {c.data}, {c.architecture.replace('_', ' ')}"


def to_input(study: Study, measure: str) -> pd.DataFrame:
    """Each layer's similarity to the input, over training.

    Columns: group, layer, part, step, mean, low, high, runs; empty where it was not compared.
    """
    matrix, labels = study.similarity(measure).values, _named(study, study.labels(measure))
    inputs = labels[labels["layer"] == "input"].reset_index()
    place = inputs.set_index(["run", "step"])["index"].to_dict()
    rows = [place.get(key, -1) for key in zip(labels["run"], labels["step"], strict=True)]
    known = np.array(rows) >= 0
    labels, columns = labels[known], np.array(rows)[known]
    table = labels.assign(
        value=np.asarray(matrix[labels.index.to_numpy(), columns]),
        part=labels["layer"].map(part_of),
    )
    table = table[table["layer"] != "input"]
    return over_seeds(table, ["group", "layer", "part", "step"], "value")


def settled(study: Study, evidence: Evidence, measure: str) -> pd.DataFrame:
    """When each layer settles: the area of its curve (`stratigraph.evidence.settling`), by group.

    Columns: group, layer, part, kind (similarity or progress), mean, low, high, runs.
    """
    rows, area, untrained = areas(of_vaes(evidence.to_final[measure]))
    of_run = _configuration_of(study)
    kept = rows["run_x"].isin(of_run).to_numpy() & (rows["part_x"] != "input").to_numpy()
    room = 1 - untrained[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        progress = np.where(room >= LEAST_ROOM, (area[:, 0] - untrained[:, 0]) / room, np.nan)
    tables = [
        pd.DataFrame(
            {
                "group": [_group(of_run[run]) for run in rows["run_x"][kept]],
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


def regimes(study: Study, evidence: Evidence) -> pd.DataFrame:
    """Latents in each regime over training: group, configuration, step, regime, mean, low, high."""
    table = _named(study, evidence.latents)
    if table.empty:
        return table
    long = table.melt(
        ["seed", "group", "configuration", "step"], ["active", "mixed", "passive"], "regime"
    )
    return over_seeds(long, ["group", "configuration", "step", "regime"], "value")


def dimensions(study: Study, evidence: Evidence) -> pd.DataFrame:
    """Intrinsic dimension: group, layer, part, step, estimator, mean, low, high, runs."""
    table = _named(study, evidence.layers)
    if table.empty:
        return table
    table = table.assign(part=table["layer"].map(part_of))
    long = table.melt(
        ["seed", "group", "layer", "part", "step"], ["two_nn", "levina_bickel"], "estimator"
    )
    return over_seeds(long, ["group", "layer", "part", "step", "estimator"], "value")


def disentanglement(study: Study) -> pd.DataFrame:
    """Scores of the latents: configuration, score, step, mean, low, high, runs, n (probes)."""
    table = _named(study, study.disentanglement())
    if table.empty:
        return table
    keys = ["group", "configuration", "score", "step"]
    probes = table.groupby(keys, sort=False)["n"].min().reset_index()
    return over_seeds(table, keys, "value").merge(probes, on=keys, how="left")


@dataclass(frozen=True)
class Between:
    """Layers of some runs at their last step against layers of others, and what they differ in."""

    title: str
    heat: HeatMap


def between(
    study: Study, measure: str, rows: Sequence[Run], columns: Sequence[Run]
) -> HeatMap | None:
    """The mean layer × layer map of runs of different seeds, last steps; None if not compared."""
    matrix, labels = study.similarity(measure).values, study.labels(measure)
    last = labels[labels["step"] == labels.groupby("run")["step"].transform("max")]
    places = {run: group.index.to_numpy() for run, group in last.groupby("run")}
    maps, names = [], None
    for a, b in itertools.product(rows, columns):
        i, j = places.get(a.run_id), places.get(b.run_id)
        if a.config.seed == b.config.seed or i is None or j is None:
            continue
        names = labels["layer"][i].tolist(), labels["layer"][j].tolist()
        maps.append(np.asarray(matrix[np.ix_(i, j)]))
    if names is None or not np.isfinite(maps).any():
        return None
    stack = np.stack(maps)
    seen = np.isfinite(stack).sum(axis=0)
    mean = np.where(seen > 0, np.nansum(stack, axis=0) / np.maximum(seen, 1), np.nan)
    return HeatMap(
        names[0], names[1], mean, rows[0].steps[-1], columns[0].steps[-1], len(maps), True
    )


def comparisons(study: Study, measure: str) -> list[Between]:
    """Maps between strengths, objectives, architectures, and VAE and classifier.

    Of each kind the pairs are few: the weakest and the strongest of each objective; the strongest
    of two objectives; the first of two architectures. Sets of data are not compared with each
    other, since no probe is shown to networks of both.
    """
    every = configurations(study)
    vaes = [c for c in every if not c.first.config.supervised]
    pairs: list[tuple[str, Configuration, Configuration]] = []
    by_objective: dict[tuple[str, str, str], list[Configuration]] = {}
    for c in vaes:
        by_objective.setdefault((c.objective, c.data, c.architecture), []).append(c)
    ends = {
        key: sorted(group, key=lambda c: -1.0 if c.strength is None else c.strength)
        for key, group in by_objective.items()
    }
    for ordered in ends.values():
        if len(ordered) > 1:
            pairs.append(("strengths", ordered[0], ordered[-1]))
    for (one, a), (other, b) in itertools.combinations(ends.items(), 2):
        if one[0] != other[0] and one[1:] == other[1:]:
            pairs.append(("objectives", a[-1], b[-1]))
        if one[0] == other[0] and one[1] == other[1]:
            pairs.append(("architectures", a[0], b[0]))
    for c in every:
        if c.first.config.supervised:
            same = [v for v in vaes if v.data == c.data
                    and v.architecture == c.architecture]  # fmt: skip
            pairs += [("classifier", v, c) for v in same[:1]]
    found = []
    for kind, rows, columns in pairs:
        heat = between(study, measure, rows.runs, columns.runs)
        if heat is not None:
            found.append(Between(f"{kind}: {rows.label} (rows), {columns.label} (columns)", heat))
    return found


@dataclass(frozen=True)
class ModelMap:
    """Runs at their steps in two dimensions.

    Attributes:
        points: run, configuration, step, seed, x, y.
        explained: the share of the squared distances that each dimension holds.

    """

    points: pd.DataFrame
    explained: tuple[float, float]
    title: str


def map_of_models(study: Study, measure: str) -> list[ModelMap]:
    """One map for each data set and architecture: a point a run and step, from its layer matrix.

    Networks of codes have other layers than VAEs, and a map of their own.

    The upper triangles of the layer × layer matrices are projected on their two leading principal
    directions, which is classical scaling of their Euclidean distances. Only entries that are
    defined at every point are used; where those are fewer than half, there is no map.
    """
    matrix, labels = study.similarity(measure).values, study.labels(measure)
    of_run = _configuration_of(study)
    found = []
    groups: dict[str, list[str]] = {}
    for run_id, c in of_run.items():
        key = f"{c.data}, {c.architecture.replace('_', ' ')}"
        key += "" if c.first.config.gaussian or study.config.recorded else ", codes"
        if not c.first.config.supervised:
            groups.setdefault(key, []).append(run_id)
    rows_of: dict[tuple[str, int], np.ndarray] = {}
    for (run, step), group in labels.groupby(["run", "step"]):
        rows_of[str(run), int(str(step))] = group.index.to_numpy()
    for title, runs in groups.items():
        keys = [place for place in rows_of if place[0] in runs]
        tables = []
        for place in keys:
            block = np.asarray(matrix[np.ix_(rows_of[place], rows_of[place])])
            tables.append(block[np.triu_indices(len(block), 1)])
        if len(tables) < 3 or len({len(t) for t in tables}) > 1:
            continue
        stacked = np.stack(tables)
        defined = np.isfinite(stacked).all(axis=0)
        vectors = stacked[:, defined]
        if defined.sum() < max(3, 0.5 * len(defined)) or np.ptp(vectors, axis=0).max() == 0:
            continue
        centred = vectors - vectors.mean(axis=0)
        u, s, _ = np.linalg.svd(centred, full_matrices=False)
        share = s**2 / (s**2).sum()
        points = pd.DataFrame(
            {
                "run": [run for run, _ in keys],
                "configuration": [of_run[run].label for run, _ in keys],
                "seed": [study.runs[run].config.seed for run, _ in keys],
                "step": [step for _, step in keys],
                "x": u[:, 0] * s[0],
                "y": u[:, 1] * s[1],
            }
        )
        order = [c.label for c in configurations(study)]
        points = points.sort_values(
            "configuration", key=lambda s: s.map(order.index), kind="stable"
        )
        found.append(ModelMap(points, (float(share[0]), float(share[1])), title))
    return found
