"""A study's matrices on disk: scores that are mapped into memory, and their labels."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from stratigraph.records import verified
from stratigraph.study.exported import Export
from stratigraph.study.label_index import with_labels

__all__ = ["coordinates_of", "exported_matrix", "map_array", "open_matrix"]


def coordinates_of(labels: pd.DataFrame) -> dict[str, Any]:
    """The labels of representations as coordinates of both axes."""
    return {
        f"{name}_{axis}": (axis, labels[name].to_numpy())
        for axis in ("x", "y")
        for name in labels.columns
    }


@lru_cache(maxsize=8)
def open_matrix(
    folder: Path, stamp: tuple[tuple[int, int], ...]
) -> tuple[xr.DataArray, pd.DataFrame]:
    """A matrix and its labels, their hashes checked once for each time they were written.

    Its coordinates are made here too, which takes far longer than to look a few scores up in it;
    they are shared by all who ask, so nobody may write into them.
    """
    about = verified(folder)
    labels = pd.read_parquet(folder / "labels.parquet")
    values = map_array(folder / "values.npy")
    coordinates = coordinates_of(labels)
    matrix = xr.DataArray(values, dims=("x", "y"), coords=coordinates, attrs=about)
    matrix = with_labels(matrix)
    for one in matrix.coords.values():
        one.variable.values.setflags(write=False)
    return matrix, labels


def exported_matrix(export: Export, measure: str, way: str) -> xr.DataArray:
    """A matrix of an export, read one way; with a tolerance, the intervals' ends beside it."""
    values, ends = export.matrix(measure, way)
    about = export.about.get("matrices", {}).get(f"{measure}{way}", {})
    coordinates = coordinates_of(export.labels(way))
    matrix = xr.DataArray(values, dims=("x", "y"), coords=coordinates, name=measure, attrs=about)
    beside = {name: (("x", "y"), own) for name, own in ends.items()}
    return with_labels(matrix).assign_coords(beside)


def map_array(path: Path) -> np.ndarray:
    """A file's array, read as it is used."""
    values: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return values
