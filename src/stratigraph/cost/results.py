"""What the findings and the report of a study will cost: measured on stand-ins that have both.

A stand-in is a study of one or two of the planned configurations, whose networks are the
calibration's and whose scores are drawn at random; it is judged and reported on by the very code
that will judge the study. What a report takes is its figures, some of them one a study, the others
one a configuration; what findings take follows the pairs that they read, and the seeds that are
left out of these. So from stand-ins of one and two configurations, with S' seeds and P₁, P₂ pairs::

    report(C) = r₁ + (C − 1)(r₂ − r₁)
    assess(P) = (1 + S)/(1 + S') (a₁ + (P − P₁)(a₂ − a₁)/(P₂ − P₁))
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stratigraph.engine import Engine, LocalEngine, one_thread
from stratigraph.errors import StratigraphError
from stratigraph.identity import canonical
from stratigraph.pairs.jackknife import JACKKNIFED, groups_of
from stratigraph.records import Files, snapshot_path, write_record, write_text
from stratigraph.report import write_report
from stratigraph.stages.assess import assess_study
from stratigraph.stages.compare import label_row
from stratigraph.stages.metrics import MetricsLog
from stratigraph.stages.progress import Progress
from stratigraph.stages.state import StateFile
from stratigraph.study import (
    CORRECTED,
    STUDY_FILE,
    Run,
    Study,
    StudyConfig,
    claim_pairs,
    jackknife_path,
    observed_path,
    probe_indices,
    probes_digest,
    probes_path,
    run_path,
    select_pairs,
    similarity_path,
)
from stratigraph.training import RunConfig

__all__ = ["Measured", "StandIn", "measure_results", "plan_results", "scaled"]

MOST_STEPS = 12  # snapshots of a stand-in's run
MOST_SEEDS = 2
MOST_LOGGED = 50
NOTHING = {"units": 1, "reason": "", "doubt": ""}  # that is known of a stand-in's layer


@dataclass(frozen=True)
class StandIn:
    """One to be made in a folder; ``sources`` are calibrated runs like the configurations'."""

    study: StudyConfig
    configurations: tuple[tuple[RunConfig, ...], ...]
    sources: tuple[Path, ...]
    layers: tuple[tuple[str, ...], ...]
    folder: Path


@dataclass(frozen=True)
class Measured:
    """What one stand-in took: seconds, the pairs that its findings read, and the report's bytes."""

    pairs: int
    seeds: int
    assess: float
    report: float
    bytes: int


def configurations(runs: Sequence[RunConfig]) -> list[tuple[RunConfig, ...]]:
    """Runs that differ by their seed alone, together."""
    found: dict[str, list[RunConfig]] = {}
    for run in runs:
        found.setdefault(canonical({**run.to_dict(), "seed": 0}), []).append(run)
    return [tuple(same) for same in found.values()]


def scaled(found: Sequence[Measured], pairs: int, seeds: int, count: int) -> Measured:
    """The whole study's, from its stand-ins of one configuration and, if it has more, of two."""
    one, two = found[0], found[-1]
    more = max(count - 1, 0)
    slope = max(two.assess - one.assess, 0.0) / max(two.pairs - one.pairs, 1)
    again = (1 + seeds) / (1 + one.seeds)
    return Measured(
        pairs,
        seeds,
        again * (one.assess + max(pairs - one.pairs, 0) * slope),
        one.report + more * max(two.report - one.report, 0.0),
        one.bytes + more * max(two.bytes - one.bytes, 0),
    )


def plan_results(
    config: StudyConfig,
    engine: Engine,
    kinds: Sequence[tuple[Sequence[RunConfig], Mapping[str, Any]]],
    pairs: int,
) -> Measured | None:
    """What findings and report will cost; None for a study without the CKA that findings stand on.

    Args:
        config: the study, of a file.
        engine: where the stand-ins are made.
        kinds: runs that cost the same, with what the calibration found of one of them.
        pairs: how many the findings will read.

    Raises:
        StratigraphError: a stand-in failed.

    """
    if not config.text or CORRECTED.cka not in [measure.name for measure in config.measures]:
        return None
    fact_of = {run.run_id: fact for runs, fact in kinds for run in runs}
    every = configurations(config.runs)
    # The second is of another kind, where there is one: it shows what one more configuration takes.
    first = fact_of[every[0][0].run_id]
    second = [same for same in every if fact_of[same[0].run_id] is not first] or every[1:]
    chosen = [(every[0],), (every[0], second[0])] if second else [(every[0],)]
    tasks = []
    for some in chosen:
        own = [fact_of[same[0].run_id] for same in some]
        runs = tuple(fact["record"].parents[1] for fact in own)
        layers = tuple(tuple(fact["layers"]) for fact in own)
        tasks.append(StandIn(config, some, runs, layers, runs[0].parent / f"as-{len(some)}"))
    found: dict[int, Measured] = {}
    for outcome in engine.map(measure_results, tasks):
        if outcome.failure is not None:
            raise StratigraphError(f"calibration: {outcome.failure.message}")
        found[outcome.index] = outcome.value
    seeds = len({run.seed for run in config.runs})
    return scaled([found[i] for i in range(len(tasks))], pairs, seeds, len(every))


def measure_results(task: StandIn) -> Measured:
    """Make a stand-in, judge it and report on it, on one thread."""
    with one_thread():
        study = _made(task)
        quiet = Progress(quiet=True)
        began = time.perf_counter()
        assess_study(study, LocalEngine(1), quiet)
        assessed = time.perf_counter()
        write_report(study, workers=1)
        reported = time.perf_counter()
    labels = study.labels(study.measures()[0])
    written = (study.path / "report", study.path / "figures")
    return Measured(
        len(claim_pairs(labels)),
        labels["seed"].nunique(),
        assessed - began,
        reported - assessed,
        sum(path.stat().st_size for folder in written for path in folder.iterdir()),
    )


def _made(task: StandIn) -> Study:
    """The study in its folder, as the stages before would have left it."""
    runs, rows = {}, []
    for same, source, layers in zip(task.configurations, task.sources, task.layers, strict=True):
        for config in same[:MOST_SEEDS]:
            count = min(len(config.snapshots), MOST_STEPS)
            short = replace(config, steps=count - 1, snapshots=tuple(range(count)))
            run = Run(run_path(task.folder, short.run_id), short)
            runs[run.run_id] = run
            _trained(run, source)
            probes = probes_digest(short, task.study.probes)
            indices = probe_indices(short, task.study.probes)
            write_record(
                probes_path(task.folder, probes),
                lambda files, indices=indices: files.array("indices.npy", indices),  # type: ignore[misc]
            )
            rows += [
                label_row(run, step, {"name": layer, **NOTHING}, probes)
                for step in short.snapshots
                for layer in layers
            ]
    whole = replace(
        task.study, runs=tuple(run.config for run in runs.values()), ways=task.study.ways[:1]
    )
    write_text(task.folder / STUDY_FILE, task.study.text)
    _compared(task.folder, whole, pd.DataFrame(rows))
    return Study(task.folder, whole, runs)


def _trained(run: Run, source: Path) -> None:
    """A run's snapshots, losses and observations, from those of a run that took one step."""
    last = run.config.steps
    for step in run.config.snapshots:
        place = snapshot_path(run.path, step)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(snapshot_path(source, int(step > 0)), place, copy_function=os.link)
    log = MetricsLog(run.path)
    for step in range(MOST_LOGGED):
        for split in ("training", "validation"):
            values = dict.fromkeys(("loss", "reconstruction", "regulariser", "kl"), 1.0 + step)
            log.add(step, split, values)
    log.save()
    StateFile(run.path, last).end("done", last)

    def observed(files: Files) -> None:
        for name in ("latents.parquet", "layers.parquet"):
            table = pd.read_parquet(observed_path(source) / name)
            files.table(name, table.assign(step=np.where(table["step"] > 0, last, 0)))

    write_record(observed_path(run.path), observed)


def _compared(folder: Path, config: StudyConfig, labels: pd.DataFrame) -> None:
    """Matrices and intervals of scores that fall with the distance of layers and steps."""
    random = np.random.default_rng(0)
    count = len(labels)
    pairs = claim_pairs(labels)
    groups = groups_of(config.probes.count)
    place = labels["layer"].factorize()[0] + 0.2 * labels["step"].to_numpy()
    for measure in config.measures:
        values = 1 / (1 + np.abs(place[:, None] - place)) + 0.02 * random.random((count, count))
        values = (values + values.T) / 2
        np.fill_diagonal(values, 1.0)
        values[~select_pairs(labels, measure.pairs)] = np.nan  # as the study will not ask for them
        about = {"representations": "drawn", "measure": measure.name, "plan": "", "read_by": []}

        def matrix(files: Files, values: np.ndarray = values) -> None:
            files.array("values.npy", values)
            files.table("labels.parquet", labels)

        write_record(similarity_path(folder, measure.name), matrix, dict(about))
        if measure.name in JACKKNIFED:
            scores = values[pairs[:, 0], pairs[:, 1]][:, None]
            scores = scores + 0.01 * random.standard_normal((len(pairs), 1 + groups))

            def left_out(files: Files, scores: np.ndarray = scores) -> None:
                files.array("pairs.npy", pairs.astype(np.int32))
                files.array("scores.npy", scores)

            write_record(jackknife_path(folder, measure.name), left_out, dict(about))
