"""Layer × data set × data set: networks of two sets of data on the probes of each."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from stratigraph.report.figures.layout import add_scale
from stratigraph.report.figures.style import SCORES, STYLE, measure_name, new_figure, short

__all__ = ["draw_across_data"]

MOST = 8  # columns of a panel up to which numbers are written into the cells


def draw_across_data(table: pd.DataFrame, measure: str) -> Figure:
    """A panel a set of probes: layers down; replicates, networks of other data, untrained ones.

    Args:
        table: of one architecture, as `report.across_data` gives it.
        measure: that scored it.

    """
    shown = list(dict.fromkeys(table["probes"]))
    layers = list(dict.fromkeys(table["layer"]))
    trained, untrained = table[table["trained"]], table[~table["trained"]]
    ends = trained[["one", "two"]].drop_duplicates()
    same, apart = ends[ends["one"] == ends["two"]], ends[ends["one"] != ends["two"]]
    columns = [
        (_title(one, two), trained[(trained["one"] == one) & (trained["two"] == two)])
        for one, two in [*same.itertuples(index=False), *apart.itertuples(index=False)]
    ]
    others = untrained[untrained["one"] != untrained["two"]]
    if len(others):
        columns.append(("untrained,\nother data", others))
    lines = [len(same) - 0.5, len(same) + len(apart) - 0.5]
    with mpl.rc_context(STYLE):
        width = 0.46 if len(columns) <= MOST else 0.22
        figure = new_figure(
            1.6 + (0.25 + width * len(columns)) * len(shown), 1.5 + 0.19 * len(layers)
        )
        axes = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
        for axis, probes in zip(axes, shown, strict=True):
            cells = [own[own["probes"] == probes] for _, own in columns]
            means = [own.groupby("layer")["similarity"].mean().reindex(layers) for own in cells]
            values = np.stack([mean.to_numpy(dtype=float) for mean in means], axis=1)
            image = _draw_panel(axis, values, [name for name, _ in columns], layers)
            axis.vlines(lines, -0.5, len(layers) - 0.5, color="white", linewidth=3)
            axis.set_title(f"shown {probes}")
        add_scale(figure, image, measure_name(measure))
    return figure


def _title(one: str, two: str) -> str:
    return f"{one},\nother seeds" if one == two else f"{one}\n{two}"


def _draw_panel(axis: Axes, values: np.ndarray, names: list[str], layers: list[str]) -> AxesImage:
    image = axis.imshow(values, vmin=0, vmax=1, cmap=SCORES, aspect="auto")
    axis.set_xticks(np.arange(len(names)), names, rotation=90)
    axis.set_yticks(np.arange(len(layers)), [short(layer) for layer in layers])
    axis.tick_params(labelsize=6.5)
    axis.spines[:].set_visible(False)
    for (i, j), value in np.ndenumerate(values) if len(names) <= MOST else ():
        if np.isfinite(value):
            red, green, blue, _ = image.cmap(image.norm(value))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            axis.text(
                j, i, f"{value:.2f}".replace("-", "−"), ha="center", va="center", fontsize=6,
                color="w" if dark else "k",
            )  # fmt: skip
    return image
