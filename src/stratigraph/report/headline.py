"""What a study says in a terminal, and when layers reach 0.9 of their final similarity."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pandas as pd

from stratigraph.report.answer import answer_table, answer_words
from stratigraph.report.data import THRESHOLD, ReportData, Scored
from stratigraph.report.figures.style import measure_name
from stratigraph.study import Study

__all__ = ["headline", "reach_table"]

WIDTH = 92


def reach_table(scored: Scored, column: str = "similarity") -> pd.DataFrame:
    """By part of the network: median step at which a layer reaches the threshold, and quartiles.

    Columns: part, median, lower, upper, layers (run × layer pairs counted), undefined (of them,
    those that have no trajectory), untrained (mean similarity to the final state at step 0).
    """
    reached = scored.reached[column]
    rows = []
    for part in ("encoder", "latents", "decoder", "network"):
        chosen = reached[reached["part"] == part]
        steps = chosen["reached"].dropna()
        if chosen.empty:
            continue
        quartiles = steps.quantile([0.25, 0.5, 0.75]) if len(steps) else [np.nan] * 3
        lower, median, upper = (float(value) for value in quartiles)
        rows.append(
            {
                "part": part,
                "median": median,
                "lower": lower,
                "upper": upper,
                "layers": len(chosen),
                "undefined": int(chosen["reached"].isna().sum()),
                "untrained": float(chosen["untrained"].mean()),
            }
        )
    return pd.DataFrame(rows)


def headline(study: Study, data: ReportData | None = None) -> list[str]:
    """What a study prints when it is done: its answer and the main questions, for people.

    Of a study without findings it is when layers arrive.

    Args:
        study: a compared study.
        data: the report's, where that was made.

    """
    data = data or ReportData(study)
    answer = answer_words(data.findings)
    if answer:
        said = textwrap.wrap(f"{study.config.name}: {' '.join(answer)}", WIDTH)
        table = answer_table(data.findings)
        return [*said, *(["", *table] if table else [])]
    lines = [
        f"{study.config.name}: step at which a layer reaches {THRESHOLD} of its final similarity, "
        "median over runs and layers (quartiles)"
    ]
    for measure, scored in data.scored.items():
        parts = [_part(row) for row in reach_table(scored).to_dict("records")]
        lines.append(f"  {measure_name(measure):<30} {'   '.join(parts)}")
    return lines


def _part(row: dict[Any, Any]) -> str:
    if np.isnan(row["median"]):
        return f"{row['part']} undefined"
    return f"{row['part']} {row['median']:,.0f} ({row['lower']:,.0f} to {row['upper']:,.0f})"
