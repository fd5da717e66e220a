"""The report's tables of runs, measures and when layers arrive: what the figures do not show."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch

from stratigraph.records import MANIFEST, read_json
from stratigraph.report.data import ReportData
from stratigraph.report.figures.style import measure_name
from stratigraph.report.headline import reach_table
from stratigraph.similarity.catalog import find_measure
from stratigraph.similarity.kernel_cka import DECONFOUNDED_SOURCE
from stratigraph.study import DECONFOUNDED, Study, similarity_path, warning_of
from stratigraph.version import __version__

__all__ = ["measure_rows", "reach_rows", "run_rows", "versions"]


def _number(value: float, digits: int = 0) -> str:
    return "–" if np.isnan(value) else f"{value:,.{digits}f}"


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def _quartiles(row: dict[str, Any]) -> str:
    return f"{_number(row['lower'])} to {_number(row['upper'])}"


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
            known = {"loss", "reconstruction", "kl"}.intersection(held_out)  # a classifier has one
            for name in known if len(held_out) else ():
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
