"""The losses of a run over training, as one record that is replaced whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from stratigraph.records import record_exists, verified, write_record
from stratigraph.study import METRICS, metrics_path

__all__ = ["MetricsLog"]


class MetricsLog:
    """Rows of (step, split, loss, reconstruction, regulariser, kl); loss terms in nats an image.

    Then what else the objective logs, such as a discriminator's loss (`objectives.Terms.more`).

    A ``training`` row, every ``log_every`` steps and at each snapshot, is of the batch of the
    update that led to its step; a ``validation`` row is of held-out images at that step.
    """

    def __init__(self, run: Path) -> None:
        self.path = metrics_path(run)
        self.rows: list[dict[str, Any]] = []

    def load(self, last_step: int) -> None:
        """Take up what was logged up to a step, and forget what came after."""
        if record_exists(self.path):
            verified(self.path)
            table = pd.read_parquet(self.path / METRICS)
            kept = table[table["step"] <= last_step].to_dict("records")
            self.rows = [{str(key): value for key, value in row.items()} for row in kept]

    def add(self, step: int, split: str, terms: Mapping[str, float]) -> None:
        """One more row."""
        self.rows.append({"step": step, "split": split, **terms})

    def save(self) -> None:
        """Replace the record by what is logged now."""
        write_record(self.path, lambda files: files.table(METRICS, pd.DataFrame(self.rows)))
