"""The report's tables: what the figures do not show."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from stratigraph.evidence.claims.shared_features import OF_MEASURES
from stratigraph.records import MANIFEST, read_json
from stratigraph.report.data import ReportData
from stratigraph.report.figures.style import measure_name
from stratigraph.report.headline import reach_table
from stratigraph.similarity.catalog import find_measure
from stratigraph.similarity.kernel_cka import DECONFOUNDED_SOURCE
from stratigraph.study import DECONFOUNDED, Study, similarity_path, warning_of
from stratigraph.version import __version__

__all__ = ["finding_rows", "list_changes", "measure_rows", "reach_rows", "run_rows", "versions"]


def _number(value: float, digits: int = 0) -> str:
    return "–" if np.isnan(value) else f"{value:,.{digits}f}"


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def _quartiles(row: dict[str, Any]) -> str:
    return f"{_number(row['lower'])} to {_number(row['upper'])}"


def finding_rows(findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a question, of the corrected way: what is claimed, estimates, verdict, and why."""
    rows = []
    for found in findings:
        if found["way"] != "corrected":
            continue
        rows.append(
            {
                "claim": found["claim"] or "own",
                "statement": found["statement"],
                "contrast": found["contrast"],
                "verdict": found["verdict"],
                "why": found["why"],
                "p": "–" if found["p_holm"] is None else _small(found["p_holm"]),
                "adjusted": _adjusted(found),
                "entered": _entered(found),
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
                    for measure, one in _shown(found).items()
                ],
            }
        )
    return rows


def _interval(one: Mapping[str, Any]) -> str:
    return f"{_with_sign(one['lower'])} to {_with_sign(one['upper'])}"


def _adjusted(found: Mapping[str, Any]) -> str:
    """The interval that the verdict is of, with its confidence."""
    one = found.get("adjusted") or {"confidence": None}
    return "–" if one["confidence"] is None else f"{_interval(one)} ({one['confidence']:.1%})"


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
        "failed": one["failed"],
        "layers": one["layers"],
        "left_out": [
            {"why": row["why"], "count": len(row["runs"]), "runs": row["runs"]}
            for row in one["left_out"]
        ],
    }


def list_changes(
    findings: list[dict[str, Any]], compared: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """A row a question judged both ways: what the other reading changes, and both verdicts.

    Args:
        findings: of both ways.
        compared: their differences (`stratigraph.evidence.ways`); a study that an earlier version
            assessed has none.

    """
    published = {row["key"]: row for row in findings if row["way"] == "published"}
    changes: dict[str, list[dict[str, Any]]] = {}
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


def _first(found: dict[str, Any]) -> str:
    one = next(iter(found["estimates"].values()), None)
    return "–" if one is None else _with_sign(one["value"])


def _with_sign(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}".replace("-", "−")


def _small(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def reach_rows(data: ReportData) -> Iterator[dict[str, Any]]:
    """A row a measure and part: when layers reach the threshold, and from where."""
    for measure, scored in data.scored.items():
        raw, progress = reach_table(scored), reach_table(scored, "progress")
        for one, two in zip(_rows(raw), _rows(progress), strict=True):
            yield {
                "measure": measure_name(measure),
                "part": one["part"],
                "median": _number(one["median"]),
                "quartiles": _quartiles(one),
                "progress_median": _number(two["median"]),
                "progress_quartiles": _quartiles(two),
                "untrained": _number(one["untrained"], 2),
                "layers": one["layers"],
                "undefined": two["undefined"],
            }


def run_rows(data: ReportData) -> Iterator[dict[str, Any]]:
    """A row a run: state, snapshots and its last held-out losses, nats an image."""
    for run_id, run in data.study.runs.items():
        state, logged = run.state, data.metrics.get(run_id)
        row = {
            "id": run_id,
            "label": run.config.label(),
            "state": state["state"],
            "reason": state.get("reason", ""),
            "warning": warning_of(state),
            "step": f"{state['step']:,}",
            "snapshots": len(run.steps),
            **dict.fromkeys(("loss", "reconstruction", "kl"), "–"),
        }
        if logged is not None:
            held_out = logged[logged["split"] == "validation"]
            for name in ("loss", "reconstruction", "kl") if len(held_out) else ():
                row[name] = _number(float(held_out[name].iloc[-1]), 2)
        yield row


def measure_rows(study: Study) -> Iterator[dict[str, str]]:
    """A row a measure: its source, its pairs, its plan and its hash."""
    for config in study.config.measures:
        manifest = similarity_path(study.path, config.name) / MANIFEST
        if manifest.is_file():
            facts = read_json(manifest)
            yield {
                "name": config.name,
                "source": _source(config.name),
                "pairs": ", ".join(config.pairs),
                "plan": facts["about"].get("plan", ""),
                "hash": facts["files"]["values.npy"]["sha256"][:16],
            }


def _source(measure: str) -> str:
    return DECONFOUNDED_SOURCE if measure == DECONFOUNDED else find_measure(measure).source


def versions() -> str:
    """What made a report."""
    return (
        f"stratigraph {__version__}, torch {torch.__version__}, numpy {np.__version__}, Python "
        f"{platform.python_version()}."
    )
