"""One matrix of scores: representations × representations, with its numbers where there is room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from stratigraph.report.figures.layout import add_scale
from stratigraph.report.figures.style import SCORES, STYLE, measure_name, new_figure

if TYPE_CHECKING:
    import xarray

__all__ = ["draw_matrix", "draw_scores_panel"]

ROOM = 12  # representations a side up to which numbers are written into the cells


def draw_matrix(found: xarray.DataArray, low: float | None, high: float | None) -> Figure:
    """Scores of ``x`` (down) and ``y`` (across).

    Args:
        found: as `similarity_matrix` gives it; NaN is left empty.
        low: the colour scale's lower end; None is the least score.
        high: its upper end.

    """
    rows, columns = (list(map(str, found[axis].values)) for axis in ("x", "y"))
    cell = 0.55 if max(len(rows), len(columns)) <= ROOM else 0.16
    with mpl.rc_context(STYLE):
        margin = 0.07 * max(map(len, [*rows, *columns]))
        figure = new_figure(1.6 + margin + cell * len(columns), 1.0 + margin + cell * len(rows))
        image = draw_scores_panel(figure.subplots(), found, low, high)
        add_scale(figure, image, measure_name(str(found.name)))
    return figure


def draw_scores_panel(
    axis: Axes,
    found: xarray.DataArray,
    low: float | None,
    high: float | None,
    numbers: bool | None = None,
) -> AxesImage:
    """The panel alone; its image, which a scale of colours is made of.

    Args:
        axis: where.
        found: scores, as of `draw_matrix`.
        low: the colour scale's lower end.
        high: its upper end.
        numbers: write them into the cells; by default where there is room.

    """
    rows, columns = (list(map(str, found[axis].values)) for axis in ("x", "y"))
    image = axis.imshow(found.values, vmin=low, vmax=high, cmap=SCORES, aspect="auto")
    axis.set_xticks(np.arange(len(columns)), columns, rotation=90)
    axis.set_yticks(np.arange(len(rows)), rows)
    axis.spines[:].set_visible(False)
    if max(len(rows), len(columns)) <= ROOM if numbers is None else numbers:
        for (i, j), value in np.ndenumerate(found.values):
            red, green, blue, _ = image.cmap(image.norm(value))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 and np.isfinite(value)
            text = f"{value:.2f}" if np.isfinite(value) else "–"
            axis.text(j, i, text, ha="center", va="center", color="w" if dark else "k")
    return image
