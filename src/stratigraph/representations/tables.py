"""Tables: Parquet, Arrow and Feather. A row is a probe.

A column of lists is a matrix of its own, a vector a row. Where there is none, the columns of
numbers together are the units of one matrix. A column that a data frame wrote its index into
(``__index_level_0__``) is no unit: it holds ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from stratigraph.errors import DataError
from stratigraph.representations.contents import Contents, check_units, need
from stratigraph.representations.rows import Rows, unpack

__all__ = ["read_arrow", "read_parquet"]

BATCH = 8192  # rows that are read at a time

Batches = Callable[[list[str]], Iterator[Any]]  # of some columns, as pyarrow's record batches


def read_parquet(path: Path, ids: str | None = None) -> Contents:
    """A Parquet file."""
    parquet = need("pyarrow.parquet", "Parquet")
    arrow = need("pyarrow", "Parquet")
    try:
        with path.open("rb") as file:
            schema = parquet.read_schema(file)
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: not readable as Parquet ({error}).") from None

    def batches(columns: list[str]) -> Iterator[Any]:
        with parquet.ParquetFile(path) as file:
            yield from file.iter_batches(BATCH, columns=columns)

    return _table(path, schema, batches, ids)


def read_arrow(path: Path, ids: str | None = None) -> Contents:
    """An Arrow file or stream, or a Feather file."""
    ipc = need("pyarrow.ipc", "Arrow")
    arrow = need("pyarrow", "Arrow")

    def opened() -> Any:
        source = arrow.OSFile(str(path), "rb")
        start = source.read(6)
        source.seek(0)
        if start == b"ARROW1":
            return ipc.open_file(source)
        return ipc.open_stream(source)

    def batches(columns: list[str]) -> Iterator[Any]:
        file = opened()
        count = getattr(file, "num_record_batches", None)
        each = file if count is None else map(file.get_batch, range(count))
        for batch in each:
            batch.validate(full=True)  # offsets of a damaged file may lead outside of its buffers
            yield batch.select(columns)

    try:
        schema = opened().schema
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: not readable as Arrow or Feather ({error}).") from None
    return _table(path, schema, batches, ids)


def _table(path: Path, schema: Any, batches: Batches, ids: str | None) -> Contents:
    types = need("pyarrow", "Arrow").types
    index, labels = _pandas_index(schema, batches)
    vectors, units, text = [], [], {}
    for field in schema:
        kind = field.type
        if any(check(kind) for check in (types.is_list, types.is_large_list)) or (
            types.is_fixed_size_list(kind)
        ):
            vectors.append(field.name)
        elif field.name in (*labels, ids):
            continue
        elif types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
            units.append(field.name)
        else:
            text[field.name] = str(kind)
    matrices: dict[str, Callable[[], Rows]] = {
        name: partial(_unpacked, path, name, batches) for name in vectors
    }
    if units and not vectors:

        def rows() -> Rows:
            check_units(path, units, text)
            return unpack(_columns(path, units, batches), len(units))

        matrices[""] = rows
    columns: dict[str, Callable[[], Any]] = {
        field.name: partial(_labels, field.name, batches)
        for field in schema
        if field.name not in vectors
    }
    return Contents(matrices, columns, index, {n: f"it holds {kind}" for n, kind in text.items()})


def _pandas_index(schema: Any, batches: Batches) -> tuple[Callable[[], Any] | None, list[str]]:
    """How a data frame's index is read, and the columns that it was written into."""
    import pandas as pd

    about = (schema.pandas_metadata or {}).get("index_columns", [])
    names = [name for name in about if isinstance(name, str)]
    if len(names) == 1:
        return partial(_labels, names[0], batches), names
    if len(names) > 1:
        return (
            lambda: pd.MultiIndex.from_arrays([_labels(name, batches) for name in names])
        ), names
    if about and about[0].get("kind") == "range":
        kept = about[0]
        return (lambda: pd.RangeIndex(kept["start"], kept["stop"], kept["step"])), names
    return None, names


def _labels(name: str, batches: Batches) -> Any:
    parts = [batch.column(0).to_pandas() for batch in batches([name])]
    return np.concatenate([part.to_numpy() for part in parts]) if parts else np.array([])


def _columns(path: Path, names: list[str], batches: Batches) -> Iterator[np.ndarray]:
    types = need("pyarrow", "Arrow").types
    for batch in batches(names):
        for column, name in zip(batch.columns, batch.schema.names, strict=True):
            # pandas writes the NaN of floating-point columns as missing: NaN again, told as such.
            if column.null_count and not types.is_floating(column.type):
                raise DataError(f"{path}: column {name!r} has {column.null_count} missing values.")
        yield np.column_stack(
            [column.to_numpy(zero_copy_only=False).astype(np.float64) for column in batch.columns]
        )


def _unpacked(path: Path, name: str, batches: Batches) -> Rows:
    return unpack(_vectors(path, name, batches))


def _vectors(path: Path, name: str, batches: Batches) -> Iterator[np.ndarray]:
    units, start = -1, 0
    for batch in batches([name]):
        column = batch.column(0)
        lengths = np.diff(np.asarray(column.offsets)) if hasattr(column, "offsets") else None
        values = column.flatten()
        if column.null_count or values.null_count:
            raise DataError(f"{path}: column {name!r} has missing vectors, or missing numbers.")
        if not len(column):
            continue
        found = len(values) // len(column)
        units = found if units < 0 else units
        uneven = lengths is not None and bool((lengths != units).any())
        if uneven or found != units:
            raise DataError(
                f"{path}: column {name!r} holds vectors of different lengths, first in rows from "
                f"{start} on; expected {units} numbers in each."
            )
        numbers = values.to_numpy(zero_copy_only=False)
        if numbers.dtype.kind not in "fiub":
            raise DataError(f"{path}: column {name!r} holds lists of {values.type}, not numbers.")
        single = numbers.dtype in (np.float16, np.float32)
        yield numbers.astype(np.float32 if single else np.float64, copy=False).reshape(-1, units)
        start += len(column)
