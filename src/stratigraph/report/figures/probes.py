"""How much hangs on which probes: what is left of a contrast, and whether halves of them agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stratigraph.report.figures.style import (
    PARTS,
    STYLE,
    measure_name,
    new_figure,
    ordered_colours,
    short,
)

__all__ = ["draw_probes"]

Tables = Mapping[str, pd.DataFrame]
MARKS = "os^Dv"


def draw_probes(tables: Tables) -> Figure:
    """Claim 1's contrast without some probes or a factor's value, and whether halves agree.

    Args:
        tables: ``probes`` (data, out, left), ``turned`` (data, contrast, probes, fewest, after) and
            ``without`` (data, factor, value, contrast), of what has the contrast; ``agreement``
            (measure, kind, agreement, lowest). What is empty has no panel.

    """
    colours = ordered_colours(list(tables["turned"]["data"]))
    factors = tables["without"].groupby(["data", "factor"]).ngroups
    kinds = tables["agreement"]["kind"].nunique()
    panels: list[tuple[Callable[[Axes], None], int]] = []
    if colours:
        panels.append((partial(_draw_fewer, tables, colours), 0))
    if factors:
        panels.append((partial(_draw_without, tables, colours), factors))
    if kinds:
        panels.append((partial(_draw_agreement, tables["agreement"]), kinds))
    with mpl.rc_context(STYLE):
        height = 0.9 + 0.15 * max(lines for _, lines in panels)
        figure = new_figure(3.3 * len(panels), max(2.6, height))
        for axis, (draw, _) in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
        ):
            draw(axis)
    return figure


def _draw_fewer(tables: Tables, colours: Mapping[str, tuple], axis: Axes) -> None:
    """What influences alone say is left of the contrast, and what turns it."""
    for row in tables["turned"].to_dict("records"):
        own = tables["probes"][tables["probes"]["data"] == row["data"]]
        colour, dash = colours[row["data"]]
        share = 100 / row["probes"]
        half = own[own["out"] <= row["probes"] // 2]
        axis.plot(
            np.r_[0, half["out"] * share], np.r_[row["contrast"], half["left"]],
            color=colour, linestyle=dash, label=row["data"],
        )  # fmt: skip
        if row["fewest"]:
            axis.plot(row["fewest"] * share, row["after"], "o", color=colour, markersize=5)
    axis.axhline(0, color="#444444", linewidth=0.7)
    axis.set_title("without the probes that speak for it")
    axis.set_xlabel("probes left out (%)")
    axis.set_ylabel("area, encoder less decoder")
    axis.legend(frameon=False)


def _draw_without(tables: Tables, colours: Mapping[str, tuple], axis: Axes) -> None:
    """The contrast without each value of a factor, a line of ticks for each factor."""
    labels: list[str] = []
    contrasts = dict(zip(tables["turned"]["data"], tables["turned"]["contrast"], strict=True))
    for (data, factor), own in tables["without"].groupby(["data", "factor"], sort=False):
        colour, place, whole = colours[str(data)][0], len(labels), contrasts[data]
        axis.plot([whole, whole], [place - 0.4, place + 0.4], color=colour, linewidth=1)
        axis.plot(
            own["contrast"], np.full(len(own), place), "|", color=colour, markersize=7,
            markeredgewidth=1.2,
        )  # fmt: skip
        labels.append(str(factor) if len(colours) == 1 else f"{data},\n{factor}")
    axis.axvline(0, color="#444444", linewidth=0.7)
    axis.set_yticks(range(len(labels)), labels)
    axis.set_ylim(len(labels) - 0.4, -0.6)
    axis.set_title("without one value of a factor")
    axis.set_xlabel("area, encoder less decoder")


def _draw_agreement(table: pd.DataFrame, axis: Axes) -> None:
    """How well halves agree on the order of pairs: a line a layer, a mark a measure."""
    kinds = list(dict.fromkeys(table["kind"]))
    measures = list(dict.fromkeys(table["measure"]))
    colours = [PARTS[part][0] for part in ("encoder", "decoder", "latents", "network", "input")]
    for index, measure in enumerate(measures):
        own = table[table["measure"] == measure]
        shift = 0.3 * (index - (len(measures) - 1) / 2)
        places = np.array([kinds.index(kind) for kind in own["kind"]]) + shift
        colour = colours[index % len(colours)]
        axis.hlines(places, own["lowest"], own["agreement"], color=colour, linewidth=1)
        axis.plot(
            own["agreement"], places, MARKS[index % len(MARKS)], color=colour, markersize=3.5,
            label=measure_name(measure),
        )  # fmt: skip
    axis.set_yticks(range(len(kinds)), [short(kind) for kind in kinds])
    axis.set_ylim(len(kinds) - 0.4, -0.6)
    axis.set_xlim(right=1.02)
    axis.grid(axis="x", linewidth=0.4, color="#dddddd")
    axis.set_title("whether halves of the probes agree")
    axis.set_xlabel("rank correlation of pairs' scores")
    if len(measures) > 1:
        axis.legend(frameon=False, loc="lower left")
