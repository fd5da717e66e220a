"""Plan: what a study will cost, before anything of it runs.

The counts (runs, steps, snapshots, representations, pairs) follow from the study's file. The times
follow from a short calibration on this machine: each kind of network takes some steps, is read and
observed once, and a sample of the pairs is compared, in as many processes at once as there are
workers, since cores that share memory slow each other; small studies of its networks and random
scores are judged and reported on. Nothing is written into the study.
"""

from __future__ import annotations

import math
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stratigraph.cost.pairs import Comparing, compare_sample, jackknife_sample
from stratigraph.cost.results import plan_results
from stratigraph.engine import Engine, Outcome
from stratigraph.errors import ConfigError, StratigraphError
from stratigraph.identity import canonical
from stratigraph.pairs.jackknife import JACKKNIFED
from stratigraph.records import MANIFEST, read_json, save_snapshot, snapshot_path
from stratigraph.stages.compare import BAND
from stratigraph.stages.extract import extract_snapshot
from stratigraph.stages.freezing import freezer_of
from stratigraph.stages.observe import observe_run
from stratigraph.stages.score import score_run
from stratigraph.stages.task import ReadingTask
from stratigraph.study import (
    DECONFOUNDED,
    PUBLISHED,
    Run,
    Selection,
    StudyConfig,
    claim_pairs,
    observed_path,
    probes_digest,
    representations_path,
    scores_path,
)
from stratigraph.training import (
    RunConfig,
    initial_state,
    training_states,
    validation_indices,
    validation_terms,
)

__all__ = ["Stage", "StudyPlan", "plan_study"]

WARM, TIMED = 8, 40  # steps of a calibration


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


@dataclass(frozen=True)
class _Kind:
    """Runs that cost the same: one of them, standing for all."""

    config: RunConfig
    study: StudyConfig
    folder: Path


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
    kinds: dict[tuple[Any, ...], list[RunConfig]] = {}
    for run in config.runs:
        kinds.setdefault(_key(run), []).append(run)
    with tempfile.TemporaryDirectory(prefix="stratigraph-plan-") as place:
        # Each kind at least once, and enough of them that all workers are busy together.
        copies = max(1, math.ceil(engine.workers / len(kinds)))
        tasks = [
            _Kind(runs[0], config, Path(place) / f"{number}-{copy}")
            for copy in range(copies)
            for number, runs in enumerate(kinds.values())
        ]
        found: dict[int, list[dict[str, Any]]] = {}
        began = time.time()
        for outcome in engine.map(_calibrate, tasks):
            found.setdefault(outcome.index % len(kinds), []).append(_value(outcome))
        facts = [_mean(found[number]) for number in range(len(kinds))]
        # The first so many tasks began when the last worker had started.
        begun = sorted(one["began"] for every in found.values() for one in every)
        starting = max(begun[engine.workers - 1] - began, 0.0)
        return _plan(config, engine, list(kinds.values()), facts, starting)


def _value(outcome: Outcome) -> Any:
    if outcome.failure is not None:
        raise StratigraphError(f"calibration: {outcome.failure.message}")
    return outcome.value


def _key(run: RunConfig) -> tuple[Any, ...]:
    return (
        repr(sorted(run.data.items(), key=str)),
        run.architecture_name,
        run.latents,
        run.batch_size,
        _cost(run),
        canonical(run.freezing),
    )


def _cost(run: RunConfig) -> str:
    """What of its objective a run's cost depends on: not the strength, unless it is of codes."""
    free = run.strength_name if run.gaussian else None
    return canonical({key: value for key, value in run.objective.items() if key != free})


def _mean(values: list[dict[str, Any]]) -> dict[str, Any]:
    first = values[0]
    numbers = [key for key, value in first.items() if isinstance(value, int | float)]
    return {**first, **{key: float(np.mean([v[key] for v in values])) for key in numbers}}


def _task(
    kind: str, run: Run, steps: tuple[int, ...], record: Path, study: StudyConfig
) -> ReadingTask:
    config = run.config.to_dict()
    return ReadingTask(
        kind, run.path, config, steps, study.probes, study.activations, "", record, {}
    )


def _calibrate(kind: _Kind) -> dict[str, Any]:
    """What a run of this kind costs in its parts, in seconds of one core, and bytes."""
    config, study = kind.config, kind.study
    started = time.time()
    dataset = config.dataset()
    short = replace(config, steps=WARM + TIMED, snapshots=(0, WARM + TIMED))
    state = initial_state(short, dataset)
    run = Run(kind.folder, replace(config, steps=1, snapshots=(0, 1)))
    # Sizes are those of an untrained network: in its first steps a decoder often has fewer
    # directions than it has then, and at the end.
    save_snapshot(run.path, 0, state.model, {"run_id": run.run_id})
    began = time.perf_counter()
    for reached in training_states(short, dataset, state, freezer_of(short, dataset, state)):
        if reached.step == WARM:
            began = time.perf_counter()
    a_step = (time.perf_counter() - began) / TIMED

    held_out = validation_indices(config, dataset)
    began = time.perf_counter()
    validation_terms(config, dataset, state, held_out)
    save_snapshot(run.path, 1, state.model, {"run_id": run.run_id})
    a_snapshot = time.perf_counter() - began

    times = []
    for step in (0, 1):
        began = time.perf_counter()
        extract_snapshot(
            _task("extract", run, (step,), representations_path(run.path, step), study)
        )
        times.append(time.perf_counter() - began)
    began = time.perf_counter()
    observe_run(_task("observe", run, (0, 1), observed_path(run.path), study))
    observed = (time.perf_counter() - began) / 2
    began = time.perf_counter()
    # What takes time is of the last step alone.
    score_run(_task("score", run, (0, 1), scores_path(run.path), study))
    scored = time.perf_counter() - began
    record = representations_path(run.path, 0)
    layers = [layer["name"] for layer in read_json(record / MANIFEST)["about"]["layers"]]
    return {
        "began": started,
        "step": a_step,
        "snapshot": a_snapshot,
        "extract": times[1],
        "observe": observed,
        "score": scored,
        "weights": _bytes(snapshot_path(run.path, 1)),
        "coordinates": _bytes(record),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "layers": layers,
        "record": record,
    }


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


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
    stages = [
        Stage("start", "workers", engine.workers, starting, alone=True),
        Stage("train", "steps", steps, training),
        Stage("extract", "snapshots", snapshots, total("extract", lambda r: len(r.snapshots))),
        Stage("observe", "snapshots", snapshots, total("observe", lambda r: len(r.snapshots))),
        Stage("score latents", "runs", len(config.runs), total("score", lambda _: 1)),
    ]
    table, files = _representations(config, kinds, facts)
    pairs, plans, matrix, matrix_bytes = {}, {}, 0, 8 * len(table) ** 2
    for measure in config.measures:
        wanted = Selection(table, measure.pairs)
        pairs[measure.name] = wanted.unordered()
        if measure.name == DECONFOUNDED:
            plans[measure.name] = "as debiased_cka, with the input regressed out"
        task = Comparing(measure.name, table, files, wanted, pairs[measure.name], measure.tolerance)
        seconds, plan = _value(*engine.map(compare_sample, [task]))
        plans.setdefault(measure.name, plan)
        stages.append(Stage(f"compare by {measure.name}", "pairs", pairs[measure.name], seconds))
        if measure.name in JACKKNIFED:
            count, seconds = _value(*engine.map(jackknife_sample, [task]))
            stages.append(Stage(f"intervals of {measure.name}", "pairs", count, seconds))
        matrix += matrix_bytes * (1 if measure.tolerance is None else 3)
    if PUBLISHED.name in config.ways:
        stages += list(_published(config, stages))
    results = plan_results(config, engine, pairs_of, len(claim_pairs(table)))
    if results is not None:
        read, times = results.pairs * len(config.ways), len(config.ways)
        stages += [
            Stage("assess", "pairs", read, results.assess * times, alone=True),
            Stage("report", "runs", len(config.runs), results.report, alone=True),
        ]
    disk = total("weights", lambda r: len(r.snapshots))
    disk += total("coordinates", lambda r: len(r.snapshots)) * (2 if len(config.ways) > 1 else 1)
    return StudyPlan(
        runs=len(config.runs),
        steps=steps,
        snapshots=snapshots,
        representations=len(table),
        pairs=pairs,
        plans=plans,
        disk=int(disk + matrix + (results.bytes if results else 0)),
        memory=int(engine.workers * max(fact["memory"] for fact in facts) + BAND),
        stages=tuple(stages),
        workers=engine.workers,
        longest=max(fact["step"] * max(run.steps for run in runs) for runs, fact in pairs_of),
    )


def _published(config: StudyConfig, stages: list[Stage]) -> Iterator[Stage]:
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
                for layer in fact["layers"]:
                    rows.append((run.run_id, step, layer, probes))
                    files.append(fact["record"] / f"{layer}.npy")
    return pd.DataFrame(rows, columns=["run", "step", "layer", "probes"]), files
