"""Disentanglement scores: a table in colours of the last step, and lines over training."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stratigraph.report.figures.bands import draw_bands
from stratigraph.report.figures.over_training import LINE
from stratigraph.report.figures.style import SCORES, STYLE, new_figure, ordered_colours, step_axis

__all__ = ["draw_scores", "draw_scores_over_training"]

DARK = 0.55  # of the scale: text on it is white below


def draw_scores(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """One row a configuration, one column a score: means over seeds, and their intervals.

    Args:
        table: configuration, score, mean, low, high.
        titles: score → what its column is called, in order.

    """
    rows = list(dict.fromkeys(table["configuration"]))
    columns = [name for name in titles if name in set(table["score"])]
    place = table.set_index(["configuration", "score"])
    values = np.full((len(rows), len(columns)), np.nan)
    with mpl.rc_context(STYLE):
        figure = new_figure(2.2 + 0.8 * len(columns), 1.1 + 0.42 * len(rows))
        axis = figure.subplots()
        for i, row in enumerate(rows):
            for j, name in enumerate(columns):
                if (row, name) not in place.index:
                    continue
                one = place.loc[(row, name)]
                values[i, j] = one["mean"]
                text = f"{one['mean']:.2f}"
                if math.isfinite(one["low"]):
                    text += f"\n{one['low']:.2f} to {one['high']:.2f}"
                colour = "white" if one["mean"] < DARK else "black"
                axis.text(j, i, text, ha="center", va="center", color=colour, fontsize=6)
        axis.imshow(values, cmap=SCORES, vmin=0, vmax=1, aspect="auto")
        axis.set_xticks(range(len(columns)), [titles[name].replace(" ", "\n") for name in columns])
        axis.xaxis.tick_top()
        axis.set_yticks(range(len(rows)), [textwrap.fill(row, 34) for row in rows])
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
    return figure


def draw_scores_over_training(table: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """One panel a score, one line a configuration.

    Args:
        table: configuration, score, step, mean, low, high.
        titles: score → what its panel is called, in order.

    """
    names = [name for name in titles if name in set(table["score"])]
    labels = list(dict.fromkeys(table["configuration"]))
    styles = ordered_colours(labels)
    columns = min(2, len(names))
    rows = math.ceil(len(names) / columns)
    with mpl.rc_context(STYLE):
        figure = new_figure(1.9 + 2.7 * columns, 0.4 + 2.1 * rows)
        axes = figure.subplots(rows, columns, squeeze=False)
        for axis in axes.ravel()[len(names) :]:
            axis.set_axis_off()
        for axis, name in zip(axes.ravel(), names, strict=False):
            own = table[table["score"] == name]
            bands = [
                (own[own["configuration"] == one], *styles[one], textwrap.fill(one, 30))
                for one in labels
            ]
            draw_bands(axis, bands, **LINE)
            axis.set_ylim(-0.05, 1.03)
            axis.set_title(titles[name])
            step_axis(axis, sorted(own["step"].unique()))
        handles, known = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, known, loc="outside right center", frameon=False)
    return figure
