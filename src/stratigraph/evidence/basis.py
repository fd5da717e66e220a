"""What findings rest on, as one table: the scores of every contrast, with their weights.

A row is a score that entered a question by a measure: the runs that it is of, with configuration
and random stream, its group, side and cell, and its values: of all probes (``value``), then without
each group of them (``without_00`` …). Rows whose ``decides`` is false are of the contrast of all
runs, which stands beside the one that decides where some did not learn. Where the contrast is a
weighed sum of cells, it is

    Σ over cells  weight · mean of the values in the cell;

without a run it is the same without the run's rows (`stratigraph.evidence.contrast`,
`stratigraph.evidence.estimate`). Rank correlations have no weights; those of two measures have the
score by each in place of a value.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from stratigraph.evidence.contrast import Contrast
from stratigraph.evidence.finding import Finding

__all__ = ["table_of_scores"]

FIRST = ("key", "measure", "decides")
SIDES = ("run", "config", "stream", "layer", "step")
LABELS = (
    *(f"{name}_{side}" for name in SIDES for side in ("x", "y")),
    "layers", "group", "side", "cell", "weight", "passive", "distance",
)  # fmt: skip


def table_of_scores(findings: Iterable[Finding]) -> pd.DataFrame:
    """The scores of the contrasts of findings: question (``key``), measure, labels and values.

    A column that a contrast has not is missing (NaN) in its rows.
    """
    parts = [
        _rows(contrast).assign(key=finding.question.key, measure=measure, decides=decides)
        for finding in findings
        for decides, contrasts in (
            (True, finding.question.contrasts),
            (False, finding.contrasts_of_all),
        )
        for measure, contrast in contrasts.items()
    ]
    if not parts:
        return pd.DataFrame(columns=list(FIRST))
    table = pd.concat(parts, ignore_index=True)
    known = (*FIRST, *LABELS, "value")
    values = sorted(str(name) for name in table if name not in known)
    first = [name for name in known if name in table]
    return table[[*first, *values]]


def _rows(contrast: Contrast) -> pd.DataFrame:
    labels = contrast.table[[name for name in LABELS if name in contrast.table]]
    if "layers" in labels:
        labels = labels.assign(layers=labels["layers"].map(" ".join))
    count = contrast.values.shape[1]
    names = contrast.scores or ["value", *(f"without_{group:02d}" for group in range(count - 1))]
    values = pd.DataFrame(contrast.values, columns=list(names), index=labels.index)
    return pd.concat([labels, values], axis=1)
