"""Extract: what every layer of every snapshot represents on the probes.

A task is one snapshot. Each layer's activation (n, p) becomes coordinates (n, r), r ≤ min(n, p),
with the same inner products between probes (`stratigraph.similarity.reduction`), so nothing after
this stage depends on the layer's width. They are kept as one ``.npy`` a layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stratigraph.activations import read_vae
from stratigraph.engine import Engine
from stratigraph.errors import StratigraphError
from stratigraph.identity import digest, plain
from stratigraph.pipeline.progress import Progress
from stratigraph.similarity.reduction import reduce_units
from stratigraph.snapshots import record_exists, remove_leftovers, verified, write_record
from stratigraph.study import (
    ActivationsConfig,
    ProbesConfig,
    Run,
    Study,
    probe_images,
    probe_indices,
    probe_noise,
    probes_digest,
    probes_path,
    representations_path,
)
from stratigraph.training import RunConfig

__all__ = ["current_facts", "extract_study", "reading_digest"]


@dataclass(frozen=True)
class ExtractTask:
    """One snapshot, as it is sent to a worker."""

    run: Path
    config: dict[str, Any]
    step: int
    probes: ProbesConfig
    reading: ActivationsConfig
    about: dict[str, Any]


def extract_task(task: ExtractTask) -> None:
    """Read one snapshot's layers on the probes and write their record."""
    config = RunConfig.from_dict(task.config)
    run = Run(task.run, config)
    images = probe_images(config, task.probes)
    noise = probe_noise(task.probes, task.reading, run, task.step, len(images))
    model = run.model(task.step)
    layers: list[dict[str, Any]] = []

    def fill(folder: Path) -> None:
        for name, activation in read_vae(
            model, images, noise, task.reading.layers, decoder_input=task.reading.decoder_input
        ):
            reduced = reduce_units(activation, f"layer {name}")
            np.save(folder / f"{name}.npy", reduced.coordinates)
            layers.append(
                {
                    "name": name,
                    "units": reduced.units,
                    "reason": reduced.reason,
                    "doubt": reduced.doubt,
                }
            )

    write_record(representations_path(task.run, task.step), fill, {**task.about, "layers": layers})


def reading_digest(study: Study, run: Run) -> dict[str, Any]:
    """What a representation depends on beside the weights."""
    config = study.config
    return {
        "probes": probes_digest(run.config, config.probes),
        "reading": digest(config.activations),
    }


def _keep_probes(study: Study, run: Run) -> None:
    """Write down which images the probes are, once for each set of data."""
    probes = study.config.probes
    path = probes_path(study.path, probes_digest(run.config, probes))
    if not record_exists(path):
        indices = probe_indices(run.config, probes)
        about = {"data": run.config.data, "probes": plain(probes)}
        write_record(path, lambda folder: np.save(folder / "indices.npy", indices), about)


def current_facts(path: Path, about: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the record at ``path`` says of itself, if it was made with these settings.

    Raises:
        IntegrityError: it is damaged.

    """
    if not record_exists(path):
        return None
    held = verified(path)
    return held if all(held.get(key) == value for key, value in about.items()) else None


def extract_study(study: Study, engine: Engine, progress: Progress) -> int:
    """Extract every snapshot that has not been; return how many were.

    Raises:
        StratigraphError: a snapshot could not be read; those that could are kept.

    """
    tasks = []
    for run in study.runs.values():
        about = reading_digest(study, run)
        remove_leftovers(run.path / "representations")
        _keep_probes(study, run)
        for step in run.steps:
            if current_facts(representations_path(run.path, step), about) is None:
                tasks.append(
                    ExtractTask(
                        run.path,
                        run.config.to_dict(),
                        step,
                        study.config.probes,
                        study.config.activations,
                        about,
                    )
                )
    failures = []
    with progress.counting("extracting snapshots", len(tasks)) as counter:
        for outcome in engine.map(extract_task, tasks):
            counter.advance()
            if outcome.failure is not None:
                failures.append((tasks[outcome.index], outcome.failure))
    if failures:
        task, failure = failures[0]
        if isinstance(failure.error, StratigraphError):
            raise failure.error
        raise StratigraphError(
            f"{len(failures)} of {len(tasks)} snapshots could not be extracted; the first, "
            f"{task.run.name} at step {task.step}: {failure.message}\n{failure.traceback}"
        )
    return len(tasks)
