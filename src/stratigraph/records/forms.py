"""What the JSON files of a study say: one table, and one function that holds a file against it.

A seal says that bytes are those that were written, not who wrote them: anybody can make a study
that is sealed and nonsense. So what is read is held against its form once, where it is read
(`stratigraph.records.read_json` and `verified`), and whoever uses it need not ask again. Tables and
arrays have `stratigraph.records.contents`.

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

__all__ = ["check_json"]

MOST = 2**53  # of whole numbers: steps, counts, bytes


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


def finite(value: Any) -> bool:
    """A finite number."""
    return value is not None and number(value)


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


def lack(value: Any) -> bool:
    """Why no number of replicates is known, or ""."""
    return value in ("", "probes", "boundary", "one replicate", "undefined")


def both(form: Form) -> Form:
    """Of the two ways of reading."""
    return {"corrected": form, "published": form}


ESTIMATE = {"value": number, "lower": number, "upper": number, "null": number, "runs": count,
            "replicates?": count, "seeds?": count, "p?": number, "error_replicates?": number,
            "error_probes?": number, "error_both?": number, "freedom?": number,
            "configurations?": count, "correlation?": flag, "error?": number,
            "parts?": [{"value": number, "error": number, "freedom": number}],
            "off?": number}  # fmt: skip
NEED = {"replicates": count, "low": count, "high": count, "never": number, "why": lack}
OUTLOOK = {"replicates": whole, "settled": flag, "outlook": text}
FINDING = {
    "key": text, "claim": whole, "way": text, "statement": text, "contrast": text,
    "verdict": text, "why": text, "p_holm": number, "p?": number, "estimates": Each(ESTIMATE),
    "of_all_runs?": Each({"value": number, "lower": number, "upper": number}),
    "family?": text, "reason?": text, "least?": finite, "one_sided?": flag, "level?": finite,
    "adjusted?": {"confidence": number, "lower": number, "upper": number},
    "entered?": {"of": whole, "runs": [text], "failed": whole, "layers": [text],
                 "left_out": [{"why": text, "runs": [text]}]},
    "need?": Maybe(NEED), "standing?": Maybe(OUTLOOK), "details?": [table],
}  # fmt: skip
ABOUT = {
    "step?": whole, "run_id?": text, "representations?": text, "measure?": text, "plan?": text,
    "tolerance?": number, "groups?": whole, "formats?": [text], "posterior?": flag,
    "null?": whole, "within?": text,
    "layers?": [{"name": name, "reason": words, "module?": words}], "image_shape?": [whole],
    "factor_names?": [text], "factor_sizes?": [whole], "max_value?": whole, "data?": table,
}  # fmt: skip
ASKED = {"runs": [text], "stages": [text], "code": Each(text), "study": text, "replicates": count}
STANDING = {
    "p": number, "verdict": verdict, "replicates": whole, "settled": flag, "outlook": text,
}  # fmt: skip
CHANGE = {
    "key": text,
    "decides": flag,
    "difference": ESTIMATE,
    "values": both(number),
    "measures": both(text),
}
FLOOR = {"of?": Each({"floor": finite, "room": finite}), "why?": text}
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
    "findings.json": {
        "findings": [FINDING], "representations?": Each(text), "format?": whole,
        "ways_compared?": [CHANGE],
    },
    "current.json": Each(
        {"asked": ASKED, "options": table, "files": Each(text), "headline?": [text]}
    ),
    "origin.json": {"url": text},
    "export.json": {
        "complete": flag, "runs?": Each(table), "files?": Each(text),
        "matrices?": Each({"representations?": text}),
    },
}  # fmt: skip

# Of a record, by the end of its path: the files that it has at least, and what it says of itself.
HOLDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "runs/*/metrics": (("metrics.parquet",), ()),
    "observed*/tables": (("latents.parquet", "layers.parquet"), ()),
    "observed*/scores": (("scores.parquet",), ()),
    "probes/*-shown": (("images.npy",), ()),
    "similarity*/*": (("labels.parquet", "values.npy"), ("representations",)),
    "jackknife*/*": (("pairs.npy", "scores.npy"), ("representations",)),
    "influence*/*": (
        ("agreement.parquet", "probes.parquet", "turned.parquet", "without.parquet"),
        ("representations",),
    ),
    "chance/*": (("cells.parquet", "best.parquet"), ("representations", "null", "within")),
    "udr/*": (("udr.parquet",), ()),
    "basis/*": (("rows.parquet",), ()),
}  # fmt: skip


def check_json(path: Path | str, value: dict[str, Any]) -> None:
    """Hold what a sealed file says against the form of files of its name.

    Raises:
        IntegrityError: it is not of that form; the message says where.

    """
    form = JSON.get(Path(path).name)
    wrong = "" if form is None else _misfit(value, form, "")
    if not wrong and Path(path).name == "manifest.json":
        wrong = _lack(Path(path).parent, value)
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


def _lack(record: Path, manifest: Mapping[str, Any]) -> str:
    """What a record does not have that all of its place have; "" where nothing is missing."""
    for place, (files, about) in HOLDS.items():
        if record.match(place):
            lacking = [f"files.{file}" for file in files if file not in manifest["files"]]
            lacking += [f"about.{key}" for key in about if key not in manifest["about"]]
            return f"{lacking[0]} is missing" if lacking else ""
    return ""
