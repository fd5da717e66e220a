"""Each layer's similarity to its final state over training, encoder against decoder."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stratigraph.report.figures.bands import draw_bands
from stratigraph.report.figures.style import (
    PARTS,
    STYLE,
    layer_colours,
    measure_name,
    new_figure,
    short,
    step_axis,
)

__all__ = ["draw_answer", "draw_convergence", "draw_layers_panel", "draw_parts"]

KINDS = {
    "similarity": "similarity to the final state",
    "progress": "progress above the untrained network",
}
MARKS = {"encoder": "o", "decoder": "s", "network": "D"}


def draw_convergence(
    tables: dict[str, pd.DataFrame], labels: Sequence[str], title: str, threshold: float
) -> Figure:
    """One row a measure, one column a configuration, one line a layer (mean over seeds).

    Args:
        tables: measure → table as `learning_data.curves` gives.
        labels: the configurations to draw.
        title: what the columns share.
        threshold: drawn as a thin line.

    """
    with mpl.rc_context(STYLE):
        figure = new_figure(1.6 + 2.9 * len(labels), 0.6 + 2.5 * len(tables))
        axes = figure.subplots(len(tables), len(labels), squeeze=False, sharey=True)
        for r, (measure, table) in enumerate(tables.items()):
            for c, label in enumerate(labels):
                axis = axes[r, c]
                chosen = table[table["configuration"] == label]
                draw_layers_panel(axis, chosen, threshold)
                axis.set_ylim(-0.02, 1.03)
                heading = textwrap.fill(f"{label} ({int(chosen['runs'].max())} runs)", 40)
                axis.set_title(heading if r == 0 else "", fontsize=8)
                if c == 0:
                    axis.set_ylabel(f"{measure_name(measure)}\nto final state")
        handles, names = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside right center", frameon=False)
        figure.suptitle(title, fontsize=10)
    return figure


def draw_layers_panel(axis: Axes, table: pd.DataFrame, threshold: float) -> None:
    """One configuration's panel: a line a layer, of ``step``, ``mean``, ``low`` and ``high``."""
    lines = dict(iter(table.groupby("layer", sort=False)))
    bands = []
    for part, (_, dash) in PARTS.items():
        if part == "input":
            continue  # the probes never change: its line is 1 by definition
        layers = list(dict.fromkeys(table.loc[table["part"] == part, "layer"]))
        colours = layer_colours(layers, part)
        bands += [(lines[layer], colours[layer], dash, short(layer)) for layer in layers]
    draw_bands(axis, bands, alpha=0.12, linewidth=1.1)
    axis.axhline(threshold, color="#999999", linewidth=0.6, zorder=0)
    step_axis(axis, sorted(table["step"].unique()))


def draw_parts(tables: dict[str, pd.DataFrame], title: str, threshold: float) -> Figure:
    """Encoder, latents and decoder: the mean over their layers and all runs, with the extremes.

    Beside each measure's panel, the same as progress above the untrained network.

    Args:
        tables: measure → table as `learning_data.parts` gives.
        title: of the figure.
        threshold: drawn as a thin line.

    """
    with mpl.rc_context(STYLE):
        figure = new_figure(7.6, 0.6 + 2.5 * len(tables))
        axes = figure.subplots(len(tables), 2, squeeze=False)
        for r, (measure, table) in enumerate(tables.items()):
            for axis, (kind, what) in zip(axes[r], KINDS.items(), strict=True):
                own = table[table["kind"] == kind]
                bands = [(rows, *PARTS[part], part) for part, rows in _by_part(own, PARTS)]
                draw_bands(axis, bands, marker=".")
                axis.axhline(threshold, color="#999999", linewidth=0.6, zorder=0)
                axis.set_ylim(-0.05 if kind == "similarity" else -1.0, 1.03)
                step_axis(axis, sorted(table["step"].unique()))
                axis.set_title(what if r == 0 else "")
            axes[r, 0].set_ylabel(measure_name(measure))
        axes[0, 0].legend(frameon=False, loc="lower right")
        figure.suptitle(title, fontsize=10)
    return figure


def draw_answer(table: pd.DataFrame, measure: str, *, narrow: bool = False) -> Figure:
    """Encoder against decoder: similarity to the final state, and progress above the untrained.

    Args:
        table: as `learning_data.parts` gives.
        measure: that it is of.
        narrow: one panel above the other, for narrow screens.

    """
    shown = [part for part, _ in _by_part(table, MARKS)]
    with mpl.rc_context(STYLE):
        figure = new_figure(*((3.7, 5.4) if narrow else (7.6, 3.1)))
        axes = figure.subplots(*((2, 1) if narrow else (1, 2)), squeeze=False).ravel()
        for axis, (kind, what) in zip(axes, KINDS.items(), strict=True):
            own = table[(table["kind"] == kind) & table["part"].isin(shown)]
            for part, rows in _by_part(own, MARKS):
                colour, dash = PARTS[part]
                band = (rows, colour, dash, part)
                draw_bands(axis, [band], alpha=0.18, marker=MARKS[part], markersize=4)
            axis.axhline(0, color="#999999", linewidth=0.6, zorder=0)
            # Down to the extremes, but no further than −1 for them: little room makes them large.
            lowest = min(max(-1.0, np.nanmin([0.0, *own["low"]])), np.nanmin([0.0, *own["mean"]]))
            axis.set_ylim(lowest - 0.05, 1.04)
            step_axis(axis, sorted(table["step"].unique()))
            axis.set_title(what)
            axis.set_ylabel(measure_name(measure) if kind == "similarity" else "share of the way")
        axes[0].legend(frameon=False, loc="lower right")
    return figure


def _by_part(table: pd.DataFrame, parts: Iterable[str]) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each part that a table has."""
    return [(part, own) for part in parts if len(own := table[table["part"] == part])]
