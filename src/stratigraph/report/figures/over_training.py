"""Lines over training: pairs of layers, similarity to the input, regimes, intrinsic dimension."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stratigraph.report.figures.bands import draw_bands
from stratigraph.report.figures.style import (
    PARTS,
    STYLE,
    layer_colours,
    measure_name,
    new_figure,
    ordered_colours,
    short,
    step_axis,
)

__all__ = ["LINE", "draw_layer_lines", "draw_layer_pairs", "draw_regimes"]

REGIMES = {"active": ("#0072B2", "-"), "mixed": ("#009E73", "-."), "passive": ("#D55E00", "--")}
COLUMNS = 3
LINE: dict[str, Any] = {"linewidth": 1.2, "marker": ".", "markersize": 3}


def draw_layer_pairs(tables: dict[str, pd.DataFrame], group: str) -> Figure:
    """One row a measure, one column a pair of layers, one line a strength."""
    pairs = ("input and sample", "mean and sample")
    with mpl.rc_context(STYLE):
        figure = new_figure(7.4, 0.6 + 2.3 * len(tables))
        axes = figure.subplots(len(tables), len(pairs), squeeze=False, sharey="row")
        for r, (measure, every) in enumerate(tables.items()):
            table = every[every["group"] == group]
            labels = list(dict.fromkeys(table["configuration"]))
            styles = ordered_colours(labels)
            for c, pair in enumerate(pairs):
                axis = axes[r, c]
                lines = dict(iter(table[table["pair"] == pair].groupby("configuration")))
                bands = [(lines[one], *styles[one], one) for one in labels if one in lines]
                draw_bands(axis, bands, **LINE)
                axis.set_ylim(min(-0.02, axis.get_ylim()[0]), 1.03)
                step_axis(axis, sorted(table["step"].unique()))
                axis.set_title(pair if r == 0 else "")
                if c == 0:
                    axis.set_ylabel(measure_name(measure))
        handles, names = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside right center", frameon=False)
        figure.suptitle(group, fontsize=10)
    return figure


def draw_layer_lines(
    table: pd.DataFrame, ylabel: str, title: str, limits: tuple[float, float] | None = None
) -> Figure:
    """One panel a group, one line a layer."""
    groups = list(dict.fromkeys(table["group"]))
    columns = min(COLUMNS, len(groups))
    rows = math.ceil(len(groups) / columns)
    with mpl.rc_context(STYLE):
        figure = new_figure(1.5 + 2.7 * columns, 0.6 + 2.3 * rows)
        axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
        known: dict[str, Any] = {}
        for axis, group in zip(axes.ravel(), groups, strict=False):
            own = table[table["group"] == group]
            lines = dict(iter(own.groupby("layer", sort=False)))
            bands = []
            for part, (_, dash) in PARTS.items():
                layers = list(dict.fromkeys(own.loc[own["part"] == part, "layer"]))
                colours = layer_colours(layers, part)
                bands += [(lines[layer], colours[layer], dash, short(layer)) for layer in layers]
            draw_bands(axis, bands, **LINE)
            handles, names = axis.get_legend_handles_labels()
            for name, handle in zip(names, handles, strict=True):
                known.setdefault(name, handle)
            step_axis(axis, sorted(own["step"].unique()))
            axis.set_title(textwrap.fill(group, 36), fontsize=7)
            if limits:
                axis.set_ylim(*limits)
        _finish(axes, len(groups), ylabel)
        figure.legend(list(known.values()), list(known), loc="outside right center", frameon=False)
        figure.suptitle(title, fontsize=10)
    return figure


def draw_regimes(table: pd.DataFrame, latents: int) -> Figure:
    """One panel a configuration: how many latents are active, mixed, passive over training."""
    labels = list(dict.fromkeys(table["configuration"]))
    columns = min(4, len(labels))
    rows = math.ceil(len(labels) / columns)
    with mpl.rc_context(STYLE):
        figure = new_figure(max(1.2 + 2.2 * columns, 4.0), 0.7 + 1.9 * rows)
        axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for axis, label in zip(axes.ravel(), labels, strict=False):
            own = table[table["configuration"] == label]
            bands = [(own[own["regime"] == name], *style, name) for name, style in REGIMES.items()]
            draw_bands(axis, bands, **LINE)
            axis.set_ylim(-0.4, latents + 0.4)
            step_axis(axis, sorted(own["step"].unique()))
            axis.set_title(textwrap.fill(label, 30), fontsize=7)
        _finish(axes, len(labels), "latents")
        handles, names = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside right upper", frameon=False)
        figure.suptitle("Latents in each regime (mean, 95 % interval over seeds)", fontsize=10)
    return figure


def _finish(axes: np.ndarray, used: int, ylabel: str) -> None:
    """Label the outer axes, and take away the empty ones."""
    rows, columns = axes.shape
    for index in range(rows * columns):
        axis = axes[index // columns, index % columns]
        if index >= used:
            axis.set_axis_off()
        if index % columns == 0:
            axis.set_ylabel(ylabel)
        if index + columns < used:
            axis.set_xlabel("")
