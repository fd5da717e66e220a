"""What a run costs in its parts: one of each kind of network takes some steps, and is read once."""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stratigraph.identity import canonical
from stratigraph.records import MANIFEST, read_json, save_snapshot, snapshot_path
from stratigraph.stages.collapse import watch_of
from stratigraph.stages.extract import extract_snapshot
from stratigraph.stages.freezing import freezer_of
from stratigraph.stages.observe import observe_run
from stratigraph.stages.score import score_run
from stratigraph.stages.task import ReadingTask
from stratigraph.study import Run, StudyConfig, observed_path, representations_path, scores_path
from stratigraph.training import (
    RunConfig,
    initial_state,
    training_states,
    validation_indices,
    validation_terms,
)

__all__ = ["Kind", "calibrate", "find_kinds", "mean_of"]

WARM, TIMED = 8, 40  # steps of a calibration


@dataclass(frozen=True)
class Kind:
    """Runs that cost the same: one of them, standing for all."""

    config: RunConfig
    study: StudyConfig
    folder: Path


def find_kinds(runs: Sequence[RunConfig]) -> list[list[RunConfig]]:
    """Runs that cost the same, together."""
    kinds: dict[tuple[Any, ...], list[RunConfig]] = {}
    for run in runs:
        kinds.setdefault(_key(run), []).append(run)
    return list(kinds.values())


def _key(run: RunConfig) -> tuple[Any, ...]:
    return (
        repr(sorted(run.data.items(), key=str)),
        run.architecture_name,
        run.latents,
        run.batch_size,
        _cost(run),
        canonical(run.freezing),
        canonical(run.on_collapse),
    )


def _cost(run: RunConfig) -> str:
    """What of its objective a run's cost depends on: not the strength, unless it is of codes."""
    free = run.strength_name if run.gaussian else None
    return canonical({key: value for key, value in run.objective.items() if key != free})


def mean_of(values: list[dict[str, Any]]) -> dict[str, Any]:
    """The same facts, and the mean of each number of them."""
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


def calibrate(kind: Kind) -> dict[str, Any]:
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
    freezer, watch = freezer_of(short, dataset, state), watch_of(short, dataset, state)
    for reached in training_states(short, dataset, state, freezer, watch):
        if reached.step == WARM:
            began = time.perf_counter()
    a_step = (time.perf_counter() - began) / TIMED
    if watch is not None:  # which reads the latents now and then, and not in these few steps
        began = time.perf_counter()
        watch.read()
        a_step += (time.perf_counter() - began) / watch.settings.every

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
    task = _task("score", run, (0, 1), scores_path(run.path), study)
    score_run(replace(task, about={"scores": study.scores}))
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
        "last": _stand_in(record, layers, kind.folder / "last"),
    }


def _stand_in(record: Path, layers: Sequence[str], folder: Path) -> Path:
    """Files of layers as of a trained network, which a pair by pair comparison takes longer for.

    The probes are in another order, so that none is like its own earlier state. What a decoder
    makes of few latents has a spectrum that falls about as the square of an untrained one's.
    """
    folder.mkdir()
    for layer in layers:
        stored = np.load(record / f"{layer}.npy")
        rows = stored[:-1]
        if layer.startswith("decoder.") and min(rows.shape) > 0:
            left, scales, right = np.linalg.svd(rows, full_matrices=False)
            rows = (left * (scales**2 / (scales[0] or 1.0))) @ right
        np.save(folder / f"{layer}.npy", np.concatenate([rows[::-1], stored[-1:]]))
    return folder


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
