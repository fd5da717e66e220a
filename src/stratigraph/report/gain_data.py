"""Disentanglement beside the layers: scores and progress on one axis of steps, as a table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from stratigraph.report.data import ReportData, Scored
from stratigraph.report.learning_data import name_runs, over_seeds

__all__ = ["BESIDE", "gains"]

BESIDE = {"mig": "MIG", "dci": "DCI", "factor_vae": "FactorVAE", "udr": "UDR"}
COLUMNS = ["configuration", "line", "kind", "step", "mean", "low", "high", "runs"]


def gains(data: ReportData, scored: Scored) -> pd.DataFrame:
    """Progress of encoder, mean and decoder, and the scores that are known of several steps.

    Progress is towards the layer's own final state, above the untrained network, and averaged over
    the layers of a part that had room to move.

    Columns: configuration, line (``encoder``, ``mean``, ``decoder`` or a score of `BESIDE`), kind
    (``layers`` or ``score``), step, mean, low, high (95 % interval over seeds), runs; empty where
    no score is known.
    """
    scores = [table for table in (data.study.disentanglement(), data.study.agreement())
              if len(table)]  # fmt: skip
    if not scores:
        return pd.DataFrame(columns=COLUMNS)
    known = pd.concat(scores, ignore_index=True)
    known = known[known["score"].isin(list(BESIDE))]
    several = known.groupby("score")["step"].nunique()
    known = known[known["score"].isin(several.index[several > 1])].dropna(subset=["value"])
    progress = scored.to_final
    line = np.where(progress["layer"] == "z_mean", "mean", progress["part"])
    layers = progress.assign(line=line)[np.isin(line, ["encoder", "mean", "decoder"])]
    layers = layers.groupby(["run", "line", "step"], sort=False)["progress"].mean().reset_index()
    both = pd.concat(
        [
            layers.rename(columns={"progress": "value"}).assign(kind="layers"),
            known.rename(columns={"score": "line"})[["run", "line", "step", "value"]].assign(
                kind="score"
            ),
        ],
        ignore_index=True,
    )
    table = name_runs(data, both)
    if known.empty or table.empty:
        return pd.DataFrame(columns=COLUMNS)
    found = over_seeds(table, ["configuration", "line", "kind", "step"], "value")
    scored_at_all = set(found.loc[found["kind"] == "score", "configuration"])
    kept: pd.DataFrame = found[found["configuration"].isin(scored_at_all)]
    return kept.sort_values(["configuration", "kind", "line", "step"])[COLUMNS]
