"""Power against replicates: a line a question, and the power that is asked for."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stratigraph.evidence.power import POWER
from stratigraph.report.figures.style import STYLE, new_figure

__all__ = ["draw_power", "draw_power_panel"]

DASHES = ("-", "--", "-.", ":")


def draw_power(curves: pd.DataFrame) -> Figure:
    """The chance that each number of replicates decides, (replicates × questions)."""
    with mpl.rc_context(STYLE):
        figure = new_figure(6.4, 3.4 + 0.16 * len(curves.columns))
        draw_power_panel(figure.subplots(), curves)
        if len(curves.columns):
            figure.legend(loc="outside lower left", frameon=False, fontsize=7)
    return figure


def draw_power_panel(axis: Axes, curves: pd.DataFrame) -> None:
    """The panel alone."""
    with mpl.rc_context(STYLE):
        for place, words in enumerate(curves):
            axis.plot(
                curves.index, curves[words], label=str(words), linewidth=1.3,
                linestyle=DASHES[place // 10 % len(DASHES)], color=f"C{place % 10}",
            )  # fmt: skip
        axis.axhline(POWER, color="#444444", linewidth=0.7, zorder=0)
        axis.set_xscale("log", base=2)
        axis.set_xticks([2, 4, 8, 16, 32, 64], ["2", "4", "8", "16", "32", "64"])
        axis.set_ylim(0, 1.02)
        axis.set_xlabel("replicates of each configuration")
        axis.set_ylabel("power, were the estimate the truth")
