"""One run of a study, read from its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from stratigraph.data import Dataset
from stratigraph.errors import DataError, InputError
from stratigraph.markup import html_table
from stratigraph.models import Network
from stratigraph.records import load_snapshot, record_exists, snapshot_steps, verified
from stratigraph.study.exported import Export
from stratigraph.study.layout import METRICS, metrics_path
from stratigraph.study.state import read_state
from stratigraph.study.summary import as_lines, summarise_run
from stratigraph.training import DataFacts, RecordedConfig, RunConfig, build_network

__all__ = ["Run", "mark_interrupted"]


@dataclass(frozen=True)
class Run:
    """One training of one configuration with one seed, in a folder. Nothing here writes.

    An ``export`` has no folder: only what was exported is known about the run.
    """

    path: Path
    config: RunConfig
    export: Export | None = None

    def __repr__(self) -> str:
        return as_lines(f"Run {self.run_id}", summarise_run(self))

    def _repr_html_(self) -> str:
        return html_table(f"Run {self.run_id}", summarise_run(self))

    @property
    def run_id(self) -> str:
        """The run's name: twelve hexadecimal digits that follow from its configuration."""
        return self.config.run_id

    @property
    def state(self) -> dict[str, Any]:
        """Its progress: ``state`` (waiting, running, done, diverged, failed) and ``step``."""
        if self.export is not None:
            return {"state": "exported", "step": max(self.steps, default=0)}
        return read_state(self.path)

    @property
    def steps(self) -> list[int]:
        """The steps of its snapshots, in order."""
        return snapshot_steps(self.path) if self.export is None else self.export.steps(self.run_id)

    @property
    def metrics(self) -> pd.DataFrame:
        """Losses over training: step, split, loss, reconstruction, regulariser, kl, … (nats)."""
        if self.export is not None:
            return self.export.metrics(self.run_id)
        path = metrics_path(self.path)
        if not record_exists(path):
            raise DataError(f"run {self.run_id} has no metrics yet; train it first.")
        verified(path)
        return pd.read_parquet(path / METRICS)

    def dataset(self) -> Dataset:
        """The data set that it was trained on."""
        return self.config.dataset()

    def model(self, step: int | None = None, data: DataFacts | None = None) -> Network:
        """The network at a snapshot's step, the last by default.

        Args:
            step: one of `steps`.
            data: what is known about the data, if the data set itself is not to be opened.

        Raises:
            InputError: there is no snapshot at that step.
            UntrustedError: it needs a module of an untrusted study.
            IntegrityError: its file is damaged.

        """
        if self.export is not None:
            raise InputError(
                f"run {self.run_id} was exported without its weights; open the study itself."
            )
        steps = self.steps
        if step is None and not steps:
            raise InputError(f"run {self.run_id} has no snapshot yet; train it first.")
        model = build_network(self.config, self.dataset() if data is None else data)
        self.load(model, steps[-1] if step is None else step)
        return model

    def load(self, model: nn.Module, step: int) -> None:
        """Load the weights of a snapshot into the caller's network.

        Raises:
            InputError: there is no snapshot at that step.
            IntegrityError: its file is damaged.
            DataError: the weights do not fit the network, or were not kept.

        """
        load_snapshot(self.path, step, model)


def mark_interrupted(run: Run, state: dict[str, Any]) -> dict[str, Any]:
    """The state of a run that says that it runs, and of which nothing was heard for `SILENT`."""
    recorded = isinstance(run.config, RecordedConfig)
    goes_on = "nothing was heard of it since" if recorded else "the next `stratigraph run` resumes"
    return {**state, "state": "interrupted", "reason": goes_on}
