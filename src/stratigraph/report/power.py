"""How many replicates decide each question of a study, and its power against their number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stratigraph.errors import DataError
from stratigraph.evidence.estimate import Estimate, Part
from stratigraph.evidence.needs import bounds_of, known_of, need_of, tell_need
from stratigraph.evidence.power import power as power_of

if TYPE_CHECKING:
    from stratigraph.study import Study

__all__ = ["power", "power_curves"]

CURVE = tuple(range(2, 65))  # replicates that the figure is of
# What a question lacks that replicates may help; not where measures disagree, or runs failed.
REPLICATES = ("replicates", "probes")


def power(study: Study | str | Path) -> pd.DataFrame:
    """How many replicates of each configuration would decide each undecided question at power 0.8.

    One row per question: its ``claim``; ``replicates`` now; ``needed``, the fewest that would
    decide it if its estimate were the truth; ``low`` and ``high``, an 80 % range over what the
    truth may be instead; ``never``, the share of these that 1,000 do not decide; and ``why``, in
    words. Missing numbers are above 1,000, or unknown. The level is the question's in its family,
    and the number is fixed beforehand: planned looks take a little more
    (docs/explanation/findings.md).

    Args:
        study: an assessed study, or its folder.

    Raises:
        DataError: it was not assessed, or only by an older version.

    """
    rows = []
    for row in _read(study):
        one = _estimate(row)
        if row["verdict"] != "undecided" or row["family"] == "measures":
            continue
        told = {
            "question": row["key"], "claim": row["claim"], "family": row["family"],
            "reason": row["reason"],
        }  # fmt: skip
        if one is None or row["reason"] not in REPLICATES:
            rows.append({**told, "why": row["why"]})
            continue
        need = need_of(one, row["least"], row["one_sided"], row["level"])
        rows.append(
            {
                **told, "replicates": one.replicates, "needed": need.replicates, "low": need.low,
                "high": need.high, "never": need.never, "why": tell_need(need) or row["why"],
            }
        )  # fmt: skip
    numbers = ["replicates", "needed", "low", "high"]
    columns = ["question", "claim", "family", "reason", *numbers, "never", "why"]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype(dict.fromkeys(["claim", *numbers], "Int64")).set_index("question")


def power_curves(study: Study | str | Path) -> pd.DataFrame:
    """The power of each number of replicates, (replicates × undecided questions)."""
    counts = np.array(CURVE)
    found = {}
    for row in _read(study):
        one = _estimate(row)
        if one is None or row["verdict"] != "undecided" or row["reason"] not in REPLICATES:
            continue
        parts = known_of(one)
        if all(math.isfinite(part.value) and math.isfinite(part.error) for part in parts):
            level = row["level"] * (2 if row["one_sided"] else 1)
            bounds = bounds_of(one, row["least"], row["one_sided"])
            found[f"{row['claim']}  {row['statement']}"] = power_of(parts, counts, *bounds, level)
    return pd.DataFrame(found, index=pd.Index(counts, name="replicates"))


def _read(study: Study | str | Path) -> Sequence[Mapping[str, Any]]:
    """The findings of the corrected way."""
    if isinstance(study, str | Path):
        from stratigraph.home import load_study

        study = load_study(study)
    rows = [row for row in study.findings if row["way"] == "corrected"]
    if any(not _is_whole(row) for row in rows):
        raise DataError(
            f"study {study.config.name}: its findings were made by an older version, which kept "
            f"less of their spread; run `stratigraph assess {study.path}`."
        )
    return rows


def _is_whole(row: Mapping[str, Any]) -> bool:
    """Whether a finding holds all that a number of replicates follows from."""
    needed = {"family", "reason", "least", "one_sided", "level"}
    of_each = {"parts", *(f.name for f in fields(Estimate) if f.default is MISSING)}
    return needed <= row.keys() and all(of_each <= one.keys() for one in row["estimates"].values())


def _estimate(row: Mapping[str, Any]) -> Estimate | None:
    """The estimate that decides, as it was; JSON has no NaN."""
    held = next(iter(row["estimates"].values()), None)
    if held is None or row["family"] == "measures":
        return None
    values = _known(Estimate, held)
    values["parts"] = tuple(Part(**_known(Part, part)) for part in held["parts"])
    return Estimate(**values)


def _known(kind: type[Estimate | Part], held: Mapping[str, Any]) -> dict[str, Any]:
    return {
        field.name: math.nan if held[field.name] is None else held[field.name]
        for field in fields(kind)
        if field.name in held
    }
