"""Runs at their steps, as points of a plane: colour for the configuration, size for time."""

from __future__ import annotations

import textwrap

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stratigraph.report.figures.style import STYLE, measure_name, new_figure, ordered_colours
from stratigraph.report.map_data import ModelMap

__all__ = ["draw_map_panel", "draw_model_map"]


def draw_model_map(found: ModelMap, measure: str) -> Figure:
    """A path a run, from small points (early) to large ones (the last step)."""
    with mpl.rc_context(STYLE):
        figure = new_figure(6.8, 4.2)
        draw_map_panel(figure.subplots(), found)
        figure.legend(loc="outside right center", frameon=False)
        figure.suptitle(f"{found.title}: layer matrices by {measure_name(measure)}", fontsize=10)
    return figure


def draw_map_panel(axis: Axes, found: ModelMap) -> None:
    """The panel alone."""
    points = found.points
    labels = list(dict.fromkeys(points["configuration"]))
    styles = ordered_colours(labels)
    for _, own in points.groupby("run", sort=False):
        own = own.sort_values("step")
        colour, dash = styles[own["configuration"].iloc[0]]
        axis.plot(own["x"], own["y"], color=colour, linestyle=dash, linewidth=0.6, alpha=0.6)
        sizes = 4 + 30 * np.linspace(0, 1, len(own)) ** 2
        axis.scatter(own["x"], own["y"], s=sizes, color=colour, linewidths=0, alpha=0.8)
    for label in labels:
        colour, dash = styles[label]
        axis.plot(
            [], [], color=colour, linestyle=dash, marker="o", markersize=4,
            label=textwrap.fill(label, 30),
        )  # fmt: skip
    axis.set_xlabel(f"first direction ({found.explained[0]:.0%} of the variance)")
    axis.set_ylabel(f"second ({found.explained[1]:.0%})")
