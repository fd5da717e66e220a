"""How much hangs on which probes, and what chance scores, as tables: from a study's records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stratigraph.records import record_exists, verified
from stratigraph.report.data import ReportData
from stratigraph.study import chance_path, influence_path

__all__ = ["Chance", "ProbeTables", "chance_tables", "probe_tables"]

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


@dataclass(frozen=True)
class Chance:
    """What one measure scores by chance, and what stands beside it (`stages.chance`).

    Args:
        layers: one row a layer: layer, and the mean, lowest and highest over pairs of replicates
            of ``value``, ``threshold`` and ``untrained`` (across them, at step 0); ``own``, the
            untrained network against its own last step; ``calibrated`` and ``p``, the means.
        best: over pairs of replicates, the mean ``value``, ``calibrated`` and ``p`` of the best of
            all layers with all layers.
        null: permutations.
        within: the factor that they were within, or "".
        pairs: of replicates.

    """

    layers: pd.DataFrame
    best: dict[str, float]
    null: int
    within: str
    pairs: int


def chance_tables(data: ReportData) -> dict[str, Chance]:
    """Measure → what it scores by chance, of those that are scores and were asked."""
    found = {}
    for measure, scored in data.scored.items():
        folder = chance_path(data.study.path, measure)
        tables = {} if data.study.way.folder else _read(data, folder, ("cells", "best"))
        if not tables:
            continue
        cells, best = (one[one["kind"] == "seeds"] for one in (tables["cells"], tables["best"]))
        if cells.empty:
            continue
        own = scored.to_final
        untrained = own[own["step"] == 0].groupby("layer")["similarity"].mean()
        about = verified(folder)
        whole = best[best["summary"] == "matrix"][["value", "calibrated", "p"]].mean()
        found[measure] = Chance(
            _by_layer(cells, untrained),
            {str(name): float(value) for name, value in whole.items()},
            int(about["null"]),
            str(about["within"]),
            len(cells.drop_duplicates(["run_x", "run_y"])),
        )
    return found


def _by_layer(cells: pd.DataFrame, own: pd.Series) -> pd.DataFrame:
    """A layer with itself in another replicate: means, and extremes of what is drawn with them."""
    same = cells[cells["layer_x"] == cells["layer_y"]]
    grouped = same.groupby("layer_x", sort=False)
    drawn = {
        f"{name}_{how}".removesuffix("_mean"): grouped[name].agg(how)
        for name in ("value", "threshold", "untrained")
        for how in ("mean", "min", "max")
    }
    drawn |= {name: grouped[name].mean() for name in ("calibrated", "p")}
    drawn["own"] = own.reindex(grouped["value"].mean().index)
    return pd.DataFrame(drawn).rename_axis("layer").reset_index()
