"""The evidence of a study: what its matrices and records hold, as claims read it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from stratigraph.errors import DataError
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.runs import table_of_runs
from stratigraph.evidence.trajectories import part_of
from stratigraph.identity import canonical
from stratigraph.records import record_exists, verified
from stratigraph.study.layout import jackknife_path, observed_path, probes_path
from stratigraph.study.probes import probes_digest
from stratigraph.study.selection import claim_pairs
from stratigraph.study.study import Study
from stratigraph.study.ways import CORRECTED
from stratigraph.training import RunConfig, model_of, stratum

__all__ = ["gather", "observations", "sides"]


def _side(run_id: str, config: RunConfig) -> dict[str, Any]:
    """What claims need to know of a run: of the model that it trains, whatever that is called."""
    model = model_of(config)
    named = config if model == config.objective else replace(config, objective=model)
    values = {k: v for k, v in named.to_dict().items() if k not in ("seed", "streams")}
    but_strength = {k: v for k, v in named.objective.items() if k != named.strength_name}
    return {
        "config": stratum(config),
        "stream": run_id if config.streams == "own" else f"seed {config.seed}",
        "objective": named.objective["name"],
        "strength": math.nan if named.strength is None else named.strength,
        "but_strength": canonical({**values, "objective": but_strength}),
        "but_objective": canonical({**values, "objective": ""}),
        "but_data": canonical({**values, "data": ""}),
        "supervised": config.supervised,
    }


def sides(labels: pd.DataFrame, configs: Mapping[str, RunConfig]) -> pd.DataFrame:
    """The labels of every representation, with what claims need to know of its run."""
    of_run = {run_id: _side(run_id, config) for run_id, config in configs.items()}
    table = labels.copy()
    table["data"] = table["run"].map(_data_names(configs))
    for name in next(iter(of_run.values()), {}):
        table[name] = table["run"].map({run_id: side[name] for run_id, side in of_run.items()})
    table["part"] = table["layer"].map(part_of)
    table["last"] = table["step"] == table.groupby("run")["step"].transform("max")
    return table


def _data_names(configs: Mapping[str, RunConfig]) -> dict[str, str]:
    """Run → its set of data: its name, with its options where several sets are called alike."""
    kinds: dict[str, set[str]] = {}
    for config in configs.values():
        kinds.setdefault(config.data["name"], set()).add(canonical(config.data))
    return {
        run_id: config.data["name"]
        if len(kinds[config.data["name"]]) == 1
        else " ".join(str(v) if k == "name" else f"{k} {v}" for k, v in config.data.items())
        for run_id, config in configs.items()
    }


def _scores(study: Study, measure: str, pairs: np.ndarray, size: int) -> np.ndarray:
    """The scores of pairs (m, 2), with probes left out where that is known: (m, 1 + g)."""
    folder = jackknife_path(study.path, measure, study.way.folder)
    matrix = study.similarity(measure)
    known_to_matrix = np.asarray(matrix.values[pairs[:, 0], pairs[:, 1]])
    if not record_exists(folder):
        return known_to_matrix[:, None]
    if verified(folder)["representations"] != matrix.attrs["representations"]:
        raise _half_compared(study, measure)
    held = np.load(folder / "pairs.npy", allow_pickle=False).astype(np.int64)
    scores = np.load(folder / "scores.npy", allow_pickle=False)
    if not len(held):  # too few probes to leave any out, or so many that it makes no difference
        return known_to_matrix[:, None]
    found = np.full((len(pairs), scores.shape[1]), np.nan)
    keys = held.min(axis=1) * size + held.max(axis=1)
    order = np.argsort(keys)
    wanted = pairs.min(axis=1) * size + pairs.max(axis=1)
    place = np.searchsorted(keys, wanted, sorter=order)
    place = order[np.minimum(place, len(keys) - 1)]
    known = keys[place] == wanted
    found[known] = scores[place[known]]
    found[np.isnan(known_to_matrix)] = np.nan
    return found


def _half_compared(study: Study, measure: str) -> DataError:
    return DataError(
        f"study {study.config.name}: {measure} was compared of other representations than the "
        f"rest; run `stratigraph compare {study.path}` to its end."
    )


def _count_probes(study: Study, runs: set[str]) -> int:
    """How many probes there are: of several sets of data, the fewest."""
    folders = {
        probes_path(study.path, probes_digest(study.runs[run].config, study.config.probes))
        for run in runs
    }
    counts = [
        len(np.load(folder / "indices.npy", mmap_mode="r", allow_pickle=False))
        for folder in folders
        if record_exists(folder)
    ]
    return min(counts, default=0)


def gather(study: Study) -> Evidence:
    """The evidence of a compared study, read the study's way.

    Only runs that reached their last step, and were compared there, have a final state; so only
    they count.

    Raises:
        DataError: the study was compared in part since it changed.
        IntegrityError: a record is damaged.

    """
    to_final, final, within, tolerances = {}, {}, {}, {}
    measures = study.measures()
    sources = {study.similarity(measure).attrs.get("representations") for measure in measures}
    if len(sources) > 1:
        raise _half_compared(study, measures[-1])
    # Of the same representations, every measure has the same labels.
    labels = study.labels(measures[0] if measures else study.way.cka)
    runs = table_of_runs(study)
    with study.reading():
        every = sides(labels, {run_id: run.config for run_id, run in study.runs.items()})
    reached = every.groupby("run")["step"].max()
    complete = {
        str(run) for run, step in reached.items() if step == study.runs[str(run)].config.steps
    }
    counted = complete - set(runs["run"][runs["duplicate_of"] != ""])
    kept = every["run"].isin(counted).to_numpy()
    pairs = claim_pairs(labels)
    pairs = pairs[kept[pairs[:, 0]] & kept[pairs[:, 1]]]
    table = Pairs.label(every, pairs)
    for measure in measures:
        scored = Pairs(table, _scores(study, measure, pairs, len(labels)))
        to_final[measure], final[measure], within[measure] = scored.split()
        tolerance = study.similarity(measure).attrs.get("tolerance")
        # Where probes were left out, the score of all of them was computed too, exactly.
        if tolerance is not None and scored.values.shape[1] == 1:
            tolerances[measure] = float(tolerance)
    latents, layers = observations(study)
    probes = _count_probes(study, complete)
    across = _gather_across(study, counted) if study.way is CORRECTED else {}
    return Evidence(
        study.way.cka, to_final, final, within, latents, layers, runs, probes, tolerances, across,
        scores=_stack(study.disentanglement(), study.agreement()),
    )  # fmt: skip


def _stack(*tables: pd.DataFrame) -> pd.DataFrame:
    known = [table for table in tables if len(table)]
    return pd.concat(known, ignore_index=True) if known else pd.DataFrame()


def _gather_across(study: Study, counted: set[str]) -> dict[str, Pairs]:
    """One layer of two runs that read the same probes, whatever they were trained on."""
    found: dict[str, list[Pairs]] = {}
    for other in study.others():
        for measure in other.measures():
            labels = other.labels(measure)
            with study.reading():
                every = sides(labels, {run_id: run.config for run_id, run in study.runs.items()})
            shown = other.way.name.removeprefix("on ")
            kept = every["run"].isin(counted).to_numpy()
            last = claim_pairs(labels)
            run, ends = labels["run"].to_numpy(), every["last"].to_numpy()
            last = last[(run[last[:, 0]] != run[last[:, 1]]) & ends[last].all(axis=1)]
            first = _first_pairs(labels)
            scores = [_scores(other, measure, last, len(labels))]
            matrix = other.similarity(measure).values
            untrained = np.full((len(first), scores[0].shape[1]), np.nan)
            untrained[:, 0] = matrix[first[:, 0], first[:, 1]]
            pairs = np.concatenate([last, first])
            chosen = kept[pairs].all(axis=1)
            table = Pairs.label(every, pairs[chosen]).assign(shown_x=shown, shown_y=shown)
            values = np.concatenate([*scores, untrained])[chosen]
            found.setdefault(measure, []).append(Pairs(table, values))
    return {measure: _join(parts) for measure, parts in found.items()}


def _first_pairs(labels: pd.DataFrame) -> np.ndarray:
    """One layer of two untrained networks, as rows (m, 2) of the labels, each once."""
    table = labels[["run", "step", "layer"]].assign(row=np.arange(len(labels)))
    table = table[table["step"] == 0]
    both = table.merge(table, on="layer")
    return both[both["row_x"] < both["row_y"]][["row_x", "row_y"]].to_numpy()


def _join(parts: list[Pairs]) -> Pairs:
    """Pairs of several sets of probes, which may have been left out in different numbers."""
    width = max(one.values.shape[1] for one in parts)
    values = [
        np.pad(one.values, ((0, 0), (0, width - one.values.shape[1])), constant_values=np.nan)
        for one in parts
    ]
    table = pd.concat([one.table for one in parts], ignore_index=True)
    return Pairs(table, np.concatenate(values))


def observations(study: Study) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How many latents are in each regime, and what was observed of the layers, by run and step."""
    latents, layers = [], []
    if study.export is not None:
        every = study.export.table(f"layers{study.way.folder}")
        layers = [] if every is None else [every]
        own = study.export.table(f"latents{study.way.folder}")
        latents = (
            []
            if own is None
            else [_count_regimes(group, str(run)) for run, group in own.groupby("run")]
        )
    for run_id in () if study.export is not None else study.complete():
        folder = observed_path(study.runs[run_id].path, study.way.folder)
        if not record_exists(folder):
            continue
        verified(folder)
        layers.append(pd.read_parquet(folder / "layers.parquet").assign(run=run_id))
        own = pd.read_parquet(folder / "latents.parquet")
        if len(own):
            latents.append(_count_regimes(own, run_id))
    empty = pd.DataFrame()
    return (
        pd.concat(latents, ignore_index=True) if latents else empty,
        pd.concat(layers, ignore_index=True) if layers else empty,
    )


def _count_regimes(latents: pd.DataFrame, run_id: str) -> pd.DataFrame:
    """By step of one run: how many latents are in each regime, the KL and information of all.

    Older studies know of no information.
    """
    counts = pd.crosstab(latents["step"], latents["regime"])
    counts = counts.reindex(columns=["active", "mixed", "passive"], fill_value=0)
    sums = latents.groupby("step")[
        [name for name in ("kl", "information") if name in latents]
    ].sum()
    return counts.join(sums).assign(run=run_id).reset_index()
