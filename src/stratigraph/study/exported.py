"""An export of a study, read: its labels, matrices and tables, without weights and records.

`stratigraph.stages.export` writes it. ``export.json`` says that it is one, which runs it is of
and what every file's hash is; exports of before it was written are known by their labels standing
where no run does, and hold nothing to check them by.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import xarray as xr

from stratigraph.errors import DataError, InputError, IntegrityError, UnsafeFileError
from stratigraph.machine import physical_memory
from stratigraph.records import is_sealed, read_json, read_text
from stratigraph.records.contents import TABLES as RECORDS, check_exported
from stratigraph.study.layout import EXPORT, REPLICATES, STUDY_FILE, similarity_path

__all__ = ["EXPORT", "TABLES", "Export", "find_export"]

TABLES = ("parquet", "csv")
MOST_LABELS = 1_000_000
MOST_ROWS = 1_000_000_000  # pairs of 45,000 representations
_WORDS = ("run", "data", "architecture", "objective", "layer", "probes", "reason", "doubt")


def find_export(folder: Path) -> Export | None:
    """The export that a folder holds; None where it holds none.

    Raises:
        DataError: it is not whole, since its export was interrupted.
        IntegrityError: what says so is damaged.

    """
    if (folder / EXPORT).is_file():
        about = read_json(folder / EXPORT)
        if about.get("complete") is not True:
            raise DataError(f"{folder}: its export was interrupted; export the study again.")
        _check_about(folder / EXPORT, about)
        return Export(folder, about)
    labels = any((folder / f"labels.{form}").is_file() for form in TABLES)
    return Export(folder, {}) if labels and not (folder / "runs").exists() else None


def _check_about(path: Path, about: Mapping[str, Any]) -> None:
    """Refuse what no export of ours says: it names files of its own folder alone."""
    kinds = {key: about.get(key) for key in ("runs", "matrices", "files")}
    if not all(isinstance(kind, dict) for kind in kinds.values()):
        raise IntegrityError(f"{path}: damaged; it is not the form of an export.")
    for name in about["files"]:
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise UnsafeFileError(f"{path}: names {name!r}, which is outside the export.")


@dataclass(frozen=True)
class Export:
    """A folder that holds an export. Nothing here writes.

    Args:
        folder: where it is.
        about: what ``export.json`` holds; nothing of an export of before it was written.

    """

    folder: Path
    about: Mapping[str, Any] = field(repr=False, hash=False, compare=False)

    @property
    def configs(self) -> dict[str, Any]:
        """The configuration of every run, by its id; of older exports the study file says them."""
        return dict(self.about.get("runs", {}))

    def read(self, name: str) -> bytes:
        """A file's bytes, checked where the export holds their hash.

        Raises:
            DataError: there is no such file.
            IntegrityError: its bytes are not those that were written.

        """
        path = self.folder / name
        way = [self.folder / parent for parent in PurePosixPath(name).parents][:-1]
        if any(place.is_symlink() for place in (path, *way)) or not path.is_file():
            raise DataError(f"{path}: no such file in this export.")
        content = path.read_bytes()
        expected = self.about.get("files", {}).get(name)
        if self.about and sha256(content).hexdigest() != expected:
            raise IntegrityError(
                f"{path}: damaged; its bytes are not those that were exported. Export the study "
                "again."
            )
        return content

    def text(self) -> str:
        """The study file; older exports hold it without a seal."""
        try:
            text = self.read(STUDY_FILE).decode()
        except UnicodeDecodeError:
            raise IntegrityError(f"{self.folder / STUDY_FILE}: damaged; not UTF-8.") from None
        return read_text(self.folder / STUDY_FILE) if self.about or is_sealed(text) else text

    def json(self, name: str) -> dict[str, Any]:
        """What a JSON file holds; older exports hold it without a seal.

        Raises:
            IntegrityError: its bytes are not those that were exported.

        """
        content = self.read(name)
        try:
            held = json.loads(content)
        except ValueError:
            held = None
        if not isinstance(held, dict):
            raise IntegrityError(f"{self.folder / name}: damaged; not a mapping in JSON.")
        return read_json(self.folder / name) if self.about or "seal" in held else held

    def replicates(self) -> int:
        """How many replicates the study had, beyond what its file says; 0 for no more."""
        return int(self.json(REPLICATES)["replicates"]) if self.holds(REPLICATES) else 0

    def table(self, name: str) -> pd.DataFrame | None:
        """A table by its name without ending; None where it was not exported."""
        for form in TABLES:
            place = f"{name}.{form}"
            if self.holds(place):
                return _table(self, place, (self.folder / place).stat().st_mtime_ns)
        return None

    def holds(self, name: str) -> bool:
        """Whether a file is of the export: where its files are listed, others are somebody's."""
        listed = name in self.about["files"] if self.about else True
        return listed and (self.folder / name).is_file()

    def has(self, measure: str, way: str) -> bool:
        """Whether a measure's matrix is there, read one way."""
        place = similarity_path(Path(), measure, way)
        return any(self.holds(f"{place}.{form}") for form in (*TABLES, "nc"))

    def labels(self, way: str) -> pd.DataFrame:
        """One row a representation, in the order of the matrices.

        Raises:
            DataError: nothing was exported of this way.

        """
        found = self.table(f"labels{way}")
        if found is None:
            raise DataError(f"{self.folder}: holds no labels{way}; the export is not whole.")
        return found.drop(columns="row", errors="ignore")

    def matrix(self, measure: str, way: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """A similarity matrix, float32 (k, k), and with a tolerance its ends by their names.

        A pair that was not exported, since it is not defined or was not asked for, is NaN.

        Raises:
            InputError: there is no such matrix, or not the memory to hold it.

        """
        place = similarity_path(Path(), measure, way)
        k = len(self.labels(way))
        if self.holds(f"{place}.nc"):
            held = _netcdf(self, f"{place}.nc", k)
            ends = {n: held.coords[n].values for n in ("lower", "upper") if n in held.coords}
            return held.values, ends
        pairs = self.table(place.as_posix())
        if pairs is None:
            raise InputError(f"{self.folder}: holds no similarity matrix {measure!r}.")
        wanted = [name for name in ("value", "lower", "upper") if name in pairs]
        needed = 4 * k * k * len(wanted)
        if needed > (physical_memory() or math.inf):
            raise InputError(
                f"{self.folder}: {measure} of {k:,} representations takes {needed:,} bytes as a "
                f"matrix; read the pairs in {place}.* instead."
            )
        x, y = pairs["row_x"].to_numpy(), pairs["row_y"].to_numpy()
        if len(pairs) and not (min(x.min(), y.min()) >= 0 and max(x.max(), y.max()) < k):
            raise DataError(f"{self.folder / place}: a pair has none of the {k:,} labels.")
        whole = {}
        for name in wanted:
            values = np.full((k, k), np.nan, dtype=np.float32)
            values[x, y] = values[y, x] = pairs[name]
            whole[name] = values
        return whole.pop("value"), whole

    def steps(self, run_id: str) -> list[int]:
        """The steps of a run that were compared, or logged where nothing of it was compared."""
        for name in ("labels", "metrics"):
            table = self.table(name)
            if table is not None and (table["run"] == run_id).any():
                return sorted({int(step) for step in table.loc[table["run"] == run_id, "step"]})
        return []

    def metrics(self, run_id: str) -> pd.DataFrame:
        """A run's losses over training.

        Raises:
            DataError: none were exported.

        """
        table = self.table("metrics")
        own = None if table is None else table[table["run"] == run_id].drop(columns="run")
        if own is None or own.empty:
            raise DataError(f"{self.folder}: holds no losses of run {run_id}.")
        return own.dropna(axis="columns", how="all").reset_index(drop=True)


def _netcdf(export: Export, place: str, k: int) -> xr.DataArray:
    """A matrix, whose size is looked at before it is read."""
    try:
        with xr.open_dataarray(io.BytesIO(export.read(place)), engine="h5netcdf") as held:
            if held.shape != (k, k):
                raise DataError(f"{export.folder / place}: {held.shape}; expected ({k}, {k}).")
            return held.load()
    except (OSError, ValueError, KeyError) as error:
        told = str(error).partition("\n")[0]
        raise DataError(f"{export.folder / place}: not readable ({told}).") from error


def _check_pairs(table: pd.DataFrame) -> None:
    """Of a matrix as pairs: two rows of the labels, and numbers; it may be too long to copy."""
    for name in ("row_x", "row_y"):
        if name not in table or table[name].dtype.kind not in "iu":
            raise ValueError(f"its column {name} does not hold whole numbers")
    numbers = [name for name in ("value", "lower", "upper") if name in table]
    if "value" not in table or any(table[name].dtype.kind not in "fiu" for name in numbers):
        raise ValueError("its columns value, lower and upper do not hold numbers")


@lru_cache(maxsize=16)
def _table(export: Export, place: str, time: int) -> pd.DataFrame:
    content = io.BytesIO(export.read(place))
    try:
        if place.endswith(".parquet"):
            rows = pq.read_metadata(content).num_rows
            most = MOST_LABELS if place.startswith("labels") else MOST_ROWS
            if rows > most:  # a few megabytes can stand for more than memory holds
                raise DataError(f"{rows:,} rows; at most {most:,} are read")
            content.seek(0)
            found = pd.read_parquet(content)
        else:
            words = dict.fromkeys(_WORDS, str)
            found = pd.read_csv(content, dtype=words, keep_default_na=False, na_values=[""])
            found = found.fillna(dict.fromkeys(_WORDS, ""))
        record = f"{place.partition('.')[0].partition('-')[0]}.parquet"
        if record in RECORDS:
            check_exported(record, found)
        elif place.startswith("similarity"):
            _check_pairs(found)
    except Exception as error:  # a parser's own, of bytes that nothing vouches for
        told = str(error).partition("\n")[0]
        raise DataError(f"{export.folder / place}: not readable ({told}).") from error
    return found
