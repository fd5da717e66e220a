"""Text: ``.csv`` and ``.tsv``, with a line of names or without. A row is a probe.

The columns of numbers are the units. A first column without a name is the index that a data frame
wrote, and holds ids. A first line that counts the columns (0, 1, 2, …) is one of names.
"""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from stratigraph.errors import DataError
from stratigraph.representations.contents import Contents, check_units, need
from stratigraph.representations.ids import from_text
from stratigraph.representations.rows import Rows, unpack

__all__ = ["read_csv"]

BATCH = 8192  # rows that are read at a time


def read_csv(path: Path, ids: str | None = None) -> Contents:
    """A table of text, with a line of names or without; ``.tsv`` has tabs."""
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    frames = need("pandas", "CSV")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file, delimiter=separator)
            first, second = next(lines, []), next(lines, [])
        if not first:
            raise DataError(f"{path}: empty; expected a table.")
        if second and len(first) != len(second):
            # pandas takes what the first line has no name for as an index, and shifts the rest.
            raise DataError(
                f"{path}: the first line has {len(first)} cells and the second {len(second)}; "
                "expected equally many, separated by commas (.csv) or tabs (.tsv), with points "
                "in numbers. A column of ids without a name needs an empty cell as its name."
            )
        named = _are_names(path, first, second)
        options: dict[str, Any] = {
            "sep": separator,
            "header": 0 if named else None,
            "index_col": False,
        }
        head = frames.read_csv(path, nrows=200, **options)
    except (ValueError, OSError, csv.Error) as error:
        raise DataError(f"{path}: not readable as a table ({error}).") from None
    columns = [str(column) for column in head.columns]
    index = columns[0] if named and first[0] == "" else None
    if named and first.count("") > 1:
        raise DataError(
            f"{path}: {first.count('')} columns have no name, like an index with several levels; "
            "name them, and let one hold ids."
        )
    units: list[str] = []
    text: list[str] = []
    for column, kind in zip(columns, head.dtypes, strict=True):
        if column not in (index, ids):
            (units if kind.kind in "fiub" else text).append(column)

    def column_of(name: str) -> Any:
        # Whole lines, here and below: of chosen columns alone, longer lines are cut and not told.
        try:
            held = frames.read_csv(path, dtype=str, keep_default_na=False, **options)
        except ValueError as error:
            raise DataError(f"{path}: not readable as a table ({error}).") from None
        return from_text(held.iloc[:, columns.index(name)].tolist())

    def rows() -> Rows:
        check_units(path, units, dict.fromkeys(text, "text"))
        at = {name: place for place, name in enumerate(columns)}
        places = [at[name] for name in units]
        try:
            with frames.read_csv(path, chunksize=BATCH, **options) as chunks:
                return unpack((_numbers(c.iloc[:, places], path) for c in chunks), len(units))
        except ValueError as error:
            raise DataError(f"{path}: not readable as a table of numbers ({error}).") from None

    return Contents(
        {"": rows} if units else {},
        {name: partial(column_of, name) for name in columns},
        None if index is None else partial(column_of, index),
        dict.fromkeys(text, "it holds text"),
    )


def _are_names(path: Path, first: list[str], second: list[str]) -> bool:
    """Whether the first line names the columns: by words, or by numbers as an array's frame does.

    Raises:
        DataError: it may be either.

    """
    if not all(map(_is_number, first)):
        return True
    if len(first) > 1 and first == [str(place) for place in range(len(first))]:
        return True
    if (
        all(map(_is_whole, first))
        and len({*first}) == len(first)
        and not all(map(_is_whole, second))
    ):
        raise DataError(
            f"{path}: the first line, {', '.join(first[:3])}{', …' if first[3:] else ''}, may be "
            "names or a row: it holds whole numbers, and the next does not. Name the columns "
            "with words, or write its numbers with a point."
        )
    return False


def _is_whole(cell: str) -> bool:
    return cell.strip().lstrip("+-").isdecimal()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(chunk: Any, path: Path) -> np.ndarray:
    for column, kind in zip(chunk.columns, chunk.dtypes, strict=True):
        if kind.kind not in "fiub":
            raise DataError(
                f"{path}: column {column!r} holds numbers at first, and text further on."
            )
    return chunk.to_numpy(np.float64)
