"""Ink: how every figure looks, and how it is saved.

Scores are drawn in viridis, fixed to 0-1: it is ordered in grey and for colour-blind readers.
Parts of the network differ by hue *and* by dash, so that a print in grey still tells them apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from stratigraph.report.figures.layout import Layout

__all__ = [
    "DIFFERENCES",
    "PARTS",
    "SCORES",
    "layer_colours",
    "measure_name",
    "name_power",
    "new_figure",
    "ordered_colours",
    "short",
    "step_axis",
    "stops",
]

SCORES = mpl.colormaps["viridis"].with_extremes(bad="#d9d9d9")
DIFFERENCES = mpl.colormaps["PuOr"].with_extremes(bad="#d9d9d9")  # its ends differ without hue too
STOPS = 33  # a scale interpolated between so many colours is within 3/255 of itself
PARTS: dict[str, tuple[str, Any]] = {
    "input": ("#555555", ":"),
    "encoder": ("#0072B2", "-"),
    "latents": ("#009E73", "-."),
    "sample": ("#CC79A7", (0, (1, 1.5))),
    "decoder": ("#D55E00", "--"),
    "head": ("#7A5C00", (0, (5, 1, 1, 1))),
    "network": ("#5E3C99", "-"),
}
NAMES = {
    "debiased_cka": "Debiased CKA",
    "linear_cka": "Linear CKA (biased)",
    "procrustes_similarity": "Procrustes similarity",
    "deconfounded_cka": "Deconfounded CKA",
}
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titley": 1.0,  # fixed: to look for a place above the ticks measures each of them again
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "text.parse_math": False,  # a $ in the name of a layer is a $
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 110,
}


def stops(scale: mpl.colors.Colormap) -> list[str]:
    """A scale as evenly spaced colours, from its low end to its high one."""
    return [mpl.colors.to_hex(scale(i / (STOPS - 1))) for i in range(STOPS)]


def measure_name(measure: str) -> str:
    """A measure as figures and tables call it."""
    return NAMES.get(measure, measure.replace("_", " ").replace("cka", "CKA").replace("cca", "CCA"))


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches, with room made for its labels."""
    with mpl.rc_context(STYLE):
        return Figure(figsize=(width, height), layout=Layout())


def short(layer: str) -> str:
    """A layer's name as it stands on an axis: ``enc conv1``, ``z mean``, ``dec deconv2``."""
    for long, word in (("encoder.", "enc "), ("decoder.", "dec "), ("_", " ")):
        layer = layer.replace(long, word)
    return layer


def layer_colours(layers: Sequence[str], part: str) -> dict[str, tuple[float, ...]]:
    """One shade of the part's hue for each layer, from dark (first) to light (last)."""
    base = mpl.colors.to_rgb(PARTS[part][0])
    count = max(len(layers) - 1, 1)
    shades = {}
    for index, layer in enumerate(layers):
        mix = 0.62 * index / count
        shades[layer] = tuple(channel + (1 - channel) * mix for channel in base)
    return shades


def ordered_colours(labels: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    """A colour and a dash for each label in order: apart in grey, and for colour-blind readers."""
    dashes = ("-", "--", "-.", (0, (1, 1.5)), (0, (5, 1, 1, 1, 1, 1)))
    shades = mpl.colormaps["viridis"]
    count = max(len(labels) - 1, 1)
    return {
        label: (shades(0.9 * index / count), dashes[index % len(dashes)])
        for index, label in enumerate(labels)
    }


def name_power(value: float, place: float = 0) -> str:
    """A tick of a logarithmic axis: ``10³``, as letters: setting mathematics takes longer."""
    exponent = round(math.log10(abs(value))) if value else 0
    if not math.isclose(abs(value), 10.0**exponent):
        return f"{value:g}".replace("-", "−")
    sign = "−" if value < 0 else ""
    return f"{sign}10{str(exponent).translate(RAISED)}"


def step_axis(axis: Axes, steps: Sequence[int]) -> None:
    """Training steps on a logarithmic axis that has a place for 0.

    It stays linear where nothing is drawn, such as progress above an untrained network that was not
    kept: what is empty cannot be put on logarithms.
    """
    positive = [step for step in steps if step > 0]
    if positive and 0 in steps:
        axis.set_xscale("symlog", linthresh=min(positive), linscale=0.5)
        axis.set_xlim(left=0)
        axis.xaxis.set_major_formatter(name_power)
    elif positive and axis.dataLim.x1 > 0:  # -inf of nothing
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(name_power)
        axis.xaxis.set_minor_formatter(LogFormatter())  # in letters: its default writes mathematics
    axis.set_xlabel("training step")
