"""What a report is made of: each part of a study is read, or computed, once for all figures.

The numbers behind the figures are functions from it to arrays and tables (`learning_data`,
`heat_data`, `map_data`, `image_data`); nothing of them draws.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from stratigraph.evidence import Evidence, gather, similarity_to_final, steps_to_reach
from stratigraph.identity import canonical
from stratigraph.study import Run, Study, probe_indices
from stratigraph.training import RunConfig

__all__ = ["THRESHOLD", "Configuration", "ReportData", "Scored", "slug"]

THRESHOLD = 0.9  # of its final similarity: there a layer has arrived


@dataclass(frozen=True)
class Configuration:
    """The runs that differ by their seed alone, of which at least one has a snapshot."""

    label: str
    slug: str
    objective: str
    strength: float | None
    data: str
    architecture: str
    runs: tuple[Run, ...]

    @property
    def first(self) -> Run:
        """The run that stands for it where only one can be shown."""
        return self.runs[0]

    @property
    def group(self) -> str:
        """What it shares with configurations of other strengths."""
        return f"{self.objective} on {self.data}, {self.architecture.replace('_', ' ')}"


@dataclass(frozen=True)
class Scored:
    """The matrix of one measure."""

    study: Study
    measure: str

    @cached_property
    def values(self) -> np.ndarray:
        """The scores, memory-mapped: (k, k)."""
        values: np.ndarray = self.study.similarity(self.measure).values
        return values

    @cached_property
    def labels(self) -> pd.DataFrame:
        """One row a representation, (k, …)."""
        return self.study.labels(self.measure)

    @cached_property
    def places(self) -> dict[tuple[str, int], np.ndarray]:
        """The rows of the matrix of a run's layers at a step."""
        run, step = self.labels["run"].to_numpy(), self.labels["step"].to_numpy()
        found: dict[tuple[str, int], list[int]] = {}
        for row, key in enumerate(zip(run.tolist(), step.tolist(), strict=True)):
            found.setdefault(key, []).append(row)
        return {key: np.array(rows) for key, rows in found.items()}

    @cached_property
    def layers(self) -> np.ndarray:
        """The layer of each row, (k,)."""
        return self.labels["layer"].to_numpy(dtype=object)

    @cached_property
    def to_final(self) -> pd.DataFrame:
        """Every layer's approach to its final state (`stratigraph.evidence.trajectories`)."""
        return similarity_to_final(self.study, self.measure)

    @cached_property
    def reached(self) -> dict[str, pd.DataFrame]:
        """When layers come to `THRESHOLD`, of their similarity and of their progress."""
        columns = ("similarity", "progress")
        return {column: steps_to_reach(self.to_final, THRESHOLD, column) for column in columns}


@dataclass(frozen=True)
class ReportData:
    """A study as its report sees it. Every part is made when it is first asked for, and then kept.

    Args:
        study: a compared study.

    """

    study: Study

    @cached_property
    def scored(self) -> dict[str, Scored]:
        """The measures that are 1 for identical representations, in the order of the file."""
        return {measure: Scored(self.study, measure) for measure in self.study.scores()}

    @property
    def first(self) -> Scored:
        """The measure that stands for all where only one is shown."""
        return next(iter(self.scored.values()))

    @cached_property
    def source(self) -> str:
        """What its matrices were made of."""
        return str(self.study.similarity(self.first.measure).attrs["representations"])

    @cached_property
    def configurations(self) -> list[Configuration]:
        """Those compared, with a final state, seeds joined, in the order of the file."""
        # A study that has grown since it was compared holds runs that no matrix knows of yet.
        compared = set(self.first.labels["run"])
        return _configurations([self.study.runs[i] for i in self.study.complete() if i in compared])

    @cached_property
    def configuration_of(self) -> dict[str, Configuration]:
        """Run → its configuration."""
        return {run.run_id: c for c in self.configurations for run in c.runs}

    @cached_property
    def evidence(self) -> Evidence | None:
        """What findings are judged by; None of a study that was compared by other measures."""
        return gather(self.study) if self.study.way.cka in self.study.measures() else None

    @cached_property
    def findings(self) -> list[dict[str, Any]]:
        """The findings, if they are of these matrices: others would stand beside wrong figures."""
        return self.study.findings if self.study.findings_are_current() else []

    @cached_property
    def ways_compared(self) -> list[dict[str, Any]]:
        """What the published way changes, of the same findings."""
        return self.study.ways_compared if self.findings else []

    @cached_property
    def metrics(self) -> dict[str, pd.DataFrame]:
        """Run → what was logged of it, where it has a snapshot."""
        return {run_id: run.metrics for run_id, run in self.study.runs.items() if run.steps}

    @cached_property
    def probes(self) -> list[int]:
        """How many probes there are of each set of data (duplicates may have been dropped)."""
        if self.study.export is not None:  # the data may be elsewhere
            return [self.study.config.probes.count]
        configs = {c.data: c.first.config for c in self.configurations}
        return sorted(
            {len(probe_indices(one, self.study.config.probes)) for one in configs.values()}
        )


def _configurations(runs: list[Run]) -> list[Configuration]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(canonical({**run.config.to_dict(), "seed": 0}), []).append(run)
    tables = [runs[0].config.to_dict() for runs in groups.values()]
    varies = {
        key
        for key in ("data", "architecture", "latents", "reconstruction", "initialisation")
        if any(table[key] != tables[0][key] for table in tables)
    }
    parameters: dict[tuple[str, str], set[Any]] = {}
    for table in tables:
        for key, value in table["objective"].items():
            parameters.setdefault((table["objective"]["name"], key), set()).add(value)
    # An objective's strength is always said, its other parameters where they tell runs apart.
    varies |= {f"{name}.{key}" for (name, key), values in parameters.items() if len(values) > 1}
    found: list[Configuration] = []
    for runs in groups.values():
        label = _label(runs[0].config, varies)
        if any(label == other.label for other in found):  # they differ in a rarer setting
            label = f"{label} ({runs[0].run_id[:4]})"
        config = runs[0].config
        found.append(
            Configuration(
                label, slug(label), config.objective["name"], config.strength,
                " ".join(_words(config.data)), config.architecture_name, tuple(runs),
            )
        )  # fmt: skip
    return found


def slug(text: str) -> str:
    """A text as a file's name: letters and digits joined by single dashes."""
    return re.sub(r"[^0-9A-Za-z]+", "-", text).strip("-")


def _words(values: Mapping[str, Any]) -> list[str]:
    """``{name: sprites, size: 32}`` as ``sprites``, ``size 32``."""
    return [str(v) if k == "name" else f"{k} {v}" for k, v in values.items()]


def _label(config: RunConfig, varies: set[str]) -> str:
    objective = config.objective
    words = [objective["name"]]
    words += [
        f"{key} = {value:g}" if isinstance(value, int | float) else f"{key} = {value}"
        for key, value in objective.items()
        if key == config.strength_name or f"{objective['name']}.{key}" in varies
    ]
    if "data" in varies:
        words.append(" ".join(_words(config.data)))
    if "latents" in varies:
        words.append(f"{config.latents} latents")
    if "architecture" in varies:
        words.append(config.architecture_name)
    for key in ("reconstruction", "initialisation"):
        if key in varies:
            words.append(getattr(config, key))
    if config.freezing is not None:
        words.append("freezing")
    if isinstance(config.on_collapse, Mapping):
        words.append(f"on collapse {config.on_collapse['action']}")
    return ", ".join(words)
