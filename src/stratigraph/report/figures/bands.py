"""Lines with an interval around each; the intervals of one panel are one artist."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

__all__ = ["draw_bands"]

Band = tuple[pd.DataFrame, Any, Any, str | None]  # its table, colour, dash and name


def draw_bands(axis: Axes, bands: Iterable[Band], alpha: float = 0.15, **line: Any) -> None:
    """Means over steps, and their intervals behind them.

    Args:
        axis: the panel.
        bands: for each line a table of ``step``, ``mean``, ``low``, ``high``, its colour and dash,
            and what the legend calls it.
        alpha: of intervals, which are left out where they are not known.
        line: of all lines, as `Axes.plot` takes it.

    """
    outlines, colours = [], []
    for table, colour, dash, name in bands:
        values = table[["step", "mean", "low", "high"]].to_numpy(float)
        values = values[values[:, 0].argsort(kind="stable")]
        steps, mean = values[:, :2].T
        axis.plot(steps, mean, color=colour, linestyle=dash, label=name, **line)
        known = np.isfinite(values[:, 2:]).all(axis=1)
        for part in np.split(values, np.flatnonzero(known[1:] != known[:-1]) + 1):
            if len(part) > 1 and np.isfinite(part[0, 2:]).all():
                steps, _, low, high = part.T
                outlines.append(np.r_[np.c_[steps, low], np.c_[steps, high][::-1]])
                colours.append(colour)
    if outlines:
        axis.add_collection(PolyCollection(outlines, facecolors=colours, alpha=alpha, linewidths=0))
