"""A study of a training that is the caller's own, in three lines.

::

    recorder = sg.record(model, probes, out="results/mine")
    …  recorder.step(loss=loss)      # after every update
    recorder.close()                 # or: with sg.record(…) as recorder

What it keeps is a study like any other, whose file says ``recorded: true``: a folder for each run,
snapshots of the weights, losses, and, since nobody else has the network and its inputs, what every
layer represents on the probes, read at the snapshot. So ``list``, ``show``, ``compare``,
``assess``, ``report`` and ``export`` need neither the network's code nor the data.

A step without a snapshot costs some comparisons. A snapshot leaves the training as it found it, to
the bit: modes, hooks and the random streams. Random draws inside the network (a VAE's sample) are
the same at every snapshot, so that noise is not mistaken for learning.
"""

from __future__ import annotations

import contextlib
import math
import time
import warnings
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from stratigraph.errors import ConfigError, InputError, StorageError
from stratigraph.integrations.probes import ProbeReader
from stratigraph.integrations.read_layers import device_of_model, write_layers
from stratigraph.records import (
    locked,
    record_exists,
    remove_record,
    save_snapshot,
    snapshot_path,
    snapshot_steps,
    write_json,
    write_record,
)
from stratigraph.stages.metrics import MetricsLog
from stratigraph.stages.signs import resumed_signs
from stratigraph.stages.state import StateFile
from stratigraph.study import CONFIG, probes_path, representations_path, run_path
from stratigraph.training import RecordedConfig
from stratigraph.training.signs import Signs
from stratigraph.version import __version__

__all__ = ["Recorder", "TrainingWarning"]

TERMS = ("loss", "reconstruction", "regulariser", "kl")  # the columns of every run's losses


class TrainingWarning(UserWarning):
    """A training shows signs of divergence, collapse or dead layers."""


class Recorder:
    """Records one run; made by `stratigraph.record`.

    Call `step` after every update, and `close` at the end; or use it as a context.
    """

    def __init__(
        self,
        study: Path,
        config: RecordedConfig,
        inputs: ProbeReader,
        due: Callable[[int], bool],
        weights: bool,
        log_every: int,
        start: int,
        made_of: Mapping[str, Any] | None = None,
    ) -> None:
        self.study, self.config, self.inputs = study, config, inputs
        self.due, self.weights, self.log_every = due, weights, log_every
        self.path = run_path(study, config.run_id)
        self.steps = start
        self.made_of = made_of or {}  # what the next snapshot says of where its weights are from
        self.signs = Signs()
        self.loss: float | None = None  # the last finite one
        self._last = 0.0  # the last one logged
        self._terms: dict[str, Any] = {}
        self._kept = -1
        self._closed = False
        _release(self.path)
        self._held = contextlib.ExitStack()
        self._held.enter_context(locked(self.path))
        try:
            self._metrics = MetricsLog(self.path)
            self._state = StateFile(self.path, 0)
            self._begin(start)
        except BaseException:
            self._held.close()
            raise
        _OPEN[str(self.path.resolve())] = self

    @property
    def run_id(self) -> str:
        """The run's name, as ``stratigraph show`` takes it."""
        return self.config.run_id

    def step(self, loss: Any = None, **terms: Any) -> None:
        """Record one more update.

        Args:
            loss: loss of that update, a number or a tensor; read only every ``log_every`` steps.
            terms: other numbers to log with it.

        """
        self.reach(self.steps + 1, loss, **terms)

    def reach(self, step: int, loss: Any = None, **terms: Any) -> None:
        """Record that training has reached update ``step``, perhaps several further.

        Raises:
            ConfigError: the recorder is closed.

        """
        if self._closed:
            raise ConfigError(
                f"{self.path}: this recorder is closed, so step {step} is not recorded; begin "
                f"another with sg.record(…, start={self.steps}) to continue."
            )
        snapshot = any(self.due(passed) for passed in range(self.steps + 1, step + 1))
        logs = step // self.log_every > self.steps // self.log_every
        self.steps = step
        if loss is not None:
            # Detached, or the graph of this step would be held until the next.
            self._terms = {k: _detached(v) for k, v in {"loss": loss, **terms}.items()}
        if self._terms and (snapshot or logs):
            self._log("training", self._terms)
            self._terms = {}
        self._state.steps = step
        self._state.beat(step, self.loss)  # looks at the clock, and seldom writes
        if snapshot:
            self._snapshot()

    def log(self, split: str = "validation", **terms: Any) -> None:
        """Log numbers at this step, for the ``training`` batch or for ``validation``.

        On a closed recorder this does nothing: trainers log a summary after the end.
        """
        if not self._closed:
            self._log(split, terms)

    def point_out(self, step: int, text: str) -> None:
        """Warn of something at a step, once, and keep it among the run's signs."""
        self._tell(self.signs.of_step(step, text))

    def _log(self, split: str, terms: Mapping[str, Any]) -> None:
        row = _row(terms)
        self._metrics.add(self.steps, split, row)
        if split == "training":
            self.loss = row["loss"] if math.isfinite(row["loss"]) else self.loss
            if "loss" in terms:
                self._last = row["loss"]
                self._tell(self.signs.of_loss(self.steps, row["loss"]))

    def close(self, state: str = "done", reason: str = "") -> None:
        """End the recording: keep the last step and release the run.

        A run whose last logged loss is not finite has diverged, as in stratigraph's own trainings:
        its last step is not kept.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._state.steps = self.steps
            if self._terms:
                self._log("training", self._terms)
            if state == "done" and not math.isfinite(self._last):
                state, reason = "diverged", reason or f"the loss is {self._last:g}"
            if self.steps != self._kept and state == "done":
                self._snapshot()
            self._metrics.save()
            self._state.end(state, self.steps, reason)
        finally:
            self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            stopped = issubclass(kind, KeyboardInterrupt)
            self.close("stopped" if stopped else "failed", f"{kind.__name__}: {error}")

    def _begin(self, start: int) -> None:
        """Make the run's folder; or go on with it, without what was recorded after ``start``."""
        there = snapshot_steps(self.path)
        if there and not start:
            raise ConfigError(
                f"{self.path}: this run (the same network, probes, settings and seed) was recorded "
                f"already, up to step {there[-1]}; give another seed or settings, another folder, "
                "or start=STEP to continue it."
            )
        for step in there:
            if step > start:
                # The snapshot first: a step that has one has representations, whatever comes.
                remove_record(snapshot_path(self.path, step))
                remove_record(representations_path(self.path, step))
        probes = probes_path(self.study, self.config.probes)
        about: dict[str, Any]
        if not record_exists(probes):
            about = {"data": self.config.data, "probes": {"inputs": self.config.probes}}
            indices = np.arange(self.config.count)
            write_record(probes, lambda files: files.array("indices.npy", indices), about)
        if start:
            self._metrics.load(start)
            self.signs = resumed_signs(self.path, self._metrics.rows)
            self._state.signs, self._state.told = self.signs.texts, self.signs.told
        if not (self.path / CONFIG).is_file():
            about = {
                "run_id": self.config.run_id,
                "config": self.config.to_dict(),
                "stratigraph": __version__,
                "began": time.time(),
                "conditions": {
                    "data": self.config.probes,
                    "device": device_of_model(self.inputs.model),
                    "torch": torch.__version__,
                },
            }
            write_json(self.path / CONFIG, about)
        if start in there:
            self._kept = start
        else:
            self._snapshot()

    def _snapshot(self) -> None:
        """Weights, representations and losses of this step."""
        if not self._metrics.rows:
            self._metrics.add(self.steps, "training", _row({}))  # nothing was logged yet
        place = representations_path(self.path, self.steps)
        about = {"probes": self.config.probes, "reading": self.config.reading}
        read = write_layers(place, self.inputs, about)
        self._metrics.save()
        # Last: a run has the steps of its snapshots, and each of those is whole.
        kept = self.inputs.model if self.weights else nn.Module()
        save_snapshot(self.path, self.steps, kept, {"run_id": self.run_id, **self.made_of})
        self._kept = self.steps
        # Told when the snapshot is whole, since a warning may be made an error.
        if read.kl is not None:
            self._tell(self.signs.of_latents(self.steps, read.kl))
        self._tell(self.signs.of_layers(self.steps, read.constant_shares))
        self._state.beat(self.steps, self.loss)

    def _tell(self, texts: list[str]) -> None:
        for text in texts:
            warnings.warn(f"{self.run_id} {text}", TrainingWarning, stacklevel=3)
        self._state.signs, self._state.told = self.signs.texts, self.signs.told


# The recorders of this process: a training that failed without closing its own would hold the run.
_OPEN: weakref.WeakValueDictionary[str, Recorder] = weakref.WeakValueDictionary()


def _release(run: Path) -> None:
    """Close the recorder of this process that holds a run, since it is begun again."""
    older = _OPEN.pop(str(run.resolve()), None)
    if older is not None:
        with contextlib.suppress(StorageError):  # its folder is not there any more
            older.close("stopped", "begun again")


def _row(terms: Mapping[str, Any]) -> dict[str, float]:
    """Terms as numbers, with the columns that every run's losses have."""
    return {**dict.fromkeys(TERMS, math.nan), **{k: _number(k, v) for k, v in terms.items()}}


def _number(name: str, value: Any) -> float:
    try:
        return float(_detached(value))
    except (TypeError, ValueError, RuntimeError):
        shape = getattr(value, "shape", None)
        got = type(value).__name__ if shape is None else f"one of shape {tuple(shape)}"
        raise InputError(f"{name}: expected a number or a tensor of one, got {got}.") from None


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value
