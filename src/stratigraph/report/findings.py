"""The findings as rows: what is claimed, its estimates and their place, its verdict, and why.

Report, page and terminal show the same rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from stratigraph.evidence.claims.shared_features import OF_MEASURES
from stratigraph.evidence.family import PRIMARY
from stratigraph.evidence.needs import tell_need
from stratigraph.evidence.power import Need
from stratigraph.report.figures.style import measure_name
from stratigraph.values import told_percent

__all__ = ["finding_rows", "list_changes", "reach_of", "runs_of_answer"]

NEEDED = ("replicates", "low", "high", "never", "why")
LACKS = {  # reason (`stratigraph.evidence.finding.Reason`) → in words
    "failed runs": "Runs that did not learn are missing.",
    "measures disagree": "CKA and Procrustes disagree.",
    "undefined": "It has no interval.",
}
REACHES = (0.1, 0.25, 0.5)  # where the axis of all findings may end; else at 1


def finding_rows(
    findings: Sequence[Mapping[str, Any]], way: str = "corrected"
) -> list[dict[str, Any]]:
    """A row a question, of one way of reading.

    ``value``, ``interval`` and ``place`` are of the measure that decides; ``estimates`` has all.
    """
    rows = []
    for found in findings:
        if found["way"] != way:
            continue
        shown = _shown(found)
        first = next(iter(found["estimates"].values()), None)
        rows.append(
            {
                "key": found["key"],
                "claim": found["claim"] or "own",
                "family": _family(found),
                "statement": found["statement"],
                "contrast": found["contrast"],
                "verdict": found["verdict"],
                "reason": found.get("reason", ""),
                "why": found["why"],
                "value": "–" if first is None else _with_sign(first["value"]),
                "interval": "–" if first is None else _interval(first),
                "null": "" if first is None or not first["null"] else _plain(first["null"]),
                "p": "–" if found["p_holm"] is None else _small(found["p_holm"]),
                "adjusted": _adjusted(found),
                "place": _place(found, first),
                "need": _need(found),
                "entered": _entered(found),
                "details": found.get("details", []),
                "estimates": [
                    {
                        "measure": measure_name(measure),
                        "value": _with_sign(one["value"]),
                        "interval": _interval(one),
                        "null": "–" if one["null"] is None else f"{one['null']:g}",
                        # Findings of format 1 count seeds.
                        "replicates": one.get("replicates", one.get("seeds")),
                        "runs": one["runs"],
                        "of_all": _of_all(found, measure),
                    }
                    for measure, one in shown.items()
                ],
            }
        )
    return rows


def runs_of_answer(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The runs that claim 1 rests on, which its picture is of; none where that is not known."""
    for found in findings:
        if found["key"] == "encoder_first" and found["way"] == "corrected":
            return list((found.get("entered") or {}).get("runs", ()))
    return []


def _family(found: Mapping[str, Any]) -> str:
    """The questions that it was corrected with; findings of format 1 do not say it."""
    if "family" in found:
        return str(found["family"])
    if found["key"] in PRIMARY:
        return "primary"
    return "own" if not found["claim"] else "secondary"


def reach_of(rows: Sequence[Mapping[str, Any]]) -> float:
    """Where an axis that holds the places of all rows ends: they are cut off beyond 1."""
    ends = [
        abs(end)
        for row in rows
        if row["place"]
        for end in (row["place"][name] for name in ("low", "value", "high"))
        if end is not None
    ]
    return next((one for one in REACHES if max(ends, default=0.0) <= one), 1.0)


def _place(found: Mapping[str, Any], one: Mapping[str, Any] | None) -> dict[str, Any]:
    """Where the estimate lies: its distances from the value that is tested against.

    ``outer_low`` and ``outer_high`` are of the interval adjusted for the family, ``least`` is the
    smallest distance that matters (0 where the claim is of one side of a margin).
    """
    if one is None or one["value"] is None or found["verdict"] == "not asked":
        return {}
    null = one["null"] or 0.0
    adjusted = found.get("adjusted") or {}
    ends = {
        "low": one["lower"], "value": one["value"], "high": one["upper"],
        "outer_low": adjusted.get("lower"), "outer_high": adjusted.get("upper"),
    }  # fmt: skip
    placed = {
        name: None if end is None or not math.isfinite(end) else round(end - null, 4)
        for name, end in ends.items()
    }
    return {**placed, "least": 0.0 if found.get("one_sided") else found.get("least") or 0.0}


def _need(found: Mapping[str, Any]) -> str:
    """What an undecided question lacks, and where it stands in planned looks."""
    said = []
    need, standing = found.get("need"), found.get("standing") or {}
    if found["verdict"] == "undecided":
        if need and (need["why"] or need["replicates"]):
            said.append(tell_need(Need(**{name: need[name] for name in NEEDED})))
        else:
            said.append(LACKS.get(found.get("reason", ""), ""))
    if standing.get("settled"):
        said.append(f"Settled with {standing['replicates']} replicates.")
    elif standing.get("outlook"):
        said.append(f"Given up: {standing['outlook']}.")
    return " ".join(filter(None, said))


def _plain(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _interval(one: Mapping[str, Any]) -> str:
    return f"{_with_sign(one['lower'])} to {_with_sign(one['upper'])}"


def _adjusted(found: Mapping[str, Any]) -> str:
    """The interval that the verdict is of, with its confidence."""
    one = found.get("adjusted") or {"confidence": None}
    return (
        "–"
        if one["confidence"] is None
        else f"{_interval(one)} ({told_percent(one['confidence'])} %)"
    )


NONE = dict.fromkeys(("value", "lower", "upper", "null", "replicates", "runs"))


def _shown(found: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The estimates; none of each measure, where no run learned that it could be of."""
    return found["estimates"] or dict.fromkeys(found.get("of_all_runs", {}), NONE)


def _of_all(found: Mapping[str, Any], measure: str) -> str:
    """The estimate of all runs, where some did not learn."""
    one = found.get("of_all_runs", {}).get(measure)
    return "" if one is None else f"{_with_sign(one['value'])} ({_interval(one)})"


def _entered(found: Mapping[str, Any]) -> dict[str, Any]:
    """How many runs and which layers a finding rests on, and which runs it does not."""
    one = found.get("entered")
    if one is None or not one["of"]:
        return {}
    return {
        "runs": f"{len(one['runs'])} of {one['of']} runs",
        "of": one["of"],
        "failed": one["failed"],
        "layers": one["layers"],
        "left_out": [
            {"why": row["why"], "count": len(row["runs"]), "runs": row["runs"]}
            for row in one["left_out"]
        ],
    }


def list_changes(
    findings: Sequence[Mapping[str, Any]], compared: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """A row a question judged both ways: what the other reading changes, and both verdicts.

    Args:
        findings: of both ways.
        compared: their differences (`stratigraph.evidence.ways`); a study that an earlier version
            assessed has none.

    """
    published = {row["key"]: row for row in findings if row["way"] == "published"}
    changes: dict[str, list[Mapping[str, Any]]] = {}
    for row in compared:
        changes.setdefault(row["key"], []).append(row)
    rows = []
    for found in findings:
        other = published.get(found["key"])
        if (
            found["way"] == "corrected"
            and other is not None
            and found["claim"] not in OF_MEASURES
            and "not asked" not in (found["verdict"], other["verdict"])
        ):
            own = changes.get(found["key"])
            values = {"corrected": _first(found), "published": _first(other)}
            rows.append(
                {
                    "claim": found["claim"] or "own",
                    "family": _family(found),
                    "statement": found["statement"],
                    "verdicts": (found["verdict"], other["verdict"]),
                    "differences": [_difference(row) for row in own] if own else [values],
                }
            )
    return rows


def _difference(row: Mapping[str, Any]) -> dict[str, Any]:
    one, (first, second) = row["difference"], row["measures"].values()
    measures = dict.fromkeys((measure_name(first), measure_name(second)))
    apart = one["lower"] is not None and (one["lower"] > 0 or one["upper"] < 0)
    return {
        "measures": " less ".join(measures) + ("" if row["decides"] else ", of all runs"),
        **{way: _with_sign(value) for way, value in row["values"].items()},
        "value": _with_sign(one["value"]),
        "interval": _interval(one),
        "differs": apart,
    }


def _first(found: Mapping[str, Any]) -> str:
    one = next(iter(found["estimates"].values()), None)
    return "–" if one is None else _with_sign(one["value"])


def _with_sign(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}".replace("-", "−")


def _small(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
