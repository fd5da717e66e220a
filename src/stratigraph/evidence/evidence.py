"""What claims are judged by: scores of pairs with their labels, and what was observed of the runs.

A claim never sees a study, only `Evidence`: so it can be asked of planted numbers as well. Scores
come in columns: all probes first, then, where they are known, without each group of probes
(`stratigraph.pairs.jackknife`). Pairs within a run and pairs across runs are apart by
construction.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from stratigraph.errors import DataError
from stratigraph.evidence.runs import table_of_runs
from stratigraph.evidence.trajectories import part_of
from stratigraph.identity import canonical
from stratigraph.records import record_exists, verified
from stratigraph.study.layout import jackknife_path, observed_path, probes_path
from stratigraph.study.probes import probes_digest
from stratigraph.study.selection import claim_pairs
from stratigraph.study.study import Study
from stratigraph.training import RunConfig, model_of, stratum

__all__ = ["Evidence", "Pairs", "gather", "sides"]

# What is known of each side of a pair.
SIDES = (
    "run", "config", "but_strength", "but_objective", "data", "architecture", "objective",
    "strength", "supervised", "seed", "stream", "layer", "part", "step", "last",
)  # fmt: skip


@dataclass(frozen=True)
class Pairs:
    """Pairs of representations: labels ``<name>_x`` and ``<name>_y``, and their scores.

    Attributes:
        table: one row a pair, (m, …); at least ``seed_x`` and ``seed_y``.
        values: scores (m, 1 + g): of all probes, then without each of g groups; g may be 0.

    """

    table: pd.DataFrame
    values: np.ndarray

    @staticmethod
    def label(labels: pd.DataFrame, pairs: np.ndarray) -> pd.DataFrame:
        """The table of pairs (m, 2) of rows of labels; x is the earlier step of two of one run.

        Args:
            labels: one row a representation, with the columns of `SIDES`.
            pairs: rows of the labels.

        """
        step = labels["step"].to_numpy()
        ordered = np.where((step[pairs[:, 0]] > step[pairs[:, 1]])[:, None], pairs[:, ::-1], pairs)
        # As objects: rows are taken from these columns thousands of times, which Arrow is slow at.
        plain = labels[list(SIDES)].astype(
            {name: object for name in SIDES if isinstance(labels[name].dtype, pd.StringDtype)}
        )
        return pd.concat(
            [
                plain.iloc[ordered[:, side]].reset_index(drop=True).add_suffix(suffix)
                for side, suffix in ((0, "_x"), (1, "_y"))
            ],
            axis=1,
        )

    def split(self) -> tuple[Pairs, Pairs, Pairs]:
        """Those of one layer with its last step, of two runs, and of two layers at one step."""
        table = self.table
        same_run = table["run_x"] == table["run_y"]
        same_layer = table["layer_x"] == table["layer_y"]
        same_step = table["step_x"] == table["step_y"]
        return (
            self.where(same_run & same_layer & table["last_y"].astype(bool)),
            self.where(~same_run),
            self.where(same_run & same_step & ~same_layer),
        )

    def __len__(self) -> int:
        return len(self.table)

    def where(self, mask: pd.Series | np.ndarray) -> Pairs:
        """The pairs of a mask (m,)."""
        chosen = np.asarray(mask, dtype=bool)
        return Pairs(self.table[chosen].reset_index(drop=True), self.values[chosen])


@dataclass(frozen=True)
class Evidence:
    """All that claims read.

    Attributes:
        cka: the name of the CKA that stands first, of `to_final`, `final` and `within`.
        to_final: measure → each layer of each run at each step (x) against its last step (y).
        final: measure → one layer at the last step, across two runs (each pair once).
        within: measure → (input, mean), (input, sample), (mean, sample) of one run at one step.
        latents: run, step, active, mixed, passive: how many latents are in each regime.
        layers: run, step, layer and what was observed (`stratigraph.stages.observe`).
        runs: one row a run, and whether it learned (`stratigraph.evidence.runs`).
        probes: how many probes the scores are over.
        tolerances: measure → how wide the intervals may be that its scores are the middles of;
            measures whose scores are exact are not in it.

    """

    cka: str
    to_final: Mapping[str, Pairs]
    final: Mapping[str, Pairs]
    within: Mapping[str, Pairs]
    latents: pd.DataFrame = field(default_factory=pd.DataFrame)
    layers: pd.DataFrame = field(default_factory=pd.DataFrame)
    runs: pd.DataFrame = field(default_factory=pd.DataFrame)
    probes: int = 0
    tolerances: Mapping[str, float] = field(default_factory=dict)

    @property
    def side_by_side(self) -> list[str]:
        """The CKA and, where it was computed, Procrustes similarity."""
        return [m for m in (self.cka, "procrustes_similarity") if m in self.to_final]

    @property
    def failed(self) -> dict[str, str]:
        """Run → why, of those that are known not to have learned."""
        if self.runs.empty:
            return {}
        failed = self.runs[self.runs["learned"].eq(False)]
        return dict(zip(failed["run"], failed["why"], strict=True))

    @property
    def duplicates(self) -> dict[str, str]:
        """Run → why, of those that are another run once more, and not counted."""
        if self.runs.empty:
            return {}
        twice = self.runs[self.runs["duplicate_of"] != ""]
        return {
            run: f"it is run {other} once more: one model, and the same random streams"
            for run, other in zip(twice["run"], twice["duplicate_of"], strict=True)
        }

    def without(self, runs: Collection[str]) -> Evidence:
        """The same evidence, had some runs not been made; `runs` still lists them."""

        def less(kind: Mapping[str, Pairs]) -> dict[str, Pairs]:
            return {
                measure: pairs.where(
                    ~pairs.table["run_x"].isin(runs) & ~pairs.table["run_y"].isin(runs)
                )
                for measure, pairs in kind.items()
            }

        def others(table: pd.DataFrame) -> pd.DataFrame:
            return table if table.empty else table[~table["run"].isin(runs)]

        return replace(
            self,
            to_final=less(self.to_final),
            final=less(self.final),
            within=less(self.within),
            latents=others(self.latents),
            layers=others(self.layers),
        )


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
        "supervised": config.supervised,
    }


def sides(labels: pd.DataFrame, configs: Mapping[str, RunConfig]) -> pd.DataFrame:
    """The labels of every representation, with what claims need to know of its run."""
    of_run = {run_id: _side(run_id, config) for run_id, config in configs.items()}
    table = labels.copy()
    for name in next(iter(of_run.values()), {}):
        table[name] = table["run"].map({run_id: side[name] for run_id, side in of_run.items()})
    table["part"] = table["layer"].map(part_of)
    table["last"] = table["step"] == table.groupby("run")["step"].transform("max")
    return table


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
    return Evidence(
        study.way.cka, to_final, final, within, latents, layers, runs, probes, tolerances
    )


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
    """Of the latents of one run: how many are in each regime, and the KL of all, by step."""
    counts = pd.crosstab(latents["step"], latents["regime"])
    counts = counts.reindex(columns=["active", "mixed", "passive"], fill_value=0)
    kl = latents.groupby("step")["kl"].sum()
    return counts.assign(kl=kl, run=run_id).reset_index()
