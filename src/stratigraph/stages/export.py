"""Export: what a study found, without its weights, small enough to keep and to share.

::

    study.yaml, findings.json, report/index.html, figures/*
    basis/<way>/rows.parquet        the scores that findings rest on, with their weights
    labels.parquet            one row a representation, ``row`` as the pairs name it
    similarity/<measure>.parquet    row_x, row_y, value (float32): every defined pair, once; with
                                    a tolerance, the ends lower and upper of its interval
    labels-published.parquet, similarity-published/    the same of the published reading
    labels-on-solids.parquet, similarity-on-solids/    the same of all networks on those probes
    latents.parquet, layers.parquet  what was observed of every run, step, latent and layer;
    codes.parquet             of networks of codes, of every position
    scores.parquet            disentanglement scores of every run's latents
    udr.parquet               how far the latents of replicates agree
    metrics.parquet           every run's losses
    export.json               the runs, what is said of each matrix, and every file's SHA-256

The tables are Parquet, or CSV; a matrix can also be one netCDF file, as `Study.similarity` has it.
`stratigraph.load_study` opens the folder for reading. Files are copied that the study's own layout
names, and no link is followed: what a link points at is not of the study.
"""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from stratigraph.errors import (
    InputError,
    StorageError,
    StratigraphError,
    UnsafeFileError,
    suggest,
)
from stratigraph.records import (
    MANIFEST,
    parquet,
    read_json,
    record_exists,
    scratch_folder,
    unlisted,
    verified,
    write_file,
    write_json,
)
from stratigraph.stages.verify import check_item
from stratigraph.study import (
    STUDY_FILE,
    Study,
    observed_path,
    similarity_path,
)
from stratigraph.study.exported import find_export
from stratigraph.study.layout import EXPORT, PLACES, is_root
from stratigraph.version import __version__

__all__ = ["FORMATS", "export_study"]

ROWS = 512  # of the matrix at a time
FORMATS = ("parquet", "csv", "netcdf")


def export_study(study: Study, out: Path, form: str = "parquet") -> int:
    """Write what a compared study found into a folder; return the bytes that it takes.

    Args:
        study: a compared study; its findings and report are taken where they are there.
        out: the folder, made if need be; files of the same names in it are replaced.
        form: one of `FORMATS`: how tables are written. ``netcdf`` is of the matrices, each whole in
            float32 with its labels as coordinates (`xarray.open_dataarray`); the rest is Parquet.

    Raises:
        InputError: nothing was compared yet, or there is no such format.
        StorageError: the folder's path is a file, or the disk would not take it.

    """
    if form not in FORMATS:
        raise InputError(f"--format: {form!r} is not known.{suggest(form, FORMATS)}")
    if study.export is not None:
        raise InputError(f"{study.path}: is an export already; copy the folder.")
    if out.exists() and not out.is_dir():
        raise StorageError(f"{out}: expected a folder, or nothing; choose another --out.")
    if not any(own.measures() for own in study.ways()):
        study.labels(study.config.measures[0].name)  # raises, and says what to do
    if (out / STUDY_FILE).is_file() and not (out / EXPORT).is_file() and find_export(out) is None:
        raise StorageError(f"{out}: holds a study; choose another --out.")
    refuse_links(study.path)
    copied = _own_files(study)
    for name in _list_files(out):
        (out / name).unlink(missing_ok=True)
    write_json(out / EXPORT, {"complete": False})  # until all of it is there
    files: dict[str, str] = {}
    matrices: dict[str, Any] = {}
    tables = "csv" if form == "csv" else "parquet"
    for own in (*study.ways(), *study.others()):
        measures, way = own.measures(), own.way.folder
        if measures:
            labels = own.labels(measures[0]).rename_axis("row").reset_index()
            files |= _table(out, f"labels{way}.{tables}", labels)
        for measure in measures:
            place = similarity_path(Path(), measure, way)
            matrix = own.similarity(measure)
            matrices[f"{measure}{way}"] = dict(matrix.attrs)
            if form == "netcdf":
                files |= _matrix(out, f"{place}.nc", matrix)
            else:
                files |= _table(out, f"{place}.{tables}", pairs_of(own, measure))
    for name, table in _gather_observed(study):
        files |= _table(out, f"{name}.{tables}", table)
    for path in copied:
        files |= _file(out, path.relative_to(study.path).as_posix(), path.read_bytes())
    about = {
        "complete": True,
        "stratigraph": __version__,
        "runs": {run_id: run.config.to_dict() for run_id, run in study.runs.items()},
        "matrices": matrices,
        "files": files,
    }
    write_json(out / EXPORT, about)
    return sum((out / place).stat().st_size for place in (*files, EXPORT))


def _own_files(study: Study) -> list[Path]:
    """The files that are copied as they are: whole, of the study's layout, and no links.

    Raises:
        UnsafeFileError: one of them, or a folder on the way to it, is a link.
        IntegrityError: one is damaged.

    """
    found: list[Path] = []
    for place in (place for place in PLACES if place.exported):
        for path in sorted(study.path.glob(place.glob())):
            if record_exists(path):
                verified(path)
                found += [path / name for name in sorted(read_json(path / MANIFEST)["files"])]
            elif path.is_file():
                check_item(path)
                found.append(path)
    return found


def _list_files(out: Path) -> list[str]:
    """The files of the export that a folder holds already: they make way for the new ones."""
    try:
        export = find_export(out)
    except StratigraphError:
        return []  # damaged, or not whole
    return [] if export is None else list(export.about.get("files", {}))


def refuse_links(study: Path) -> None:
    """Refuse a study in which something of ours, or a folder on the way to it, is a link.

    Raises:
        UnsafeFileError: what a link points at is not of the study.

    """
    folders = [study]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                path = Path(entry.path).relative_to(study)
                ours = is_root(path.parts[0])
                if entry.is_symlink() and ours and not _is_stray(study, path):
                    raise UnsafeFileError(
                        f"{entry.path}: a link, which a study does not hold; nothing was exported. "
                        "Remove it, or put the file itself there."
                    )
                if ours and entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))


def _is_stray(study: Path, path: Path) -> bool:
    """Whether a link lies in a record that does not list it: nothing reads it."""
    record = study / path.parent
    return record_exists(record) and path.name in unlisted(record)


def pairs_of(study: Study, measure: str) -> pd.DataFrame:
    """Every defined pair of a similarity matrix once: row_x ≤ row_y, value, and its interval."""
    found = study.similarity(measure)
    matrix = found.values
    ends = {end: found.coords[end].values for end in ("lower", "upper") if end in found.coords}
    parts = []
    for start in range(0, len(matrix), ROWS):
        block = np.asarray(matrix[start : start + ROWS])
        upper = np.arange(block.shape[1])[None, :] >= np.arange(start, start + len(block))[:, None]
        rows, columns = np.nonzero(upper & np.isfinite(block))
        parts.append(
            pd.DataFrame(
                {
                    "row_x": (rows + start).astype(np.int32),
                    "row_y": columns.astype(np.int32),
                    "value": block[rows, columns].astype(np.float32),
                    # Not rounded: an interval has to hold the exact score.
                    **{end: own[rows + start, columns] for end, own in ends.items()},
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _gather_observed(study: Study) -> Iterator[tuple[str, pd.DataFrame]]:
    """The tables of all runs, joined."""
    latents: list[pd.DataFrame] = []
    layers: list[pd.DataFrame] = []
    codes: list[pd.DataFrame] = []
    metrics: list[pd.DataFrame] = []
    for run_id, run in study.runs.items():
        folder = observed_path(run.path, study.way.folder)
        if record_exists(folder):
            verified(folder)
            for name, tables in (("latents", latents), ("layers", layers), ("codes", codes)):
                if (folder / f"{name}.parquet").is_file():
                    tables.append(pd.read_parquet(folder / f"{name}.parquet").assign(run=run_id))
        if run.steps:
            metrics.append(run.metrics.assign(run=run_id))
    tables_of = {"latents": latents, "layers": layers, "codes": codes, "metrics": metrics}
    for name, tables in tables_of.items():
        known = [table for table in tables if len(table)]
        if known:
            yield name, pd.concat(known, ignore_index=True)
    scores = study.disentanglement()
    if len(scores):
        yield "scores", scores
    agreement = study.agreement()
    if len(agreement):
        yield "udr", agreement


def _file(out: Path, place: str, content: bytes) -> dict[str, str]:
    """Write a file; return its place and its hash."""
    return {place: write_file(out / place, content)}


def _table(out: Path, place: str, table: pd.DataFrame) -> dict[str, str]:
    csv = place.endswith(".csv")
    return _file(out, place, table.to_csv(index=False).encode() if csv else parquet(table, "zstd"))


def _matrix(out: Path, place: str, matrix: xr.DataArray) -> dict[str, str]:
    """A matrix as netCDF 4; its text coordinates as objects, which is what the format can hold."""
    text = {
        name: (own.dims, own.to_numpy().astype(object))
        for name, own in matrix.coords.items()
        if not np.issubdtype(own.dtype, np.number)
    }
    name = Path(place).stem
    plain = matrix.drop_indexes(list(matrix.xindexes))  # which would hold on to the coordinates
    kept = plain.astype(np.float32).assign_coords(text).rename(name)
    kept.attrs = {key: _plain(value) for key, value in matrix.attrs.items()}
    with scratch_folder() as folder:
        file = folder / "matrix.nc"
        packed: dict[Hashable, dict[str, Any]] = {name: {"zlib": True, "complevel": 4}}
        kept.to_netcdf(file, engine="h5netcdf", encoding=packed)
        return _file(out, place, file.read_bytes())


def _plain(value: object) -> str | float | int:
    """An attribute as netCDF can hold it: text and numbers as they are, all else as JSON."""
    return value if isinstance(value, str | float | int) else json.dumps(value)
