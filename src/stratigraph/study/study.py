"""A study, read from its folder: its runs, its similarity matrices."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import xarray as xr

import stratigraph.accessor  # noqa: F401 - which gives matrices their `sg`
from stratigraph.errors import InputError, UntrustedError, suggest
from stratigraph.markup import html_table
from stratigraph.plugins import naming_only, require_plugins
from stratigraph.records import (
    MANIFEST,
    read_json,
    record_exists,
)
from stratigraph.similarity.catalog import ALIASES
from stratigraph.similarity.stochastic_shape import Gaussians
from stratigraph.study.config import StudyConfig, study_measure
from stratigraph.study.exported import Export
from stratigraph.study.layout import (
    findings_path,
    similarity_path,
)
from stratigraph.study.matrix import exported_matrix, map_array, open_matrix
from stratigraph.study.posterior import read_posterior
from stratigraph.study.probes import shown_config
from stratigraph.study.run import Run
from stratigraph.study.summary import as_lines, summarise_study
from stratigraph.study.tables import (
    agreement_table,
    findings_table,
    read_findings,
    scores_table,
)
from stratigraph.study.ways import CORRECTED, WAYS, Way, find_way
from stratigraph.training import RunConfig

if TYPE_CHECKING:
    from stratigraph.report.study_plots import StudyPlots

__all__ = ["Study"]


@dataclass(frozen=True)
class Study:
    """A study in a folder. Nothing here writes.

    Args:
        path: the folder.
        config: the study file, as this way reads it.
        runs: by their ids.
        way: how the study is read.
        file: the study file as written, if it differs from ``config``.
        export: what the folder holds, if it is an export (`stratigraph.study.exported`).
        trusted: whether the modules that it names may be imported (`stratigraph.plugins`).

    """

    path: Path
    config: StudyConfig
    runs: Mapping[str, Run] = field(repr=False)
    way: Way = CORRECTED
    file: StudyConfig | None = field(default=None, repr=False, compare=False)
    export: Export | None = field(default=None, repr=False, compare=False)
    trusted: bool = field(default=True, repr=False, compare=False)

    def __repr__(self) -> str:
        return as_lines(f"Study {self.config.name!r}", summarise_study(self))

    def _repr_html_(self) -> str:
        return html_table(f"Study {self.config.name!r}", summarise_study(self))

    @property
    def plot(self) -> StudyPlots:
        """Its pictures: ``study.plot.convergence()``, ``.findings()``, ``.map()``, ….

        Ink stands higher than studies, so it is looked up when it is asked for.
        """
        plots = importlib.import_module("stratigraph.report.study_plots")
        found: StudyPlots = plots.StudyPlots(self)
        return found

    def reading(self) -> AbstractContextManager[None]:
        """Inside it, modules that the study names are imported if trusted, else refused."""
        return naming_only(None if self.trusted else self.path)

    def require_plugins(self) -> None:
        """Import the modules that it names, before anything that needs them begins.

        Raises:
            UntrustedError: the study is not trusted.
            ConfigError: there is no such module, or it cannot be imported.

        """
        with self.reading():
            require_plugins(self.config.plugins())

    def read(self, way: str | Way) -> Study:
        """The same study, read another way (`stratigraph.study.ways`).

        Raises:
            InputError: no way has this name.

        """
        chosen = find_way(way) if isinstance(way, str) else way
        own = self.file or self.config
        return replace(self, config=own.read(chosen), way=chosen, file=own)

    def ways(self) -> list[Study]:
        """The study in each way that it is, or was, read."""
        names = {CORRECTED.name, *self.config.ways, self.way.name}
        names |= {name for name in WAYS if self.read(name).measures()}
        return [self.read(name) for name in WAYS if name in names]

    def others(self) -> list[Study]:
        """The study with all networks reading the probes of each data set that it lists."""
        return [self.read(way) for way in (self.file or self.config).others]

    def shown(self, run: Run) -> RunConfig:
        """The configuration whose own probes a run is shown."""
        return run.config if self.way.data is None else shown_config(run.config, self.way.data)

    def steps(self, run: Run) -> list[int]:
        """The steps of a run's snapshots that are compared."""
        return self.way.steps(run.steps, run.config.steps)

    def run(self, prefix: str) -> Run:
        """The run whose id begins with ``prefix``.

        Raises:
            InputError: none does, or several do.

        """
        found = [run for run_id, run in self.runs.items() if run_id.startswith(prefix)]
        if not prefix or not found:
            raise InputError(
                f"study {self.config.name} has no run {prefix!r}." + suggest(prefix, self.runs)
            )
        if len(found) > 1:
            raise InputError(
                f"{prefix!r} is the beginning of several runs: "
                f"{', '.join(run.run_id for run in found)}; "
                "give more digits."
            )
        return found[0]

    def measures(self) -> list[str]:
        """The measures that have a similarity matrix."""
        return [measure.name for measure in self.config.measures if self._has(measure.name)]

    def _has(self, measure: str) -> bool:
        if self.export is not None:
            return self.export.has(measure, self.way.folder)
        return record_exists(similarity_path(self.path, measure, self.way.folder))

    def complete(self) -> list[str]:
        """The runs that have reached their last step: only these have a final state."""
        return [i for i, run in self.runs.items() if run.steps[-1:] == [run.config.steps]]

    def scores(self) -> list[str]:
        """Those of `measures` that are 1 for identical representations, so not distances."""
        with self.reading():
            return [name for name in self.measures() if _is_score(name)]

    def disentanglement(self) -> pd.DataFrame:
        """The disentanglement scores of the runs' latents: one row per run, step and score.

        Columns: run, step, score, value, n (probes), reason (why a value is NaN), and of_<factor>,
        each factor's share if the score has one. Runs that were not or cannot be scored are left
        out (`stratigraph.stages.score`).

        Raises:
            IntegrityError: a record is damaged.

        """
        return scores_table(self)

    def agreement(self) -> pd.DataFrame:
        """How far the latents of replicates agree: UDR, which needs no factors (arXiv 1905.12614).

        Columns: run, step, score (``udr``), value, n (probes), informative (latents), others (runs
        it was compared with), reason. Configurations with one run are left out.

        Raises:
            IntegrityError: the record is damaged.

        """
        return agreement_table(self)

    def posterior(self, run: str, step: int | None = None) -> Gaussians:
        """A run's posterior of the probes at a step: mean and variance of q(z|x), (n, z).

        Args:
            run: the beginning of its id.
            step: a snapshot's step, by default the last.

        Raises:
            InputError: no such run or step, or its posterior was not kept.
            IntegrityError: the record is damaged.

        """
        return read_posterior(self, self.run(run), step)

    def labels(self, measure: str) -> pd.DataFrame:
        """One row per representation, in the order of the matrix: run, step, layer and more."""
        measure = self.name_measure(measure)
        if self.export is not None:
            return self.export.labels(self.way.folder)
        return self._open_matrix_of(measure)[1].copy()

    def similarity(self, measure: str) -> xr.DataArray:
        """The similarity matrix: (k, k), dims x and y, with the labels as coordinates.

        Select by any of these, which end in ``_x`` for x and in ``_y`` for y:
        ``m.sel(run_x=run.run_id, layer_x=["z_mean", "decoder.conv1"], step_x=slice(0, 1000))``.

        For a measure with a tolerance, the coordinates ``lower`` and ``upper`` (x, y) are the ends
        of intervals guaranteed to hold the exact scores, and the values their middles.

        The values are memory-mapped. NaN means undefined, for the reason in the coordinate
        ``reason_x``, or not asked for (see the study's ``pairs``).

        Raises:
            InputError: the study has no such matrix.
            IntegrityError: it is damaged.

        """
        measure = self.name_measure(measure)
        if self.export is not None:
            return exported_matrix(self.export, measure, self.way.folder)
        matrix = self._open_matrix_of(measure)[0].copy(deep=False)
        matrix.name = measure
        if matrix.attrs.get("tolerance") is not None:
            folder = self._matrix_folder(measure)
            ends = {end: map_array(folder / f"{end}.npy") for end in ("lower", "upper")}
            matrix = matrix.assign_coords({end: (("x", "y"), own) for end, own in ends.items()})
        return matrix

    def source(self) -> str:
        """The digest of the representations from which the way's CKA was computed."""
        if self.export is not None:
            about = self.export.about.get("matrices", {}).get(f"{self.way.cka}{self.way.folder}")
            return str((about or {}).get("representations", ""))
        # The manifest has a seal of its own: the matrix, of gigabytes perhaps, is not read for it.
        manifest = read_json(self._matrix_folder(self.way.cka) / MANIFEST)
        return str(manifest["about"]["representations"])

    def findings_are_current(self) -> bool:
        """Whether ``findings.json`` was made from the study's present matrices."""
        path = findings_path(self.path)
        if not path.is_file() or self.way.cka not in self.measures():
            return False
        if self.export is not None:
            return True  # they were exported together
        return bool(read_json(path).get("representations", {}).get(self.way.name) == self.source())

    @property
    def findings(self) -> list[dict[str, Any]]:
        """What ``findings.json`` holds: one mapping per question and way.

        Raises:
            InputError: the study was not assessed.

        """
        found: list[dict[str, Any]] = read_findings(self)["findings"]
        return found

    def findings_frame(self) -> pd.DataFrame:
        """The findings as a table: one row per question, way and measure.

        Columns: claim, key, statement, way, family, verdict, reason, measure, value, lower, upper,
        null, runs, seeds, p, p_holm (of the measure that decides) and why.

        Raises:
            InputError: the study was not assessed.

        """
        return findings_table(self.findings)

    @property
    def ways_compared(self) -> list[dict[str, Any]]:
        """What the published way of reading changes: one mapping per question and measure.

        Empty if the study was not read that way, or was assessed by an earlier version.

        Raises:
            InputError: the study was not assessed.

        """
        return list(read_findings(self).get("ways_compared", []))

    def _open_matrix_of(self, measure: str) -> tuple[xr.DataArray, pd.DataFrame]:
        folder = self._matrix_folder(measure)
        # Not by the manifest alone: a file changed where it lies must be found out again.
        files = (path.stat() for path in sorted(folder.iterdir()))
        return open_matrix(folder, tuple((one.st_mtime_ns, one.st_size) for one in files))

    def _matrix_folder(self, measure: str) -> Path:
        measure = self.name_measure(measure)
        return similarity_path(self.path, measure, self.way.folder)

    def name_measure(self, measure: str) -> str:
        """The name of a measure's matrix here, given its name or alias.

        Raises:
            InputError: the study has no such matrix.

        """
        for name in (measure, ALIASES.get(measure, measure)):
            if self._has(name):
                return name
        raise InputError(
            f"study {self.config.name} has no similarity matrix {measure!r}; it has "
            f"{', '.join(self.measures()) or 'none yet: run `stratigraph compare`'}."
        )


def _is_score(measure: str) -> bool:
    """Whether identical representations score 1; nobody knows of a module that is named only."""
    try:
        return study_measure(measure).itself == 1
    except UntrustedError:
        return False
