"""Tables of a study: its findings, and the disentanglement scores of its runs' latents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stratigraph.errors import InputError
from stratigraph.records import read_json, record_exists, verified
from stratigraph.records.files import check_format
from stratigraph.study.layout import findings_path, scores_path, udr_path

if TYPE_CHECKING:
    from stratigraph.study.study import Study

__all__ = ["FINDINGS_FORMAT", "agreement_table", "findings_table", "read_findings", "scores_table"]

FINDINGS_FORMAT = 2
OF_FINDING = ("claim", "key", "statement", "way", "family", "verdict", "reason")
OF_ESTIMATE = ("value", "lower", "upper", "null", "runs", "seeds")


def findings_table(findings: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a question, way and measure; of what was not asked one, without an estimate."""
    rows = [
        {
            **{name: row.get(name) for name in OF_FINDING},
            "measure": measure,
            **{name: (estimate or {}).get(name, np.nan) for name in OF_ESTIMATE},
            # The verdict is of the first measure, and so are these.
            "p": row.get("p") if first else np.nan,
            "p_holm": row.get("p_holm") if first else np.nan,
            "why": row.get("why"),
        }
        for row in findings
        for first, (measure, estimate) in zip(
            (True, *(False,) * len(row["estimates"])),
            list(row["estimates"].items()) or [(None, None)],
            strict=False,
        )
    ]
    columns = [*OF_FINDING, "measure", *OF_ESTIMATE, "p", "p_holm", "why"]
    table = pd.DataFrame(rows, columns=columns)
    numbers = [*OF_ESTIMATE, "p", "p_holm"]
    return table.astype(dict.fromkeys(numbers, float))


def scores_table(study: Study) -> pd.DataFrame:
    """See `Study.disentanglement`."""
    tables = []
    if study.export is not None:
        exported = study.export.table("scores")
        tables = [] if exported is None else [exported]
    for run_id, run in () if study.export is not None else study.runs.items():
        folder = scores_path(run.path)
        if record_exists(folder):
            verified(folder)
            own = pd.read_parquet(folder / "scores.parquet")
            own.insert(0, "run", run_id)
            tables.append(own)
    known = [table for table in tables if len(table)]
    if known:
        return pd.concat(known, ignore_index=True)
    return pd.DataFrame(columns=["run", "step", "score", "value", "n", "reason"])


def read_findings(study: Study) -> dict[str, Any]:
    """What ``findings.json`` holds.

    Raises:
        InputError: the study was not assessed.

    """
    path = findings_path(study.path)
    if not path.is_file():
        raise InputError(
            f"study {study.config.name} has no findings yet; run `stratigraph assess {study.path}`."
        )
    held = read_json(path) if study.export is None else study.export.json(path.name)
    check_format(held.get("format", 1), path, FINDINGS_FORMAT)
    return held


def agreement_table(study: Study) -> pd.DataFrame:
    """See `Study.agreement`."""
    if study.export is not None:
        exported = study.export.table("udr")
        if exported is not None:
            return exported
    folder = udr_path(study.path)
    if study.export is None and record_exists(folder):
        verified(folder)
        return pd.read_parquet(folder / "udr.parquet")
    columns = ["run", "step", "score", "value", "n", "informative", "others", "reason"]
    return pd.DataFrame(columns=columns)
