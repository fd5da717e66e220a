"""Disentanglement scores and the layers' progress on one axis of steps."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from stratigraph.report.figures.bands import draw_bands
from stratigraph.report.figures.over_training import LINE
from stratigraph.report.figures.style import PARTS, STYLE, new_figure, step_axis
from stratigraph.report.gain_data import BESIDE

__all__ = ["draw_gains"]

COLUMNS = 3
OF_LAYERS = {
    "encoder": ("encoder's progress", *PARTS["encoder"]),
    "mean": ("mean's progress", *PARTS["latents"]),
    "decoder": ("decoder's progress", *PARTS["decoder"]),
}
DASHES = dict(zip(BESIDE, ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (6, 1, 1, 1))), strict=True))


def draw_gains(table: pd.DataFrame) -> Figure:
    """One panel a configuration: coloured lines are layers, black ones, on the right axis, scores.

    Args:
        table: as `stratigraph.report.gain_data.gains` gives.

    """
    labels = list(dict.fromkeys(table["configuration"]))
    columns = min(COLUMNS, len(labels))
    rows = math.ceil(len(labels) / columns)
    most = max(0.1, min(1.0, 1.2 * table.loc[table["kind"] == "score", "mean"].max()))
    with mpl.rc_context(STYLE):
        figure = new_figure(1.9 + 2.3 * columns, 0.7 + 2.0 * rows)
        axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
        known: dict[str, Any] = {}
        for place, (axis, label) in enumerate(zip(axes.ravel(), labels, strict=False)):
            own = table[table["configuration"] == label]
            lines = dict(iter(own.groupby("line", sort=False)))
            bands = [
                (lines[name], colour, dash, title)
                for name, (title, colour, dash) in OF_LAYERS.items()
                if name in lines
            ]
            scores = [
                (lines[name], "black", DASHES[name], title)
                for name, title in BESIDE.items()
                if name in lines
            ]
            draw_bands(axis, bands, alpha=0.06, **LINE)
            axis.set_ylim(-0.05, 1.03)
            other = axis.twinx()
            draw_bands(other, scores, alpha=0.15, **LINE)
            other.set_ylim(-0.05 * most, 1.03 * most)
            other.spines["right"].set_visible(True)
            last = place % columns == columns - 1 or place == len(labels) - 1
            other.set_ylabel("score" if last else "")
            other.tick_params(labelright=last)
            axis.set_title(textwrap.fill(label, 30), fontsize=7)
            step_axis(axis, sorted(own["step"].unique()))
            for one in (axis, other):
                for handle, name in zip(*one.get_legend_handles_labels(), strict=True):
                    known.setdefault(name, handle)
        for index, axis in enumerate(axes.ravel()):
            if index >= len(labels):
                axis.set_axis_off()
            if index % columns == 0:
                axis.set_ylabel("progress")
            if index + columns < len(labels):
                axis.set_xlabel("")
        figure.legend(list(known.values()), list(known), loc="outside right center", frameon=False)
    return figure
