"""Chance: what a study's measures would score of networks that nothing relates, kept beside them.

Every pair of runs is two networks: the probes of the second are permuted, each time for all of its
layers at once, and every layer of the first is compared with every layer of it at the last step
(`stratigraph.pairs.chance`). The pairs of runs are such as findings read: replicates of one
configuration, each with the next; and configurations that differ by their strength alone, or their
objective, each with the next, of different seeds; of the runs that learned (of all, where none
did), and none twice. ``chance/<measure>`` holds

``cells.parquet``   run_x, run_y, kind (seeds, strengths or objectives), layer_x, layer_y, value,
                    p, calibrated, threshold; and ``untrained``, the score of the same two layers
                    at step 0 (NaN where either run has none), which nothing that was learned makes
``best.parquet``    run_x, run_y, kind, summary (row, column or matrix), layer (whose best; "" of
                    all), value, p, calibrated, threshold

The input is left out, which is one and the same in all runs, and so is the sample: all runs are
read with the same noise, which makes it alike where latents have collapsed.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from stratigraph.engine import Engine, one_thread
from stratigraph.errors import ConfigError, suggest
from stratigraph.evidence.from_study import sides
from stratigraph.evidence.runs import runs_of_findings
from stratigraph.pairs.coordinates import read_coordinates
from stratigraph.pairs.scored import score_matrix
from stratigraph.pairs.tasks import run_tasks
from stratigraph.records import Files, write_record
from stratigraph.similarity.catalog import ALIASES
from stratigraph.similarity.measure import Measure
from stratigraph.stages.labels import representation_table
from stratigraph.stages.progress import Progress
from stratigraph.stages.task import current_facts
from stratigraph.study import DECONFOUNDED, Study, chance_path, probe_factors, study_measure

__all__ = ["score_chance"]

SHARED = ("input", "z_sample")
SUMMARIES = {"row": "x", "column": "y", "matrix": ""}
COLUMNS = ["value", "p", "calibrated", "threshold"]
PAIR = ["run_x", "run_y", "kind"]

Layers = dict[str, Path]


@dataclass(frozen=True)
class _Task:
    kind: ClassVar[str] = "compare: chance, pair of runs"  # numbered, on dashboards
    pair: tuple[str, str, str]
    last: tuple[Layers, Layers]
    first: tuple[Layers, Layers]
    measure: Measure
    null: int
    groups: np.ndarray | None


def score_chance(
    study: Study,
    engine: Engine,
    progress: Progress,
    *,
    null: int,
    within: str | None = None,
    measures: Sequence[str] = (),
) -> list[str]:
    """Write what chance scores, by each measure where it is missing or other; return these.

    Args:
        study: a compared study.
        engine: where pairs of runs are scored.
        progress: told how many are.
        null: permutations.
        within: a factor of the data: permute among probes of the same value of it.
        measures: of the study; by default all of which there is a matrix.

    Raises:
        ConfigError: no such measure or factor, or no two runs that could be compared.

    """
    names = _chosen(study, measures)
    labels, files, source, _ = representation_table(study)
    tasks = list(_pairs_of_runs(study, labels, files))
    if not tasks:
        raise ConfigError(
            f"--null: study {study.config.name} has no two runs at their last step that differ "
            "only in seed, strength or objective, so there is nothing to compare with chance."
        )
    grouping = {run: _group(study, run, within) for run in {pair[0] for pair, _, _ in tasks}}
    made = []
    for name in names:
        path = chance_path(study.path, name)
        about = {"representations": source, "measure": name, "null": null, "within": within or ""}
        if current_facts(path, about) is not None:
            continue
        with study.reading():
            measure = study_measure(name)
        found = run_tasks(
            _run,
            [
                _Task(pair, last, first, measure, null, grouping[pair[0]])
                for pair, last, first in tasks
            ],
            len(tasks),
            engine,
            progress.stage(f"chance by {name}"),
        )
        parts = [part for _, part in sorted(found, key=lambda one: one[0])]
        _write(path, parts, about)
        made.append(name)
    return made


def _chosen(study: Study, measures: Sequence[str]) -> list[str]:
    known = [name for name in study.measures() if name != DECONFOUNDED]
    measures = [name if name in known else ALIASES.get(name, name) for name in measures]
    for name in measures:
        if name not in known:
            raise ConfigError(
                f"--measure: {name!r} cannot be compared with chance in this study; these can: "
                f"{', '.join(known) or 'none'}.{suggest(name, known)}"
            )
    return list(measures) or known


def _group(study: Study, run: str, within: str | None) -> np.ndarray | None:
    """The value of a factor for each probe."""
    if within is None:
        return None
    factors, names = probe_factors(study.runs[run].config, study.config.probes)
    if within not in names:
        hint = suggest(within, names) if names else " It has none."
        raise ConfigError(
            f"--null-within: {study.runs[run].config.data['name']} has no factor {within!r}; "
            f"expected one of {', '.join(names)}.{hint}"
            if names
            else f"--null-within: the factors of the probes of run {run} are unknown."
        )
    return factors[:, names.index(within)]


def _pairs_of_runs(
    study: Study, labels: pd.DataFrame, files: Sequence[Path]
) -> Iterator[tuple[tuple[str, str, str], tuple[Layers, Layers], tuple[Layers, Layers]]]:
    """(run, run, how they differ), and the files of their layers at the last and at no step."""
    every = sides(labels, {run_id: run.config for run_id, run in study.runs.items()})
    every = every[every["run"].isin(runs_of_findings(study))]
    rows = every[~every["layer"].isin(SHARED) & (every["reason"] == "")]
    ends = rows[rows["last"]], rows[rows["step"] == 0]
    last, first = (
        {
            str(run): {
                layer: files[row]
                for row, layer in zip(own.index.tolist(), own["layer"], strict=True)
            }
            for run, own in end.groupby("run")
        }
        for end in ends
    )
    for one, other, kind in _neighbours(every.drop_duplicates("run")):
        if one in last and other in last:
            untrained = first.get(one, {}), first.get(other, {})
            yield (one, other, kind), (last[one], last[other]), untrained


def _neighbours(runs: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Pairs of runs of the same probes that differ in one thing, and in which."""
    for _, own in runs.groupby(["probes", "config"], sort=False):
        names = own["run"].tolist()
        ring = [*names, names[0]] if len(names) > 2 else names
        yield from ((a, b, "seeds") for a, b in itertools.pairwise(ring))
    for column, each, kind in (
        ("but_strength", "strength", "strengths"),
        ("but_objective", "objective", "objectives"),
    ):
        for _, alike in runs.groupby(["probes", column], sort=False):
            settings = [own for _, own in alike.groupby(each, sort=False)]
            for a, b in itertools.pairwise(settings):
                others = b[b["stream"] != a["stream"].iloc[0]]
                if len(others):
                    yield a["run"].iloc[0], others["run"].iloc[0], kind


def _run(task: _Task) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of one pair of runs."""
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what has no score is NaN, and its reason is the matrix's
        x, y = (_read(side, task.measure) for side in task.last)
        found = score_matrix(x, y, task.measure, null=task.null, groups=task.groups)
        untrained = np.full(found.shape, np.nan)
        if all(task.first):
            one, other = (_read(side, task.measure) for side in task.first)
            scores = score_matrix(one, other, task.measure)
            untrained = scores.reindex(x=found["x"], y=found["y"]).values
    rows, columns = (found[axis].values.astype(str) for axis in "xy")
    cells = pd.DataFrame(
        {
            "layer_x": np.repeat(rows, len(columns)),
            "layer_y": np.tile(columns, len(rows)),
            "value": found.values.ravel(),
            **{name: found[name].values.ravel() for name in COLUMNS[1:]},
            "untrained": untrained.ravel(),
        }
    )
    best = pd.concat(
        [
            pd.DataFrame(
                {
                    "summary": summary,
                    "layer": found[axis].values.astype(str) if axis else [""],
                    **{name: found[f"{name}_{summary}"].values.ravel() for name in COLUMNS},
                }
            )
            for summary, axis in SUMMARIES.items()
        ],
        ignore_index=True,
    )
    names = dict(zip(PAIR, task.pair, strict=True))
    return tuple(  # type: ignore[return-value]
        table.assign(**names)[[*PAIR, *table.columns]] for table in (cells, best)
    )


def _read(layers: Layers, measure: Measure) -> dict[str, Any]:
    return {name: read_coordinates(path, measure.translation) for name, path in layers.items()}


def _write(
    path: Path, parts: Sequence[tuple[pd.DataFrame, pd.DataFrame]], about: dict[str, Any]
) -> None:
    cells, best = (pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True))

    def fill(files: Files) -> None:
        files.table("cells.parquet", cells)
        files.table("best.parquet", best)

    write_record(path, fill, about)
