"""Losses over training: one panel a configuration, one colour a seed."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from stratigraph.report.figures.style import STYLE, name_power, new_figure, step_axis

__all__ = ["draw_losses"]

COLUMNS = 4


COLOURS = ("#0072B2", "#D55E00")


def draw_losses(
    table: pd.DataFrame,
    terms: Sequence[str] = ("reconstruction", "kl"),
    unit: str = "nats per image",
) -> Figure:
    """One or two terms of the losses, of training batches (thin) and held-out images (dots)."""
    labels = list(dict.fromkeys(table["configuration"]))
    columns = min(COLUMNS, len(labels))
    rows = math.ceil(len(labels) / columns)
    with mpl.rc_context(STYLE):
        figure = new_figure(max(0.6 + 2.6 * columns, 5.0), 0.7 + 2.2 * rows)
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
        for axis, label in zip(axes, labels, strict=False):
            chosen = table[table["configuration"] == label]
            for term, colour in zip(terms, COLOURS, strict=False):
                for i, (_, run) in enumerate(chosen.groupby("run", sort=False)):
                    training = run[run["split"] == "training"]
                    held_out = run[run["split"] == "validation"]
                    axis.plot(
                        training["step"], training[term], color=colour, linewidth=0.6, alpha=0.55
                    )
                    axis.plot(
                        held_out["step"], held_out[term], ".", color=colour, markersize=4,
                        label=term if i == 0 else None,
                    )  # fmt: skip
            if len(terms) > 1:
                axis.set_yscale("symlog", linthresh=1)
                axis.set_ylim(bottom=0)
                axis.yaxis.set_major_formatter(name_power)
            elif (chosen[terms[0]] > 0).all():  # a loss of the caller's may have any sign
                axis.set_yscale("log")
                axis.yaxis.set_major_formatter(name_power)
            axis.set_title(textwrap.fill(label, 34), fontsize=7)
            step_axis(axis, sorted(chosen["step"].unique()))
        for axis in axes[len(labels) :]:
            axis.set_axis_off()
        for axis in axes[::columns]:
            axis.set_ylabel(unit)
        axes[0].legend(frameon=False, loc="lower left")
        dots = "held-out images" if len(terms) > 1 else "validation"
        figure.suptitle(f"Losses: training batches (lines), {dots} (dots)", fontsize=10)
    return figure
