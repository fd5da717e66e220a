"""What one measure of a study is compared of: its labels, its files, and where tasks run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from stratigraph.engine import Engine
from stratigraph.errors import ConfigError
from stratigraph.stages.progress import Progress
from stratigraph.study import DECONFOUNDED, MeasureConfig, Selection, Study

__all__ = ["Job"]


@dataclass(frozen=True)
class Job:
    """What one measure of a study is compared of, and where."""

    study: Study
    measure: MeasureConfig
    labels: pd.DataFrame
    files: list[Path]
    engine: Engine
    progress: Progress
    disk: int | None = None

    @cached_property
    def wanted(self) -> Selection:
        """The pairs asked for."""
        return Selection(self.labels, self.measure.pairs)

    def sets(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """The labels of each set of probes: only within one can representations be compared."""
        for probes in self.labels["probes"].unique():
            yield str(probes), self.labels[self.labels["probes"] == probes]

    def input_row(self, own: pd.DataFrame) -> int | None:
        """Where the measure regresses the input out: its row, the same for every run and step.

        Raises:
            ConfigError: the study reads no such layer.

        """
        if self.measure.name != DECONFOUNDED:
            return None
        inputs = own.index[own["layer"] == "input"]
        if not len(inputs):
            raise ConfigError(
                f"measures: {DECONFOUNDED} regresses the input out, and the study reads no layer "
                "`input`; add it to activations: layers."
            )
        return int(inputs[0])
