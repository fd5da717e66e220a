"""Scores of layers across seeds beside what would score without training, and by chance."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from stratigraph.report.figures.style import STYLE, measure_name, new_figure, short

__all__ = ["draw_chance"]

BESIDE = 1.22  # of the scale: where numbers end
TRAINED, UNTRAINED, OWN, CHANCE = "#0072B2", "#D55E00", "#009E73", "#bbbbbb"


def draw_chance(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """One panel a measure, one line a layer.

    Args:
        tables: measure → layer; value, threshold and untrained with _min and _max; own; calibrated.

    """
    layers = list(dict.fromkeys(layer for table in tables.values() for layer in table["layer"]))
    with mpl.rc_context(STYLE):
        figure = new_figure(1.4 + 3.0 * len(tables), 1.3 + 0.19 * len(layers))
        axes = figure.subplots(1, len(tables), squeeze=False, sharey=True)[0]
        for axis, (measure, table) in zip(axes, tables.items(), strict=True):
            places = [layers.index(layer) for layer in table["layer"]]
            least = min(0.0, float(table[["value_min", "threshold", "untrained_min"]].min().min()))
            axis.barh(
                places, table["threshold"] - least, 0.8, least, color=CHANCE, alpha=0.6,
                label="up to here chance, 19 times of 20",
            )  # fmt: skip
            for name, colour, mark in (("value", TRAINED, "o"), ("untrained", UNTRAINED, "D")):
                axis.hlines(
                    places, table[f"{name}_min"], table[f"{name}_max"], color=colour, linewidth=1.2
                )
                axis.plot(
                    table[name], places, mark, color=colour, markersize=4,
                    markerfacecolor=colour if mark == "o" else "white",
                    label="across seeds" if mark == "o" else "across seeds, untrained",
                )  # fmt: skip
            axis.plot(
                table["own"],
                places,
                "x",
                color=OWN,
                markersize=4,
                label="untrained with its own end",
            )
            # Beside the marks, within the axes: no room is made for what stands outside.
            axis.text(BESIDE, -1, "calibrated", ha="right", va="center", fontsize=6.5)
            for place, calibrated in zip(places, table["calibrated"], strict=True):
                axis.text(BESIDE, place, f"{calibrated:.2f}", ha="right", va="center", fontsize=6.5)
            axis.set_yticks(range(len(layers)), [short(layer) for layer in layers])
            axis.set_ylim(len(layers) - 0.4, -1.5)
            axis.set_xlim(least - 0.02, BESIDE)
            axis.set_xticks([0, 0.25, 0.5, 0.75, 1])
            axis.set_xlabel(measure_name(measure))
        figure.legend(
            *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False
        )
    return figure
