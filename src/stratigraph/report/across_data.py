"""How alike networks of different data are on the same probes, layer by layer, as a table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from stratigraph.evidence.claims.parts import across, baseline, of_vaes
from stratigraph.report.data import ReportData

__all__ = ["across_data"]

COLUMNS = ["architecture", "probes", "layer", "one", "two", "trained", "similarity", "pairs"]


def across_data(data: ReportData) -> pd.DataFrame:
    """One row an architecture, set of probes, layer and two sets of data, by the study's CKA.

    Columns: architecture, probes (whose they are), layer, one, two (what the networks were trained
    on; equal for replicates of one configuration), trained (at the last step, or at step 0),
    similarity (the mean) and pairs (of how many runs). Pairs differ in their data alone, and share
    no random streams. They are of the runs that learned, as findings are (of all, where none did).
    Empty where no network reads another's probes.

    """
    evidence = data.evidence
    if evidence is None or evidence.cka not in evidence.across:
        return pd.DataFrame(columns=COLUMNS)
    learned = evidence.without(evidence.failed)
    if learned.across[evidence.cka].table.empty:
        learned = evidence
    pairs = of_vaes(learned.across[evidence.cka])
    pairs = pairs.where(across(pairs, "data") | baseline(pairs))
    table = pairs.table
    order = list(dict.fromkeys(run.config.data["name"] for run in data.study.runs.values()))
    order += sorted({*table["data_x"], *table["data_y"]} - set(order))
    place = np.stack([table[f"data_{side}"].map(order.index) for side in "xy"], 1).astype(int)
    place.sort(axis=1)
    found = pd.DataFrame(
        {
            "architecture": table["architecture_x"],
            "probes": table["shown_x"],
            "layer": table["layer_x"],
            "one": [order[i] for i in place[:, 0]],
            "two": [order[i] for i in place[:, 1]],
            "trained": (table["last_x"] & table["last_y"]).astype(bool),
            "similarity": pairs.values[:, 0],
        }
    )
    means = found.groupby(COLUMNS[:6], sort=False)["similarity"].agg(["mean", "count"])
    return means.reset_index().set_axis(COLUMNS, axis=1)
