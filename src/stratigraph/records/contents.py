"""What the tables and arrays of a record look like, and how they fit each other.

A hash says that bytes are those that were written, not that they are what such a record holds
(`stratigraph.records.forms`): a record is held against this where its hashes are checked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stratigraph.errors import IntegrityError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TABLES", "check_exported", "check_files"]

MOST_ROWS = 10_000_000  # of a table in a record

# Columns of tables (with a ``?`` may be missing; ``*`` are all others), with
# their kinds, or the words that they may be; axes and kinds of arrays.
RUN = dict.fromkeys(("run_x", "run_y", "kind"), "text")
TABLES: dict[str, dict[str, str | tuple[str, ...]]] = {
    "labels.parquet": {
        **dict.fromkeys(("run", "data", "architecture", "objective", "layer"), "text"),
        **dict.fromkeys(("reason", "probes?", "doubt?"), "text"), "strength": "number",
        **dict.fromkeys(("latents", "seed", "step", "units?"), "whole"),
    },
    "metrics.parquet": {"step": "whole", "split": "text", "*": "number"},
    "latents.parquet": {
        **dict.fromkeys(("step", "latent"), "whole"), "regime": ("active", "mixed", "passive"),
        **dict.fromkeys(("kl", "variance", "mean_variance"), "number"),
        **dict.fromkeys(("information?", "information_error?"), "number"),
    },
    "codes.parquet": {
        **dict.fromkeys(("step", "latent"), "whole"),
        **dict.fromkeys(("information", "information_error", "perplexity"), "number"),
    },
    "udr.parquet": {
        "run": "text", "step": "whole", "score": "text", "value": "number", "n": "whole",
        "reason": "text", **dict.fromkeys(("informative?", "others?"), "whole"),
    },
    "layers.parquet": {"step": "whole", "layer": "text", "*": "number"},
    "scores.parquet": {
        "step": "whole", "score": "text", "value": "number", "n": "whole", "reason": "text",
        "*": "number",
    },
    "agreement.parquet": {
        "kind": "text", "pairs": "whole", "agreement": "number", "lowest": "number",
    },
    "probes.parquet": {"data": "text", "probe": "whole", "influence": "number"},
    "without.parquet": {
        "data": "text", "factor": "text", "value": "number", "probes": "whole",
        "contrast": "number",
    },
    "turned.parquet": {
        "data": "text", "contrast": "number", "probes": "whole", "*": "number",
    },
    "cells.parquet": {
        **RUN, "layer_x": "text", "layer_y": "text",
        **dict.fromkeys(("value", "p", "calibrated", "threshold", "untrained"), "number"),
    },
    "best.parquet": {
        **RUN, "summary": "text", "layer": "text",
        **dict.fromkeys(("value", "p", "calibrated", "threshold"), "number"),
    },
}  # fmt: skip
# What a row is of: no two rows of a table are of the same.
KEYS: dict[str, tuple[str, ...]] = {
    "labels.parquet": ("run", "step", "layer"),
    "latents.parquet": ("step", "latent"),
    "codes.parquet": ("step", "latent"),
    "udr.parquet": ("run", "step", "score"),
    "scores.parquet": ("step", "score"),
    "layers.parquet": ("step", "layer"),
    "agreement.parquet": ("kind",),
    "probes.parquet": ("data", "probe"),
    "turned.parquet": ("data",),
}
GRIDS = ("latents.parquet", "codes.parquet")  # every latent at every step
ARRAYS: dict[str, tuple[int, str]] = {
    **dict.fromkeys(("values.npy", "lower.npy", "upper.npy", "scores.npy"), (2, "f")),
    "pairs.npy": (2, "i"),
    "indices.npy": (1, "i"),
    "images.npy": (4, "u"),
    "posterior.npy": (3, "f"),
    "posterior.moments": (3, "f"),
}


def check_files(folder: Path, names: list[str]) -> None:
    """Hold the tables and arrays of a record against their forms, and against each other.

    Raises:
        IntegrityError: one is not of its form.

    """
    sizes: dict[str, tuple[int, ...]] = {}
    for file in names:
        try:
            if file in TABLES:
                sizes[file] = (_check_table(folder / file, TABLES[file]),)
            elif file in ARRAYS or file.endswith(".npy"):
                sizes[file] = _check_array(folder / file, *ARRAYS.get(file, (2, "f")))
        except ValueError as error:
            raise _nonsense(folder / file, str(error)) from None
    rows = sizes.get("labels.parquet", (0,))[0]
    for file in ("values.npy", "lower.npy", "upper.npy"):
        if sizes.get(file, (rows, rows)) != (rows, rows) and "labels.parquet" in sizes:
            raise _nonsense(folder / file, f"its shape is {sizes[file]}; there are {rows:,} labels")
    if "pairs.npy" in sizes:
        pairs, scores = sizes["pairs.npy"], sizes.get("scores.npy", (-1, 0))
        if pairs[1] != 2 or pairs[0] != scores[0] or (pairs[0] and not scores[1]):
            raise _nonsense(folder / "pairs.npy", f"its shape is {pairs}, that of scores {scores}")
    for file in ("posterior.npy", "posterior.moments"):
        if sizes.get(file, (2,))[0] != 2:
            raise _nonsense(folder / file, f"its shape is {sizes[file]}; expected (2, n, z)")


def _nonsense(path: Path, what: str) -> IntegrityError:
    return IntegrityError(f"{path}: its hash is right, but it is not what a study holds: {what}.")


def _check_array(path: Path, axes: int, kinds: str) -> tuple[int, ...]:
    from stratigraph.npy import read_header

    with path.open("rb") as file:
        shape, _, dtype = read_header(file, path.stat().st_size)
    if len(shape) != axes or dtype.kind not in kinds:
        raise ValueError(f"it holds {dtype} of shape {shape}; expected {axes} axes of kind {kinds}")
    return shape


def _check_table(path: Path, columns: Mapping[str, str | tuple[str, ...]]) -> int:
    """How many rows a table has, whose columns are as they should be."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        rows = file.metadata.num_rows
        if rows > MOST_ROWS:
            raise ValueError(f"{rows:,} rows; at most {MOST_ROWS:,} are read")
        found = file.read()  # all of it: a footer may speak of pages that are not there
    except (pa.ArrowException, OSError, MemoryError) as error:
        told = str(error).partition("\n")[0][:200]
        raise ValueError(f"not readable as Parquet ({told})") from None
    _check_columns(found, columns)
    keys = KEYS.get(path.name, ())
    _check_keys(found, keys)
    whole = math.prod(len(found.column(key).unique()) for key in keys)
    if path.name in GRIDS and rows < whole:
        raise ValueError(f"a row is missing of each {', '.join(keys)}")
    return rows


def check_exported(file: str, frame: pd.DataFrame) -> None:
    """Hold a table that an export joined of several runs' against the form of theirs.

    Args:
        file: what it is called in a record.
        frame: itself.

    Raises:
        ValueError: it is not of that form.

    """
    import pyarrow as pa

    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except pa.ArrowException as error:
        raise ValueError(str(error).partition("\n")[0][:200]) from None
    _check_columns(table, {"run": "text", "row?": "whole", **TABLES[file]})
    if file in KEYS:
        _check_keys(table, tuple(dict.fromkeys(("run", *KEYS[file]))))


def _check_columns(table: Any, columns: Mapping[str, str | tuple[str, ...]]) -> None:
    needed = [column for column in columns if not column.endswith(("?", "*"))]
    lacking = [column for column in needed if column not in table.column_names]
    if lacking:
        raise ValueError(f"it has no column {', '.join(lacking)}")
    known = {column.removesuffix("?"): kind for column, kind in columns.items()}
    for column in table.column_names if table.num_rows else ():
        kind = known.get(column, columns.get("*"))
        if kind is not None:
            _check_column(column, table.column(column), kind)


def _check_column(name: str, column: Any, kind: str | tuple[str, ...]) -> None:
    import pyarrow as pa

    kinds = {
        "text": lambda t: pa.types.is_string(t) or pa.types.is_large_string(t),
        "whole": pa.types.is_integer,
        "number": lambda t: pa.types.is_floating(t) or pa.types.is_integer(t),
    }
    like = kind if isinstance(kind, str) else "text"
    bare = pa.types.is_null(column.type) and kind == "number"
    if not (bare or kinds[like](column.type)) or (kind != "number" and column.null_count):
        holes = " with holes" if column.null_count else ""
        raise ValueError(f"its column {name} holds {column.type}{holes}; expected {like}")
    if isinstance(kind, tuple):
        other = set(column.unique().to_pylist()) - set(kind)
        if other:
            raise ValueError(f"its column {name} holds {min(other)[:60]!r}; expected {kind}")


def _check_keys(table: Any, keys: tuple[str, ...]) -> None:
    if not keys or not table.num_rows:
        return
    if table.group_by(list(keys)).aggregate([]).num_rows < table.num_rows:
        raise ValueError(f"two rows are of the same {', '.join(keys)}")
