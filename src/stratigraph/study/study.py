"""A study, read from its folder: its runs, its similarity matrices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from stratigraph.errors import DataError, InputError, suggest
from stratigraph.snapshots import (
    MANIFEST,
    read_json,
    read_text,
    record_exists,
    snapshot_steps,
    verified,
)
from stratigraph.study.config import StudyConfig, parse_config, study_measure
from stratigraph.study.layout import (
    CONFIG,
    STUDY_FILE,
    findings_path,
    run_path,
    scores_path,
    similarity_path,
)
from stratigraph.study.run import Run
from stratigraph.study.ways import CORRECTED, Way, find_way
from stratigraph.study.yaml_file import parse_yaml
from stratigraph.training import RunConfig, any_config

__all__ = ["Study", "load_study"]


@dataclass(frozen=True)
class Study:
    """A folder that holds a study. Nothing here writes."""

    path: Path
    config: StudyConfig
    runs: Mapping[str, Run] = field(repr=False)
    way: Way = CORRECTED

    def read(self, way: str | Way) -> Study:
        """The same study, read another way (`stratigraph.study.ways`).

        Raises:
            InputError: no way has this name.

        """
        chosen = find_way(way) if isinstance(way, str) else way
        own = _held_config(self.path)
        return replace(self, config=own.read(chosen), way=chosen)

    def steps(self, run: Run) -> list[int]:
        """The steps of a run's snapshots that are compared."""
        return [step for step in run.steps if step >= self.way.first * run.config.steps]

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
                f"{prefix!r} begins several runs: {', '.join(run.run_id for run in found)}; "
                "give more digits."
            )
        return found[0]

    def measures(self) -> list[str]:
        """The measures whose similarity matrices are there."""
        return [
            measure.name
            for measure in self.config.measures
            if record_exists(similarity_path(self.path, measure.name, self.way.folder))
        ]

    def complete(self) -> list[str]:
        """The runs that have reached their last step: only these have a final state."""
        return [i for i, run in self.runs.items() if run.steps[-1:] == [run.config.steps]]

    def scores(self) -> list[str]:
        """Those of `measures` that are 1 for identical representations, so no distances."""
        return [name for name in self.measures() if study_measure(name).itself == 1]

    def disentanglement(self) -> pd.DataFrame:
        """The disentanglement scores of the runs' latents: one row a run, step and score.

        Columns: run, step, score, value, n (probes), reason (why a value is NaN), and of_<factor>,
        the share of each factor where a score has one. Runs that were not scored, or cannot be, are
        not in it (`stratigraph.pipeline.disentangle`).

        Raises:
            IntegrityError: a record is damaged.

        """
        tables = []
        for run_id, run in self.runs.items():
            folder = scores_path(run.path)
            if record_exists(folder):
                verified(folder)
                own = pd.read_parquet(folder / "scores.parquet")
                own.insert(0, "run", run_id)
                tables.append(own)
        known = [table for table in tables if len(table)]
        if known:
            return pd.concat(known, ignore_index=True)
        return pd.DataFrame(columns=["run", "step", "score", "value", "n", "reason"])

    def labels(self, measure: str) -> pd.DataFrame:
        """One row a representation, in the order of the matrix: run, step, layer and more."""
        return self._opened(measure)[1].copy()

    def similarity(self, measure: str) -> xr.DataArray:
        """The similarity matrix: (k, k), dims x and y, with the labels as coordinates.

        Of a measure with a tolerance, the coordinates ``lower`` and ``upper`` (x, y) are the ends
        of intervals that hold the exact scores for certain, and the values their middles.

        The values are memory-mapped. NaN means undefined, for the reason in the coordinate
        ``reason_x``, or not asked for (see the study's ``pairs``).

        Raises:
            InputError: the study has no such matrix.
            IntegrityError: it is damaged.

        """
        values, labels, about = self._opened(measure)
        coordinates: dict[str, Any] = {
            f"{name}_{axis}": (axis, labels[name].to_numpy())
            for axis in ("x", "y")
            for name in labels.columns
        }
        if about.get("tolerance") is not None:
            folder = self._matrix_folder(measure)
            for end in ("lower", "upper"):
                coordinates[end] = (("x", "y"), _mapped(folder / f"{end}.npy"))
        return xr.DataArray(values, dims=("x", "y"), coords=coordinates, name=measure, attrs=about)

    def source(self) -> str:
        """The digest of the representations that the way's CKA was compared of."""
        # The manifest has a seal of its own: the matrix, of gigabytes perhaps, is not read for it.
        manifest = read_json(self._matrix_folder(self.way.cka) / MANIFEST)
        return str(manifest["about"]["representations"])

    def findings_are_current(self) -> bool:
        """Whether ``findings.json`` is of the matrices that the study has now."""
        path = findings_path(self.path)
        if not path.is_file() or self.way.cka not in self.measures():
            return False
        return bool(read_json(path).get("representations", {}).get(self.way.name) == self.source())

    @property
    def findings(self) -> list[dict[str, Any]]:
        """What ``findings.json`` holds: one mapping a claim's question and way.

        Raises:
            InputError: the study was not assessed.

        """
        path = findings_path(self.path)
        if not path.is_file():
            raise InputError(
                f"study {self.config.name} has no findings yet; run `stratigraph assess "
                f"{self.path}`."
            )
        found: list[dict[str, Any]] = read_json(path)["findings"]
        return found

    def _opened(self, measure: str) -> tuple[np.ndarray, pd.DataFrame, dict[str, Any]]:
        folder = self._matrix_folder(measure)
        # Not by the manifest alone: a file changed where it lies must be found out again.
        files = (path.stat() for path in sorted(folder.iterdir()))
        return _open_matrix(folder, tuple((one.st_mtime_ns, one.st_size) for one in files))

    def _matrix_folder(self, measure: str) -> Path:
        folder = similarity_path(self.path, measure, self.way.folder)
        if not record_exists(folder):
            raise InputError(
                f"study {self.config.name} has no similarity matrix {measure!r}; it has "
                f"{', '.join(self.measures()) or 'none yet: run `stratigraph compare`'}."
            )
        return folder


@lru_cache(maxsize=8)
def _open_matrix(
    folder: Path, stamp: tuple[tuple[int, int], ...]
) -> tuple[np.ndarray, pd.DataFrame, dict[str, Any]]:
    """Values, labels and facts, their hashes checked once for each time they were written."""
    about = verified(folder)
    return _mapped(folder / "values.npy"), pd.read_parquet(folder / "labels.parquet"), about


def _mapped(path: Path) -> np.ndarray:
    values: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return values


def _held_config(folder: Path) -> StudyConfig:
    path = folder / STUDY_FILE
    text = read_text(path)
    return parse_config(parse_yaml(text, str(path)), text, most_runs=10**9)


def load_study(path: str | Path) -> Study:
    """The study in a folder.

    Raises:
        DataError: the folder holds no study.
        ConfigError: its study file is not valid, or a newer version wrote it.
        IntegrityError: its study file is damaged, or was changed where it lies.

    """
    folder = Path(path)
    if not (folder / STUDY_FILE).is_file():
        raise DataError(
            f"{path}: no study stands here ({STUDY_FILE} is missing); make one with "
            "`stratigraph run FILE --out DIR`."
        )
    config = _held_config(folder)
    if config.recorded:
        config = replace(config, runs=tuple(_recorded_runs(folder)))
    runs = {run.run_id: Run(run_path(folder, run.run_id), run) for run in config.runs}
    return Study(folder, config, runs)


def _recorded_runs(folder: Path) -> Iterator[RunConfig]:
    """The runs that stand in a folder, each as far as it got, in the order in which they began."""
    found = [path for path in (folder / "runs").glob("*") if (path / CONFIG).is_file()]
    about = [(read_json(path / CONFIG), path) for path in found]
    for facts, path in sorted(about, key=lambda one: (one[0].get("began", 0.0), one[1].name)):
        yield any_config(facts["config"], tuple(snapshot_steps(path)))
