"""What the files of a study look like: one table, and one function that holds a file against it.

A seal says that bytes are those that were written, not who wrote them: anybody can make a study
that is sealed and nonsense. So what is read is held against its form once, where it is read
(`stratigraph.records.read_json` and `verified`), and whoever uses it need not ask again.

A form is a function that says whether a value is right; ``[form]``, a list of such values;
``{key: form}``, a mapping that has these keys, of which those with a ``?`` may be missing, and may
have others; ``Each(form)``, a mapping of any names to such values; or ``Maybe(form)``, such a value
or none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from stratigraph.errors import IntegrityError
from stratigraph.values import is_number, is_whole

__all__ = ["check_files", "check_json"]

MOST = 2**53  # of whole numbers: steps, counts, bytes
MOST_ROWS = 10_000_000  # of a table in a record


@dataclass(frozen=True)
class Each:
    """A mapping of names to values of one form."""

    form: Form


@dataclass(frozen=True)
class Maybe:
    """A value of one form, or none."""

    form: Form


Form: TypeAlias = "Callable[[Any], bool] | Each | Maybe | list[Any] | dict[str, Any]"


def text(value: Any) -> bool:
    """Words."""
    return isinstance(value, str)


def name(value: Any) -> bool:
    """The name of a file in its folder, without its ending."""
    return text(value) and bool(value) and not re.search(r"[/\0]", value) and len(value) <= 250


def whole(value: Any) -> bool:
    """A whole number that is not negative."""
    return is_whole(value) and 0 <= value <= MOST


def number(value: Any) -> bool:
    """A finite number, or none."""
    return value is None or (is_number(value) and math.isfinite(value))


def flag(value: Any) -> bool:
    """True or false."""
    return isinstance(value, bool)


def table(value: Any) -> bool:
    """A mapping, of anything."""
    return isinstance(value, dict)


def count(value: Any) -> bool:
    """A whole number, or none."""
    return value is None or whole(value)


def words(value: Any) -> bool:
    """Words, or none."""
    return value is None or text(value)


def verdict(value: Any) -> bool:
    """A verdict that was given, or ""."""
    return value in ("", "supported", "contradicted", "negligible", "undecided")


ESTIMATE = {"value": number, "lower": number, "upper": number, "null": number, "runs": count,
            "replicates?": count, "seeds?": count, "p?": number, "error_replicates?": number,
            "error_probes?": number, "error_both?": number, "freedom?": number,
            "configurations?": count, "correlation?": flag, "error?": number,
            "parts?": [{"value": number, "error": number, "freedom": number}],
            "off?": number}  # fmt: skip
NEED = {"replicates": count, "low": count, "high": count, "never": number, "why": text}
STANDING = {"replicates": whole, "settled": flag, "outlook": text}
FINDING = {
    "key": text, "claim": whole, "way": text, "statement": text, "contrast": text,
    "verdict": text, "why": text, "p_holm": number, "estimates": Each(ESTIMATE),
    "of_all_runs?": Each({"value": number, "lower": number, "upper": number}),
    "family?": text, "reason?": text, "least?": number, "one_sided?": flag, "level?": number,
    "adjusted?": {"confidence": number, "lower": number, "upper": number},
    "entered?": {"of": whole, "runs": [text], "failed": whole, "layers": [text],
                 "left_out": [{"why": text, "runs": [text]}]},
    "need?": Maybe(NEED), "standing?": Maybe(STANDING), "details?": [table],
}  # fmt: skip
ABOUT = {
    "step?": whole, "run_id?": text, "representations?": text, "measure?": text, "plan?": text,
    "tolerance?": number, "groups?": whole, "formats?": [text], "posterior?": flag,
    "layers?": [{"name": name, "reason": words, "module?": words}], "image_shape?": [whole],
    "factor_names?": [text], "factor_sizes?": [whole], "max_value?": whole, "data?": table,
}  # fmt: skip
ASKED = {"runs": [text], "stages": [text], "code": Each(text), "study": text, "replicates": count}
STANDING = {
    "p": number, "verdict": verdict, "replicates": whole, "settled": flag, "outlook": text,
}  # fmt: skip
FLOOR = {"of?": Each({"floor": number, "room": number}), "why?": text}
JSON: dict[str, Form] = {
    "manifest.json": {
        "format": whole, "about": ABOUT, "files": Each({"bytes": whole, "sha256": text}),
    },
    "config.json": {
        "run_id": text, "config": table, "conditions?": table, "began?": number,
        "drift?": [{"step": count, "conditions": table}],
    },
    "state.json": {
        "state": text, "step": whole, "steps?": whole, "reason?": text, "signs?": [text],
        "loss?": number, "steps_per_second?": number, "pid?": whole,
    },
    "replicates.json": {"format": whole, "replicates": whole},
    "looks.json": {"format": whole, "looks": [whole]},
    "standings.json": {"format": whole, "looks": Each(Each(Each(STANDING)))},
    "floors.json": {"format?": whole, "floors?": Each(FLOOR)},
    "findings.json": {"findings": [FINDING], "representations?": Each(text)},
    "current.json": Each(
        {"asked": ASKED, "options": table, "files": Each(text), "headline?": [text]}
    ),
    "origin.json": {"url": text},
    "export.json": {
        "complete": flag, "runs?": Each(table), "files?": Each(text),
        "matrices?": Each({"representations?": text}),
    },
}  # fmt: skip

# Of a record's files: columns of tables (with a ``?`` may be missing), axes and kinds of arrays.
TABLES: dict[str, dict[str, str]] = {
    "labels.parquet": {
        **dict.fromkeys(("run", "data", "architecture", "objective", "layer"), "text"),
        "reason": "text", "strength": "number", "latents": "whole", "seed": "whole",
        "step": "whole",
    },
    "metrics.parquet": {"step": "whole", "split": "text"},
    "latents.parquet": {
        **dict.fromkeys(("step", "latent"), "whole"), "regime": "text",
        **dict.fromkeys(("kl", "variance", "mean_variance"), "number"),
        **dict.fromkeys(("information?", "information_error?"), "number"),
    },
    "codes.parquet": {
        **dict.fromkeys(("step", "latent"), "whole"),
        **dict.fromkeys(("information", "information_error", "perplexity"), "number"),
    },
    "udr.parquet": {
        "run": "text", "step": "whole", "score": "text", "value": "number", "n": "whole",
        "reason": "text",
    },
    "layers.parquet": {"step": "whole", "layer": "text"},
    "scores.parquet": {
        "step": "whole", "score": "text", "value": "number", "n": "whole", "reason": "text",
    },
}  # fmt: skip
ARRAYS: dict[str, tuple[int, str]] = {
    **dict.fromkeys(("values.npy", "lower.npy", "upper.npy", "scores.npy"), (2, "f")),
    "pairs.npy": (2, "i"),
    "indices.npy": (1, "i"),
    "images.npy": (4, "u"),
    "posterior.npy": (3, "f"),
    "posterior.moments": (3, "f"),
}


def check_json(path: Path | str, value: dict[str, Any]) -> None:
    """Hold what a sealed file says against the form of files of its name.

    Raises:
        IntegrityError: it is not of that form; the message says where.

    """
    form = JSON.get(Path(path).name)
    wrong = "" if form is None else _misfit(value, form, "")
    if wrong:
        raise IntegrityError(f"{path}: sealed, but not in the form of such a file: {wrong}.")


def _misfit(value: Any, form: Form, where: str) -> str:
    """Where a value is not of its form; "" where it is."""
    at = where or "it"
    if callable(form):
        return "" if form(value) else f"{at} is not {_first_words(form)}"
    if isinstance(form, Maybe):
        return "" if value is None else _misfit(value, form.form, where)
    if isinstance(form, list):
        if not isinstance(value, list):
            return f"{at} is not a list"
        inner = (_misfit(item, form[0], f"{where}[{i}]") for i, item in enumerate(value))
        return next(filter(None, inner), "")
    if not isinstance(value, Mapping):
        return f"{at} is not a mapping"
    if isinstance(form, Each):
        inner = (_misfit(item, form.form, _within(where, key)) for key, item in value.items())
        return next(filter(None, inner), "")
    for key, own in form.items():
        plain = key.removesuffix("?")
        if plain in value:
            wrong = _misfit(value[plain], own, _within(where, plain))
            if wrong:
                return wrong
        elif plain == key:
            return f"{_within(where, plain)} is missing"
    return ""


def _within(where: str, key: str) -> str:
    return f"{where}.{key[:60]}" if where else key[:60]


def _first_words(form: Callable[[Any], bool]) -> str:
    said = (form.__doc__ or form.__name__).partition(".")[0]
    return said[0].lower() + said[1:]


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
            raise _nonsense(
                folder / "pairs.npy", f"its shape is {pairs}, and that of the scores {scores}"
            )
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


def _check_table(path: Path, columns: Mapping[str, str]) -> int:
    """How many rows a table has, whose columns are as they should be."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "text": lambda t: pa.types.is_string(t) or pa.types.is_large_string(t),
        "whole": pa.types.is_integer,
        "number": lambda t: pa.types.is_floating(t) or pa.types.is_integer(t),
    }
    try:
        file = pq.ParquetFile(path)
        rows = file.metadata.num_rows
        if rows > MOST_ROWS:
            raise ValueError(f"{rows:,} rows; at most {MOST_ROWS:,} are read")
        there = set(file.schema_arrow.names)
        needed = [column for column in columns if not column.endswith("?")]
        lacking = [column for column in needed if column not in there]
        if lacking:
            raise ValueError(f"it has no column {', '.join(lacking)}")
        found = file.read()  # all of it: a footer may speak of pages that are not there
    except (pa.ArrowException, OSError, MemoryError) as error:
        told = str(error).partition("\n")[0][:200]
        raise ValueError(f"not readable as Parquet ({told})") from None
    for column, kind in columns.items() if rows else ():
        column = column.removesuffix("?")
        if column not in there:
            continue
        own = found.column(column)
        bare = pa.types.is_null(own.type) and kind == "number"
        if not (bare or kinds[kind](own.type)) or (kind != "number" and own.null_count):
            holes = " with holes" if own.null_count else ""
            raise ValueError(f"its column {column} holds {own.type}{holes}; expected {kind}")
    return rows
