"""How much hangs on which probes, as tables: read from a study's records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from stratigraph.records import record_exists, verified
from stratigraph.report.data import ReportData
from stratigraph.study import influence_path

__all__ = ["ProbeTables", "probe_tables"]

ProbeTables = dict[str, pd.DataFrame]
ORDERS = {"over training": "all, over training", "within a network": "input, mean, sample"}


def _read(data: ReportData, folder: Path, names: tuple[str, ...]) -> ProbeTables:
    """Tables of a record; none, where it is missing or of other representations."""
    if not record_exists(folder):
        return {}
    if verified(folder)["representations"] != data.source:
        return {}
    return {name: pd.read_parquet(folder / f"{name}.parquet") for name in names}


def probe_tables(data: ReportData) -> ProbeTables:
    """How much hangs on which probes (`stratigraph.stages.left_out`); nothing of it may be there.

    Returns:
        ``turned``, ``without`` and ``probes`` of claim 1's contrast by the study's CKA: the probes
        that speak for it most first, with ``out``, how many are left out, and ``left``, what
        influences alone say is then left of it. And ``agreement`` of every measure.

    """
    study, folder = data.study, data.study.way.folder
    found = {
        name: pd.DataFrame(columns=columns)
        for name, columns in (
            ("turned", ["data", "contrast"]),
            ("without", ["data", "factor"]),
            ("probes", ["data"]),
        )
    }
    if study.way.cka in study.measures():
        found |= _read(data, influence_path(study.path, study.way.cka, folder), tuple(found))
    ordered = list(_ordered(found))
    found["probes"] = pd.concat(ordered, ignore_index=True) if ordered else found["probes"]
    found["agreement"] = _agreement(data)
    return found


def _ordered(found: ProbeTables) -> Iterator[pd.DataFrame]:
    for row in found["turned"].to_dict("records"):
        own = found["probes"][found["probes"]["data"] == row["data"]]
        known = own["influence"].fillna(0.0).to_numpy()
        order = np.argsort(-np.sign(row["contrast"]) * known, kind="stable")
        left = row["contrast"] - np.cumsum(known[order])
        yield own.iloc[order].assign(out=np.arange(1, len(own) + 1), left=left)


def _agreement(data: ReportData) -> pd.DataFrame:
    """measure, kind, pairs, agreement, lowest."""
    found = [pd.DataFrame(columns=["measure", "kind"])]
    for measure in data.scored:
        path = influence_path(data.study.path, measure, data.study.way.folder)
        for own in _read(data, path, ("agreement",)).values():
            own = own.assign(measure=measure, kind=own["kind"].replace(ORDERS))
            found.append(own.dropna(subset=["agreement"]))
    return pd.concat([one for one in found if len(one)] or found[:1], ignore_index=True)
