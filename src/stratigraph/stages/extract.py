"""Extract: what every layer of every snapshot represents on the probes.

A task is one snapshot. Each layer's activation (n, p) becomes coordinates (n, r), r ≤ min(n, p),
with the same inner products between probes (`stratigraph.similarity.reduction`), so nothing after
this stage depends on the layer's width. They are kept as one ``.npy`` a layer. A VAE's posterior,
mean and log-variance (2, n, z), stands beside them as it is, since its units have a meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stratigraph.activations import read_network
from stratigraph.engine import Engine
from stratigraph.errors import ConfigError, StratigraphError
from stratigraph.identity import digest
from stratigraph.models import VAE
from stratigraph.records import Files, record_exists, remove_leftovers, verified, write_record
from stratigraph.similarity.reduction import reduce_units
from stratigraph.stages.progress import Progress
from stratigraph.stages.recorded import check_recorded
from stratigraph.study import (
    ActivationsConfig,
    ProbesConfig,
    Run,
    Study,
    keep_probes,
    probe_images,
    probe_noise,
    probes_digest,
    representations_path,
)
from stratigraph.training import RecordedConfig, RunConfig

__all__ = ["current_facts", "extract_study", "reading_digest", "run_all"]


@dataclass(frozen=True)
class ExtractTask:
    """One snapshot, as it is sent to a worker."""

    run: Path
    config: dict[str, Any]
    step: int
    probes: ProbesConfig
    reading: ActivationsConfig
    record: Path
    about: dict[str, Any]

    @property
    def label(self) -> str:
        """What it is called in a cluster's dashboard."""
        return f"extract {self.run.name[:4]} step {self.step}"


def extract_task(task: ExtractTask) -> None:
    """Read one snapshot's layers on the probes and write their record."""
    config = RunConfig.from_dict(task.config)
    run = Run(task.run, config)
    images = probe_images(config, task.probes)
    noise = probe_noise(task.probes, task.reading, run, task.step, len(images))
    model = run.model(task.step)
    layers: list[dict[str, Any]] = []

    def fill(files: Files) -> None:
        if isinstance(model, VAE):
            files.array("posterior.npy", _posterior(model, images))
        for name, activation in read_network(
            model, images, noise, task.reading.layers, decoder_input=task.reading.decoder_input
        ):
            reduced = reduce_units(activation, f"layer {name}")
            files.array(f"{name}.npy", reduced.coordinates)
            layers.append(
                {
                    "name": name,
                    "units": reduced.units,
                    "reason": reduced.reason,
                    "doubt": reduced.doubt,
                }
            )

    # Not compared when a record is looked for, but kept: float32 depends on it in the last digits.
    versions = {"torch": torch.__version__, "device": "cpu", "threads": 1}
    write_record(task.record, fill, {**task.about, "read_by": versions, "layers": layers})


@torch.inference_mode()
def _posterior(model: VAE, images: torch.Tensor, batch_size: int = 250) -> np.ndarray:
    """Mean and log-variance of q(z|x) on the probes: float32 (2, n, z)."""
    starts = range(0, len(images), batch_size)
    parts = [model.encode(images[start : start + batch_size]) for start in starts]
    return np.stack([torch.cat(part).numpy() for part in zip(*parts, strict=True)])


def reading_digest(study: Study, run: Run) -> dict[str, Any]:
    """What a representation depends on beside the weights."""
    config = study.config
    if isinstance(run.config, RecordedConfig):
        reading = {"probes": run.config.probes, "reading": run.config.reading}
        return {**reading, "posterior": run.config.gaussian}
    return {
        "probes": probes_digest(run.config, config.probes),
        "reading": digest(config.activations),
        "posterior": run.config.gaussian,
    }


def current_facts(path: Path, about: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the record at ``path`` says of itself, if it was made with these settings.

    Raises:
        IntegrityError: it is damaged.

    """
    if not record_exists(path):
        return None
    held = verified(path)
    return held if all(held.get(key) == value for key, value in about.items()) else None


def run_all(
    engine: Engine,
    progress: Progress,
    what: str,
    function: Callable[[Any], None],
    tasks: Sequence[Any],
    name: Callable[[Any], str],
) -> None:
    """Every task, however many fail; then what the first failure says.

    Raises:
        StratigraphError: a task failed; what the others wrote is kept.

    """
    failures = []
    with progress.counting(what, len(tasks)) as counter:
        for outcome in engine.map(function, tasks):
            counter.advance()
            if outcome.failure is not None:
                failures.append((tasks[outcome.index], outcome.failure))
    if failures:
        task, failure = failures[0]
        if isinstance(failure.error, StratigraphError):
            raise failure.error
        raise StratigraphError(
            f"{what}: {len(failures)} of {len(tasks)} failed; the first, {name(task)}: "
            f"{failure.message}\n{failure.traceback}"
        )


def extract_study(study: Study, engine: Engine, progress: Progress) -> int:
    """Extract every snapshot that has not been; return how many were.

    Raises:
        DataError: a recorded study has lost what was read at a snapshot.
        StratigraphError: a snapshot could not be read; those that could are kept.

    """
    if study.config.recorded:
        if study.way.source is not None:
            raise ConfigError(
                f"study {study.config.name} was recorded: its layers were read while it trained, "
                f"so it cannot be read the {study.way.name} way."
            )
        check_recorded(study)
        return 0
    tasks = []
    for run in study.runs.values():
        about = reading_digest(study, run)
        remove_leftovers(run.path / f"representations{study.way.folder}")
        keep_probes(study.path, run.config, study.config.probes)
        for step in study.steps(run):
            record = representations_path(run.path, step, study.way.folder)
            if current_facts(record, about) is None:
                tasks.append(
                    ExtractTask(
                        run.path,
                        run.config.to_dict(),
                        step,
                        study.config.probes,
                        study.config.activations,
                        record,
                        about,
                    )
                )
    run_all(
        engine,
        progress,
        "extracting snapshots",
        extract_task,
        tasks,
        lambda task: f"{task.run.name} at step {task.step}",
    )
    return len(tasks)
