"""The losses of a run over training, as one Parquet file that is replaced whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from stratigraph.snapshots import replace_file

__all__ = ["MetricsLog"]


class MetricsLog:
    """Rows of (step, split, loss, reconstruction, regulariser, kl); loss terms in nats an image.

    A ``training`` row, every ``log_every`` steps and at each snapshot, is of the batch of the
    update that led to its step; a ``validation`` row is of held-out images at that step.
    """

    def __init__(self, run: Path) -> None:
        self.path = run / "metrics.parquet"
        self.rows: list[dict[str, Any]] = []

    def load(self, last_step: int) -> None:
        """Take up what was logged up to a step, and forget what came after."""
        if self.path.is_file():
            table = pd.read_parquet(self.path)
            kept = table[table["step"] <= last_step].to_dict("records")
            self.rows = [{str(key): value for key, value in row.items()} for row in kept]

    def add(self, step: int, split: str, terms: Mapping[str, float]) -> None:
        """One more row."""
        self.rows.append({"step": step, "split": split, **terms})

    def save(self) -> None:
        """Replace the file by what is logged now."""
        table = pd.DataFrame(self.rows)
        replace_file(self.path, lambda path: table.to_parquet(path, index=False))
