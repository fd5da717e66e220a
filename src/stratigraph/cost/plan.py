"""Plan: what a study will cost, before anything of it runs.

The counts (runs, steps, snapshots, representations, pairs) follow from the study's file. The times
follow from a short calibration on this machine: each kind of network takes some steps, is read and
observed once, and samples of the pairs are compared, in as many processes at once as there are
workers, since cores that share memory slow each other; claims are asked of random scores, and
a map and a panel of lines are drawn. Nothing is written into the study.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from stratigraph.cost.calibrate import Kind, calibrate, find_kinds, mean_of
from stratigraph.cost.figures import TABLES, Drawing, count_panels, draw_sample
from stratigraph.cost.findings import Judging, judge_sample
from stratigraph.cost.pairs import Comparing, compare_sample, influence_sample, jackknife_sample
from stratigraph.engine import Engine, Outcome
from stratigraph.errors import ConfigError, StratigraphError
from stratigraph.pairs.jackknife import JACKKNIFED
from stratigraph.records import scratch_folder
from stratigraph.stages.labels import label_row
from stratigraph.stages.matrix_record import BAND
from stratigraph.study import (
    CORRECTED,
    DECONFOUNDED,
    PUBLISHED,
    Run,
    Selection,
    StudyConfig,
    probes_digest,
)
from stratigraph.training import RunConfig

__all__ = ["Stage", "StudyPlan", "plan_study"]

T = TypeVar("T")

UNKNOWN = {"units": 1, "reason": "", "doubt": ""}  # of a layer


@dataclass(frozen=True)
class Stage:
    """One stage of a study: ``count`` of what, and ``seconds`` of one core for all of them.

    ``alone``: it is one process, however many workers there are.
    """

    name: str
    what: str
    count: int
    seconds: float
    alone: bool = False


@dataclass(frozen=True)
class StudyPlan:
    """What a study will cost; times are of one worker's core while all workers are busy."""

    runs: int
    steps: int
    snapshots: int
    representations: int
    pairs: dict[str, int]
    plans: dict[str, str]
    disk: int
    memory: int
    stages: tuple[Stage, ...]
    workers: int
    longest: float

    def seconds(self, workers: int | None = None) -> float:
        """Wall time with so many workers of this kind; a run is trained by one at a time."""
        count = workers or self.workers
        return sum(
            max(
                stage.seconds / (1 if stage.alone else count),
                self.longest if stage.name == "train" else 0.0,
            )
            for stage in self.stages
        )


def plan_study(config: StudyConfig, engine: Engine) -> StudyPlan:
    """Calibrate on this machine, and say what a study will cost.

    Args:
        config: the study.
        engine: where the calibration runs; its number of workers is the plan's.

    Raises:
        ConfigError: the study cannot be run as written.
        StratigraphError: a calibration failed.

    """
    if config.recorded:
        raise ConfigError(
            f"study {config.name} is recorded while it is trained elsewhere; only what stratigraph "
            "trains can be planned."
        )
    for run in config.runs:
        run.dataset().prepare()
    kinds = find_kinds(config.runs)
    with scratch_folder() as place:
        # Each kind at least once, and enough of them that all workers are busy together.
        copies = max(1, math.ceil(engine.workers / len(kinds)))
        tasks = [
            Kind(runs[0], config, place / f"{number}-{copy}")
            for copy in range(copies)
            for number, runs in enumerate(kinds)
        ]
        found: dict[int, list[dict[str, Any]]] = {}
        began = time.time()
        for outcome in engine.map(calibrate, tasks):
            found.setdefault(outcome.index % len(kinds), []).append(_value(outcome))
        facts = [mean_of(found[number]) for number in range(len(kinds))]
        # The first so many tasks began when the last worker had started.
        begun = sorted(one["began"] for every in found.values() for one in every)
        starting = max(begun[engine.workers - 1] - began, 0.0)
        return _plan(config, engine, kinds, facts, starting)


def _time_stages(
    engine: Engine, function: Callable[[T], tuple[Any, ...]], task: T
) -> tuple[Any, ...]:
    """What every worker finds of a task at once: the mean of its numbers."""
    found = [_value(outcome) for outcome in engine.map(function, [task] * engine.workers)]
    return tuple(
        column[0] if isinstance(column[0], str) else float(np.mean(column))
        for column in zip(*found, strict=True)
    )


def _value(outcome: Outcome) -> Any:
    if outcome.failure is not None:
        error = outcome.failure.error  # which says where, and has an exit code of its own
        if isinstance(error, StratigraphError):
            raise error
        raise StratigraphError(f"calibration: {outcome.failure.message}")
    return outcome.value


def _plan(
    config: StudyConfig,
    engine: Engine,
    kinds: list[list[RunConfig]],
    facts: list[dict[str, Any]],
    starting: float,
) -> StudyPlan:
    pairs_of = list(zip(kinds, facts, strict=True))
    steps = sum(run.steps for run in config.runs)
    snapshots = sum(len(run.snapshots) for run in config.runs)

    def total(key: str, count: Any) -> float:
        return sum(fact[key] * sum(count(run) for run in runs) for runs, fact in pairs_of)

    training = total("step", lambda run: run.steps) + total("snapshot", lambda r: len(r.snapshots))

    def scored(run: RunConfig) -> float:
        """How often two snapshots were scored in the calibration, whose slow scores cost most."""
        return len(run.snapshots) / 2 if config.scores == "every" else 1

    stages = [
        Stage("start", "workers", engine.workers, starting, alone=True),
        Stage("train", "steps", steps, training),
        Stage("extract", "snapshots", snapshots, total("extract", lambda r: len(r.snapshots))),
        Stage("observe", "snapshots", snapshots, total("observe", lambda r: len(r.snapshots))),
        Stage("score latents", "runs", len(config.runs), total("score", scored)),
    ]
    table, files = _representations(config, kinds, facts)
    comparing, pairs, plans, matrix = _plan_measures(config, engine, table, files)
    stages += comparing
    if config.others:
        last = {run.run_id: {run.snapshots[0], run.snapshots[-1]} for run in config.runs}
        count = sum(map(len, last.values()))
        each = total("extract", lambda run: len(last[run.run_id]))
        chosen = np.flatnonzero(
            [step in last[run] for run, step in zip(table["run"], table["step"], strict=True)]
        )
        ends = table.iloc[chosen].assign(probes="others").reset_index(drop=True)
        reading, _, _, more = _plan_measures(
            config.read(config.others[0]), engine, ends, [files[i] for i in chosen]
        )
        times = len(config.others)
        matrix += times * more
        stages += [
            replace(
                stage,
                name=f"{stage.name}, others' probes",
                count=times * stage.count,
                seconds=times * stage.seconds,
            )
            for stage in (Stage("extract", "snapshots", count, each), *reading)
        ]
    if PUBLISHED.name in config.ways:
        stages += list(_plan_published(config, stages))
    measures = [measure.name for measure in config.measures]
    if CORRECTED.cka in measures:
        judging = Judging(table, config.runs, measures, config.probes.count)
        read, seconds = (
            len(config.ways) * one for one in _time_stages(engine, judge_sample, judging)
        )
        stages.append(Stage("assess", "pairs", int(read), seconds, alone=True))
    maps, panels = count_panels(config.runs, len(measures))
    seeds = len({run.seed for run in config.runs})
    drawing = Drawing(tuple(facts[0]["layers"]), config.runs[0].snapshots, seeds)
    a_map, a_panel, map_bytes, panel_bytes = _time_stages(engine, draw_sample, drawing)
    drawn = maps * a_map + panels * a_panel
    stages += [
        Stage("report", "panels", maps + panels, drawn),
        Stage("report's tables", "runs", len(config.runs), TABLES * drawn, alone=True),
    ]
    disk = total("weights", lambda r: len(r.snapshots))
    disk += total("coordinates", lambda r: len(r.snapshots)) * (2 if len(config.ways) > 1 else 1)
    disk += total("coordinates", lambda r: 2) * len(config.others)
    return StudyPlan(
        runs=len(config.runs),
        steps=steps,
        snapshots=snapshots,
        representations=len(table),
        pairs=pairs,
        plans=plans,
        disk=int(disk + matrix + maps * map_bytes + panels * panel_bytes),
        memory=int(engine.workers * max(fact["memory"] for fact in facts) + BAND),
        stages=tuple(stages),
        workers=engine.workers,
        longest=max(fact["step"] * max(run.steps for run in runs) for runs, fact in pairs_of),
    )


def _plan_measures(
    config: StudyConfig, engine: Engine, table: pd.DataFrame, files: list[Path]
) -> tuple[list[Stage], dict[str, int], dict[str, str], int]:
    """The stages of a comparison; and by measure its pairs and its plan; and all bytes."""
    stages: list[Stage] = []
    pairs, plans, matrix, matrix_bytes = {}, {}, 0, 8 * len(table) ** 2
    for measure in config.measures:
        wanted = Selection(table, measure.pairs)
        pairs[measure.name] = wanted.unordered()
        if measure.name == DECONFOUNDED:
            plans[measure.name] = "as debiased_cka, with the input regressed out"
        task = Comparing(measure.name, table, files, wanted, pairs[measure.name], measure.tolerance)
        seconds, plan = _time_stages(engine, compare_sample, task)
        plans.setdefault(measure.name, plan)
        stages.append(Stage(f"compare by {measure.name}", "pairs", pairs[measure.name], seconds))
        if measure.name in JACKKNIFED:
            count, seconds = _time_stages(engine, jackknife_sample, task)
            stages.append(Stage(f"intervals of {measure.name}", "pairs", int(count), seconds))
        if measure.name == CORRECTED.cka and count:
            count, seconds = _time_stages(engine, influence_sample, task)
            stages.append(Stage(f"influence on {measure.name}", "pairs", int(count), seconds))
        matrix += matrix_bytes * (1 if measure.tolerance is None else 3)
    return stages, pairs, plans, matrix


def _plan_published(config: StudyConfig, stages: list[Stage]) -> Iterator[Stage]:
    """The published reading: later snapshots alone, and the pairs that findings read."""
    snapshots = [run.snapshots for run in config.runs]
    share = sum(
        sum(step >= PUBLISHED.first * run.steps for step in run.snapshots) for run in config.runs
    ) / sum(map(len, snapshots))
    for stage in stages:
        kind = stage.name.partition(" by ")[0]
        if kind == "extract" or stage.name.endswith(("procrustes_similarity", " debiased_cka")):
            yield replace(
                stage,
                name=f"{stage.name}, published way",
                count=round(stage.count * share),
                seconds=stage.seconds * share,
            )


def _representations(
    config: StudyConfig, kinds: list[list[RunConfig]], facts: list[dict[str, Any]]
) -> tuple[pd.DataFrame, list[Path]]:
    """The labels that the comparison will have, and for each row a file of the same kind."""
    rows, files = [], []
    for runs, fact in zip(kinds, facts, strict=True):
        for run in runs:
            probes = probes_digest(run, config.probes)
            for step in run.snapshots:
                folder = fact["last" if step == run.snapshots[-1] else "record"]
                for layer in fact["layers"]:
                    about = {**UNKNOWN, "name": layer}
                    rows.append(label_row(Run(fact["record"], run), step, about, probes))
                    files.append(folder / f"{layer}.npy")
    return pd.DataFrame(rows), files
