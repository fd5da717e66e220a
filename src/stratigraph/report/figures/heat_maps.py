"""Layers × layers between steps: within runs above, across seeds below."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from stratigraph.report.figures.layout import add_scale
from stratigraph.report.figures.style import SCORES, STYLE, measure_name, new_figure, short
from stratigraph.report.heat_data import Between, HeatMap

__all__ = ["draw_between", "draw_heat_maps"]


def draw_between(maps: Sequence[Between], measure: str) -> Figure:
    """Layers of two configurations at their last steps, runs of different seeds."""
    columns = min(3, len(maps))
    rows = -(-len(maps) // columns)
    with mpl.rc_context(STYLE):
        figure = new_figure(0.8 + 3.0 * columns, 0.4 + 3.1 * rows)
        axes = figure.subplots(rows, columns, squeeze=False)
        for index, axis in enumerate(axes.ravel()):
            if index >= len(maps):
                axis.set_axis_off()
                continue
            heat = maps[index].heat
            image = axis.imshow(heat.values, vmin=0, vmax=1, cmap=SCORES, aspect="auto")
            axis.set_title("\n".join(textwrap.wrap(maps[index].title, 46)), fontsize=7)
            axis.set_xticks(
                np.arange(len(heat.columns)), [short(n) for n in heat.columns], rotation=90
            )
            axis.set_yticks(np.arange(len(heat.rows)), [short(n) for n in heat.rows])
            axis.tick_params(labelsize=6)
            axis.spines[:].set_visible(False)
        add_scale(figure, image, measure_name(measure))
    return figure


def draw_heat_maps(rows: Sequence[Sequence[HeatMap]], measure: str, label: str) -> Figure:
    """A row of maps within runs and, where there are several seeds, a row across seeds."""
    columns = max(len(row) for row in rows)
    with mpl.rc_context(STYLE):
        figure = new_figure(0.8 + 2.65 * columns, 0.9 + 2.75 * len(rows))
        axes = figure.subplots(len(rows), columns, squeeze=False)
        for r, row in enumerate(rows):
            for c in range(columns):
                axis = axes[r, c]
                if c >= len(row):
                    axis.set_axis_off()
                    continue
                heat = row[c]
                image = axis.imshow(heat.values, vmin=0, vmax=1, cmap=SCORES, aspect="auto")
                kind = (
                    f"across seeds ({heat.pairs} pair{'s' * (heat.pairs != 1)})"
                    if heat.across_seeds
                    else f"within run ({heat.pairs} run{'s' * (heat.pairs != 1)})"
                )
                axis.set_title(f"step {heat.row_step:,} to {heat.column_step:,}\n{kind}")
                lowest = r + 1 == len(rows) or c >= len(rows[r + 1])
                across = [short(n) for n in heat.columns] if lowest else []
                down = [short(n) for n in heat.rows] if c == 0 else []
                axis.set_xticks(np.arange(len(across)), across, rotation=90)
                axis.set_yticks(np.arange(len(down)), down)
                axis.set_xlabel(f"layers at step {heat.column_step:,}" if lowest else "")
                axis.set_ylabel("layers at the earlier step" if c == 0 else "")
                axis.spines[:].set_visible(False)
        add_scale(figure, image, measure_name(measure))
        figure.suptitle(label, fontsize=10)
    return figure
