"""`stratigraph.stages.train.run_task`, whose process is killed at its seventh step, once a run."""

from __future__ import annotations

import importlib
import os
import signal
from typing import Any

from stratigraph.stages.state import StateFile
from stratigraph.stages.train import TrainTask, train_run
from stratigraph.training import RunConfig

_beat = StateFile.beat


def run_task(task: TrainTask) -> dict[str, Any]:
    """Train with a checkpoint at every step, and die after that of the seventh."""
    importlib.import_module("stratigraph.stages.trainer").CHECKPOINT_SECONDS = -1.0
    died = task.directory.with_suffix(".died")

    def beat(self: StateFile, step: int, loss: float | None) -> None:
        if step == 7 and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        _beat(self, step, loss)

    StateFile.beat = beat  # type: ignore[method-assign]
    return train_run(task.directory, RunConfig.from_dict(task.config), task.device)
