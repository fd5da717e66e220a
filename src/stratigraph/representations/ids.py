"""What rows are called: labels as a pandas index, from a column, a file, or as they are given.

Labels that were written as text are whole numbers where every one of them is (7, and not 007), so
that a table of text joins with one that knows its types.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from stratigraph.errors import DataError, InputError, suggest

__all__ = ["as_index", "find_labels", "from_text"]

LINES = (".txt", ".ids", ".list", "")


def as_index(labels: Any, where: str) -> Any:
    """Labels (n,) as a pandas index; bytes are text.

    Raises:
        InputError: they are not of one axis.

    """
    import pandas as pd

    if isinstance(labels, pd.Index):
        return labels
    array = np.asarray(labels)
    if array.ndim != 1:
        raise InputError(
            f"{where}: expected one label per row, got an array of shape {array.shape}."
        )
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    elif array.dtype.kind == "O":
        array = np.array([v.decode() if isinstance(v, bytes) else v for v in array], object)
    return pd.Index(array)


def from_text(cells: list[str]) -> Any:
    """Labels that were text: whole numbers if they all are, and missing where they are empty."""
    try:
        numbers = np.array(cells, np.int64)
        if [str(number) for number in numbers.tolist()] == cells:
            return numbers
    except (ValueError, OverflowError):
        pass
    return np.array([cell or None for cell in cells], object)


def find_labels(
    given: str | Path | None,
    columns: dict[str, Callable[[], Any]],
    opened: Callable[[str], dict[str, Callable[[], Any]] | None],
    file: Path,
) -> Any:
    """The labels that a column of the file holds, or a file of labels.

    Args:
        given: the name of a column, or of a file of labels.
        columns: those of the file.
        opened: a name of a file, with or without a column → its columns; None if there is none.
        file: for errors.

    Raises:
        DataError: there is neither such a column nor such a file, or it says nothing of rows.

    """
    name = str(given)
    if name in columns:
        return columns[name]()
    if Path(name).is_file() and Path(name).suffix.lower() in LINES:
        try:
            return from_text(Path(name).read_text("utf-8-sig").splitlines())
        except UnicodeDecodeError as error:
            raise DataError(f"{name}: expected labels as text, one per line ({error}).") from None
    beside = opened(name)
    if beside is None:
        known = suggest(name, columns) if columns else " It holds none that could be."
        raise DataError(f"{file}: no column and no file of ids is called {name!r}.{known}")
    chosen = name.rpartition(":")[2]
    if chosen in beside:
        return beside[chosen]()
    if len(beside) != 1:
        raise DataError(
            f"{name}: expected one column of ids, got {len(beside)}; name it, "
            f"{name}:{next(iter(beside), 'column')}."
        )
    return next(iter(beside.values()))()
