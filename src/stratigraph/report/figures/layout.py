"""Layout: panels in a grid, with room for what stands around them.

Margins are what ticks, labels and titles take, which is measured once: matplotlib's constrained
layout measures all of it twice, and has every label look for its place again as it is drawn, which
was half of the time that a report took. A panel is measured again only where its new size has other
ticks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.layout_engine import LayoutEngine
from matplotlib.text import Text
from matplotlib.transforms import Bbox, ScaledTranslation

__all__ = ["Layout", "add_scale"]

PAD = 0.06  # inches, on each side of a panel with all that is around it
SCALE = (0.12, 0.6)  # a colour scale: inches wide, and its share of the panels' height


class Layout(LayoutEngine):
    """The layout of a figure whose panels are one grid, made by `Figure.subplots`.

    Beside the panels there may be a title above them, a legend above or to the right of them, and
    one scale of colours (`add_scale`).
    """

    _adjust_compatible = False
    _colorbar_gridspec = False

    def execute(self, fig: Figure) -> None:
        """Give every panel its place."""
        panels = [axis for axis in fig.axes if axis.get_subplotspec() is not None]
        scales = [axis for axis in fig.axes if axis.get_subplotspec() is None]
        room = _measure_around(fig, scales)
        margins = {panel: _measure(panel) for panel in panels}
        ticks = {panel: _find_ticks(panel) for panel in panels}
        _place(fig, margins, scales, room)
        other = [panel for panel in panels if _find_ticks(panel) != ticks[panel]]
        if other:
            _place(fig, margins | {panel: _measure(panel) for panel in other}, scales, room)
        for panel in fig.axes:
            for axis in (panel.xaxis, panel.yaxis):
                _count_labels(axis, bool(axis.get_offset_text().get_text()))


def _count_labels(axis: Axis, counted: bool) -> None:
    """Whether ticks' labels are measured: in drawing only an offset has to keep clear of them."""
    for tick in axis.get_major_ticks():
        tick.label1.set_in_layout(counted)


def add_scale(figure: Figure, image: Any, label: str) -> None:
    """A scale of an image's colours, to the right of all panels."""
    figure.colorbar(image, cax=figure.add_axes((0.9, 0.2, 0.02, 0.6)), label=label)


def _place(
    figure: Figure, margins: dict[Axes, np.ndarray], scales: Sequence[Axes], room: np.ndarray
) -> None:
    """Panels of one size within their margins, but for the ratios that their grid asks for."""
    width, height = figure.get_size_inches()
    specs = {panel: spec for panel in margins if (spec := panel.get_subplotspec()) is not None}
    grid = next(iter(specs.values())).get_gridspec()
    rows, columns = np.zeros((grid.nrows, 2)), np.zeros((grid.ncols, 2))  # before and after
    for panel, (left, right, bottom, top) in margins.items():
        row, column = specs[panel].rowspan.start, specs[panel].colspan.start
        rows[row] = np.maximum(rows[row], (top, bottom))
        columns[column] = np.maximum(columns[column], (left, right))
    rows, columns = rows + PAD, columns + PAD
    _, right, _, top = room
    across = _spread(columns, width - right, grid.get_width_ratios())
    down = _spread(rows, height - top, grid.get_height_ratios())
    for panel, spec in specs.items():
        x0, x1 = across[spec.colspan.start]
        y0, y1 = top + down[spec.rowspan.start]
        panel.set_position((x0 / width, 1 - y1 / height, (x1 - x0) / width, (y1 - y0) / height))
    for scale in scales:
        first, last = top + down[0, 0], top + down[-1, 1]
        share = SCALE[1] * (last - first) / height
        place = (across[-1, 1] + columns[-1, 1] + PAD) / width
        scale.set_position(
            (place, 1 - (first + last) / 2 / height - share / 2, SCALE[0] / width, share)
        )


def _spread(margins: np.ndarray, length: float, ratios: Any) -> np.ndarray:
    """Where panels begin and end along one direction, in inches: (count, 2)."""
    free = max(length - margins.sum(), 0.1 * length)
    sizes = free * np.asarray(ratios) / np.sum(ratios)
    ends = np.cumsum(sizes + margins.sum(axis=1)) - margins[:, 1]
    return np.stack([ends - sizes, ends], axis=1)


def _measure_around(figure: Figure, scales: Sequence[Axes]) -> np.ndarray:
    """What stands around the whole grid, in inches: left, right, bottom, top."""
    right = top = 0.0
    for scale in scales:
        right += SCALE[0] + _measure(scale)[1] + 2 * PAD
    for text in figure.texts:
        text.set_y(1 - PAD / figure.get_figheight())
        top += text.get_window_extent().height / figure.dpi + PAD
    for legend in figure.legends:
        box = legend.get_window_extent()
        if box.x0 + box.x1 > figure.bbox.width + 1:  # it is not in the middle
            right += (figure.bbox.width - box.x0) / figure.dpi
        else:
            top += (figure.bbox.height - box.y0) / figure.dpi
    return np.array([0.0, right, 0.0, top])


def _measure(panel: Axes) -> np.ndarray:
    """What stands around a panel, in inches: left, right, bottom, top. Its labels get places."""
    if not (panel.axison and panel.get_visible()):
        return np.zeros(4)
    panel.apply_aspect()
    inner = panel.get_window_extent()
    boxes = [inner]
    for axis in (panel.xaxis, panel.yaxis):
        boxes += _measure_axis(axis, inner)
    for title in panel.get_children():
        if isinstance(title, Text) and title not in panel.texts and title.get_text():
            box = title.get_window_extent()  # a wide one may stand above its neighbours
            boxes.append(Bbox.from_extents(inner.x0, box.y0, inner.x1, box.y1))
    outer = Bbox.union(boxes)
    found = (inner.x0 - outer.x0, outer.x1 - inner.x1, inner.y0 - outer.y0, outer.y1 - inner.y1)
    return np.array(found) / panel.figure.dpi


def _measure_axis(axis: Axis, inner: Bbox) -> list[Bbox]:
    """The boxes of an axis' ticks, and of its label, which is put beside them."""
    label, dpi = axis.label, axis.axes.figure.dpi
    horizontal = axis is axis.axes.xaxis
    after = int(axis.get_label_position() in ("top", "right"))
    _count_labels(axis, True)
    label.set_visible(False)  # ticks alone
    axis.set_label_coords(0, 0)
    ticks = axis.get_tightbbox()
    label.set_visible(True)
    boxes = [inner] if ticks is None else [inner, ticks]
    outer = Bbox.union(boxes)
    if not label.get_text():
        return boxes
    at = 1 if horizontal else 0  # the direction in which it stands beside the ticks
    reach = outer.get_points()[after, at] - inner.get_points()[after, at]
    shift = np.zeros(2)
    shift[at] = reach / dpi + axis.labelpad / 72 * (1 if after else -1)
    x, y = (0.5, float(after)) if horizontal else (float(after), 0.5)
    away = ScaledTranslation(shift[0], shift[1], axis.axes.figure.dpi_scale_trans)
    axis.set_label_coords(x, y, transform=axis.axes.transAxes + away)
    ends = inner.get_points().copy()  # along the other its length may be more than the panel's
    ends[:, at] = label.get_window_extent().get_points()[:, at]
    return [*boxes, Bbox(ends)]


def _find_ticks(panel: Axes) -> list[list[float]]:
    return [list(axis.get_majorticklocs()) for axis in (panel.xaxis, panel.yaxis)]
