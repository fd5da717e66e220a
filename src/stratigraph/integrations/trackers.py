"""A study told to a tracker: TensorBoard, MLflow or Weights & Biases.

Each run of the study is a run of the tracker, under its own id. At each step it gets the losses
and whatever else was logged (``loss/validation`` and so on), the number of latents in each regime,
each layer's similarity to its own final state (``to_final/debiased_cka/encoder.conv1``), and at
each snapshot the layer × layer map as a picture. Nothing is sent anywhere by default: TensorBoard
and MLflow write files, and Weights & Biases is used offline (``wandb sync`` sends what it wrote).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from stratigraph.errors import ConfigError, InputError, StorageError, suggest
from stratigraph.evidence import similarity_to_final
from stratigraph.evidence.from_study import observations
from stratigraph.identity import flat
from stratigraph.records import record_exists
from stratigraph.report.figures.style import SCORES
from stratigraph.study import Run, Study, metrics_path

__all__ = ["TRACKERS", "Tracker", "open_tracker", "track_study"]

CELL = 12  # pixels of a cell of a map


class Tracker(Protocol):
    """What takes the runs of a study, one after another, each step by step in order."""

    def begin(self, run: str, name: str, config: Mapping[str, Any]) -> None:
        """A run begins: its id, its name for people, its configuration."""

    def at(self, step: int, scalars: Mapping[str, float], images: Mapping[str, np.ndarray]) -> None:
        """What is known at a step: numbers, and pictures as uint8 (h, w, 3)."""

    def end(self) -> None:
        """The run is over."""


class _TensorBoard:
    def __init__(self, out: Path, study: str) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.make, self.out = SummaryWriter, out

    def begin(self, run: str, name: str, config: Mapping[str, Any]) -> None:
        self.writer = self.make(str(self.out / run))
        self.writer.add_text("configuration", f"{name}\n\n```json\n{json.dumps(config)}\n```")

    def at(self, step: int, scalars: Mapping[str, float], images: Mapping[str, np.ndarray]) -> None:
        for key, value in scalars.items():
            self.writer.add_scalar(key, value, step)
        for key, pixels in images.items():
            self.writer.add_image(key, pixels, step, dataformats="HWC")

    def end(self) -> None:
        self.writer.close()


class _MLflow:
    """Runs of an experiment that is named like the study, in files below ``out``."""

    def __init__(self, out: Path, study: str) -> None:
        # Its file store asks to be wanted; a server or a database needs no files of ours.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        from mlflow import MlflowClient

        self.client = MlflowClient(tracking_uri=out.resolve().as_uri())
        found = self.client.get_experiment_by_name(study)
        self.experiment = (
            self.client.create_experiment(study) if found is None else found.experiment_id
        )

    def begin(self, run: str, name: str, config: Mapping[str, Any]) -> None:
        self.run = self.client.create_run(self.experiment, run_name=name).info.run_id
        self.client.set_tag(self.run, "stratigraph.run", run)
        for key, value in flat(config):
            self.client.log_param(self.run, key, value)

    def at(self, step: int, scalars: Mapping[str, float], images: Mapping[str, np.ndarray]) -> None:
        for key, value in scalars.items():
            self.client.log_metric(self.run, key, value, step=step)
        for key, pixels in images.items():
            self.client.log_image(self.run, pixels, key=key.replace("/", " "), step=step)

    def end(self) -> None:
        self.client.set_terminated(self.run)


class _WandB:
    def __init__(self, out: Path, study: str) -> None:
        import wandb

        self.wandb, self.out, self.study = wandb, out, study
        out.mkdir(parents=True, exist_ok=True)

    def begin(self, run: str, name: str, config: Mapping[str, Any]) -> None:
        self.run = self.wandb.init(
            project=self.study, id=run, name=name, config=dict(config), dir=str(self.out),
            mode="offline", settings=self.wandb.Settings(silent=True),
        )  # fmt: skip

    def at(self, step: int, scalars: Mapping[str, float], images: Mapping[str, np.ndarray]) -> None:
        pictures = {key: self.wandb.Image(pixels) for key, pixels in images.items()}
        self.run.log({**scalars, **pictures}, step=step)

    def end(self) -> None:
        self.run.finish()


TRACKERS: dict[str, tuple[str, Callable[[Path, str], Tracker]]] = {
    "tensorboard": ("tensorboard", _TensorBoard),
    "mlflow": ("mlflow", _MLflow),
    "wandb": ("wandb", _WandB),
}


def open_tracker(name: str, out: Path, study: str) -> Tracker:
    """A tracker that writes into a folder.

    Raises:
        InputError: none has this name.
        ConfigError: it is not installed.
        StorageError: the folder holds something already, which would be told twice.

    """
    if name not in TRACKERS:
        raise InputError(f"--to: no tracker is called {name!r}.{suggest(name, TRACKERS)}")
    module, make = TRACKERS[name]
    if find_spec(module) is None:
        raise ConfigError(
            f"--to {name}: the package {module} is not installed; "
            f"`pip install 'stratigraph[trackers]'` installs it."
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StorageError(
            f"{out}: expected a new or empty folder, since a tracker adds to what is there, and "
            "every step would be in it twice; choose another --out."
        )
    return make(out, study)


def track_study(study: Study, tracker: Tracker) -> int:
    """Tell every run of a study that has begun to a tracker; return how many there were."""
    approach = {measure: similarity_to_final(study, measure) for measure in study.scores()}
    latents, _ = observations(study)
    told = 0
    for run in study.runs.values():
        if not record_exists(metrics_path(run.path)):
            continue
        scalars: dict[int, dict[str, float]] = {}
        for step, key, value in _scalars(run, approach, latents):
            if np.isfinite(value):
                scalars.setdefault(step, {})[key] = float(value)
        images = _maps(study, run)
        tracker.begin(run.run_id, run.config.label(), run.config.to_dict())
        try:
            for step in sorted(scalars.keys() | images.keys()):
                tracker.at(step, scalars.get(step, {}), images.get(step, {}))
        finally:
            tracker.end()
        told += 1
    return told


def _scalars(
    run: Run, approach: Mapping[str, pd.DataFrame], latents: pd.DataFrame
) -> Iterator[tuple[int, str, float]]:
    metrics = run.metrics
    # A recorded run has whatever its caller logged.
    logged = [name for name in metrics.select_dtypes("number") if name != "step"]
    for row in metrics.to_dict("records"):
        for term in logged:
            yield int(row["step"]), f"{term}/{row['split']}", row[term]
    if len(latents):
        for row in latents[latents["run"] == run.run_id].to_dict("records"):
            for regime in ("active", "mixed", "passive"):
                yield int(row["step"]), f"latents/{regime}", row[regime]
    for measure, table in approach.items():
        for row in table[table["run"] == run.run_id].to_dict("records"):
            if row["layer"] != "input":
                yield int(row["step"]), f"to_final/{measure}/{row['layer']}", row["similarity"]


def _maps(study: Study, run: Run) -> dict[int, dict[str, np.ndarray]]:
    """At each step: the layer × layer map of the run by every measure that has one, as pixels."""
    found: dict[int, dict[str, np.ndarray]] = {}
    for measure in study.scores():
        matrix, labels = study.similarity(measure).values, study.labels(measure)
        for step, rows in labels[labels["run"] == run.run_id].groupby("step").groups.items():
            places = rows.to_numpy()
            values = np.asarray(matrix[np.ix_(places, places)])
            if np.isfinite(values).mean() >= 0.5:
                pixels = (255 * SCORES(np.ma.masked_invalid(values))[..., :3]).astype(np.uint8)
                large = pixels.repeat(CELL, axis=0).repeat(CELL, axis=1)
                found.setdefault(int(str(step)), {})[f"layers/{measure}"] = large
    return found
