"""Grids of images: reconstructions and traversals."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from stratigraph.report.figures.style import STYLE, new_figure
from stratigraph.report.image_data import Images

__all__ = ["draw_images"]

CELL = 0.55
GAP = 2


def draw_images(grid: Images, note: str) -> Figure:
    """One labelled row of images after another."""
    rows, columns, height, width, channels = grid.images.shape
    canvas = np.ones((rows * (height + GAP), columns * (width + GAP), channels))
    for r in range(rows):
        for c in range(columns):
            top, left = r * (height + GAP), c * (width + GAP)
            canvas[top : top + height, left : left + width] = grid.images[r, c]
    with mpl.rc_context(STYLE):
        # Room for the longest label, at about 0.075 inches a letter.
        beside = 0.9 + 0.075 * max(len(label) for label in grid.labels)
        figure = new_figure(beside + CELL * columns, 0.8 + CELL * rows)
        axis = figure.subplots()
        shown = canvas[..., 0] if channels == 1 else canvas
        axis.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        centres = np.arange(rows) * (height + GAP) + height / 2
        axis.set_yticks(centres, grid.labels)
        axis.set_xticks([])
        axis.set_xlabel(note)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        axis.set_title(grid.title)
    return figure
