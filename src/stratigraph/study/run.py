"""One run of a study, read from its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from stratigraph.data import Dataset
from stratigraph.errors import DataError, InputError
from stratigraph.models import Network
from stratigraph.snapshots import load_snapshot, read_json, snapshot_steps
from stratigraph.training import RunConfig, build_network

__all__ = ["Run", "read_state"]


def read_state(path: Path) -> dict[str, Any]:
    """The state of the run in a folder: ``state``, ``step`` and more; ``waiting`` if none yet."""
    file = path / "state.json"
    if not file.is_file():
        return {"state": "waiting", "step": 0}
    state = read_json(file)
    if not isinstance(state, dict) or not {"state", "step"} <= state.keys():
        raise DataError(f"{file}: not a run's state; delete it, and the run goes on.")
    return state


@dataclass(frozen=True)
class Run:
    """A training of one configuration with one seed, in a folder. Nothing here writes."""

    path: Path
    config: RunConfig

    @property
    def run_id(self) -> str:
        """The run's name: twelve hexadecimal digits that follow from its configuration."""
        return self.config.run_id

    @property
    def state(self) -> dict[str, Any]:
        """Where it stands: ``state`` (waiting, running, done, diverged, failed) and ``step``."""
        return read_state(self.path)

    @property
    def steps(self) -> list[int]:
        """The steps of its snapshots, in order."""
        return snapshot_steps(self.path)

    @property
    def metrics(self) -> pd.DataFrame:
        """Losses over training: step, split, loss, reconstruction, regulariser, kl (nats)."""
        path = self.path / "metrics.parquet"
        if not path.is_file():
            raise DataError(f"run {self.run_id} has no metrics yet; train it first.")
        return pd.read_parquet(path)

    def dataset(self) -> Dataset:
        """The data set that it was trained on."""
        return self.config.dataset()

    def model(self, step: int | None = None) -> Network:
        """The network at a snapshot's step, the last by default.

        Raises:
            InputError: there is no snapshot at that step.
            IntegrityError: its file is damaged.

        """
        steps = self.steps
        if step is None and not steps:
            raise InputError(f"run {self.run_id} has no snapshot yet; train it first.")
        model = build_network(self.config, self.dataset())
        load_snapshot(self.path, steps[-1] if step is None else step, model)
        return model
