"""Extract: what every layer of every snapshot represents on the probes.

A task is one snapshot. Each layer's activation (n, p) becomes coordinates (n, r), r ≤ min(n, p),
with the same inner products between probes (`stratigraph.similarity.reduction`), so nothing after
this stage depends on the layer's width. They are kept as one ``.npy`` a layer. A VAE's posterior,
mean and log-variance (2, n, z), stands beside them as it is, since its units have a meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from stratigraph.activations import read_network
from stratigraph.engine import Engine
from stratigraph.errors import ConfigError
from stratigraph.models import VAE
from stratigraph.records import Files, remove_leftovers, write_record
from stratigraph.similarity.reduction import reduce_units
from stratigraph.stages.floors import keep_floors
from stratigraph.stages.progress import Progress
from stratigraph.stages.recorded import check_recorded
from stratigraph.stages.task import POSTERIOR, ReadingTask, make_records, reading_digest, task_of
from stratigraph.study import Study, keep_probes, probe_images, probe_noise, representations_path

__all__ = ["extract_snapshot", "extract_study"]


def extract_snapshot(task: ReadingTask) -> None:
    """Read one snapshot's layers on the probes and write their record."""
    run, (step,) = task.run, task.steps
    shape = None if task.data is None else run.dataset().image_shape
    images = probe_images(task.shown, task.probes, shape)
    noise = probe_noise(task.probes, task.activations, run, step, len(images))
    model = run.model(step)
    layers: list[dict[str, Any]] = []

    def fill(files: Files) -> None:
        if isinstance(model, VAE):
            files.array(POSTERIOR, _posterior(model, images))
        reading = task.activations
        for name, activation in read_network(
            model, images, noise, reading.layers, decoder_input=reading.decoder_input
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


def extract_study(study: Study, engine: Engine, progress: Progress) -> int:
    """Extract every snapshot that has not been; return how many were.

    Raises:
        DataError: a recorded study has lost what was read at a snapshot.
        StratigraphError: a snapshot could not be read; those that could are kept.

    """
    if study.config.recorded:
        if study.way.source is not None or study.way.data is not None:
            raise ConfigError(
                f"study {study.config.name} was recorded: its layers were read while it trained, "
                f"so it cannot be read the {study.way.name} way."
            )
        check_recorded(study)
        return 0
    made = make_records(
        engine, progress, "extracting snapshots", extract_snapshot, _list_tasks(study)
    )
    keep_floors(study)  # now, while the data are at hand
    return made


def _list_tasks(study: Study) -> Iterator[ReadingTask]:
    for run in study.runs.values():
        remove_leftovers(run.path / f"representations{study.way.folder}")
        keep_probes(study.path, study.shown(run), study.config.probes)
        about = reading_digest(study, run)
        for step in study.steps(run):
            record = representations_path(run.path, step, study.way.folder)
            yield task_of("extract", study, run, [step], record, about)
