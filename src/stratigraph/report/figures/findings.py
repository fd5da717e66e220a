"""Findings as points with intervals, the order in which layers settle, how measures behave."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stratigraph.report.figures.style import PARTS, STYLE, measure_name, new_figure, short

__all__ = [
    "draw_findings",
    "draw_findings_panel",
    "draw_measures",
    "draw_settled",
    "size_of_findings",
]

VERDICTS = {
    "supported": ("#0072B2", "o"),
    "contradicted": ("#D55E00", "X"),
    "negligible": ("#009E73", "D"),
    "undecided": ("#777777", "s"),
    "inconclusive": ("#777777", "s"),  # of findings of format 1
}
MEASURE_STYLES = {
    "procrustes_similarity": ("#D55E00", "--", "s"),
    "linear_cka": ("#0072B2", "-", "o"),
    "debiased_cka": ("#009E73", "-.", "^"),
}


def draw_findings(rows: Sequence[Mapping[str, Any]], reach: float) -> Figure:
    """A forest: one line a question, its estimate less the value that it is tested against.

    Args:
        rows: as `draw_findings_panel` takes them.
        reach: where the axis ends; what lies beyond is cut off.

    """
    with mpl.rc_context(STYLE):
        figure = new_figure(*size_of_findings(rows))
        draw_findings_panel(figure.subplots(), rows, reach)
    return figure


def size_of_findings(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Width and height in inches that the panel takes."""
    return 8.4, 0.9 + sum(0.13 + 0.12 * (1 + _label(row).count("\n")) for row in rows)


def draw_findings_panel(axis: Axes, rows: Sequence[Mapping[str, Any]], reach: float) -> None:
    """The panel alone.

    Thick: the 95 % interval; thin: the one adjusted for the family, which the verdict is of. Grey
    band: within the least effect that matters. Beside it the verdict, and the runs that entered.

    Args:
        axis: where.
        rows: with a place, as `stratigraph.report.findings.finding_rows` gives them.
        reach: where the axis ends.

    """
    for y, row in enumerate(rows):
        place, (colour, marker) = row["place"], VERDICTS.get(row["verdict"], VERDICTS["undecided"])
        least = min(place["least"], reach)
        axis.fill_betweenx([y - 0.5, y + 0.5], -least, least, color="#e3e3e3", linewidth=0)
        for low, high, width in (("outer_low", "outer_high", 0.8), ("low", "high", 2.2)):
            if place[low] is not None and place[high] is not None:
                ends = np.clip([place[low], place[high]], -reach, reach)
                axis.plot(ends, [y, y], color=colour, linewidth=width, solid_capstyle="butt")
        value = float(np.clip(place["value"], -reach, reach))
        filled = row["verdict"] in ("supported", "contradicted")
        axis.plot(
            value, y, marker, color=colour, markersize=5, clip_on=False,
            markerfacecolor=colour if filled else "white",
        )  # fmt: skip
    axis.axvline(0, color="#444444", linewidth=0.7, zorder=1)
    axis.set_yticks(range(len(rows)), [_label(row) for row in rows], fontsize=6.5)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlim(-1.02 * reach, 1.02 * reach)
    axis.set_xlabel("estimate less the value tested: right of 0 speaks for the claim")
    beside = axis.twinx()  # the words on the right
    beside.set_ylim(axis.get_ylim())
    beside.set_yticks(range(len(rows)), [_beside(row) for row in rows], fontsize=6.5)
    beside.tick_params(length=0)
    beside.spines[:].set_visible(False)


def _label(row: Mapping[str, Any]) -> str:
    return textwrap.fill(f"{row['claim']}  {row['statement']}", 56)


def _beside(row: Mapping[str, Any]) -> str:
    runs = row["entered"].get("runs", "")
    null = f", against {row['null']}" if row["null"] else ""
    verdict = ", ".join(filter(None, [row["verdict"], runs]))
    return f"{row['value']} ({row['interval']}{null})\n{verdict}"


def draw_settled(table: pd.DataFrame, measure: str) -> Figure:
    """When layers settle: a row of two panels a group, raw similarity and progress."""
    groups = list(dict.fromkeys(table["group"]))
    with mpl.rc_context(STYLE):
        heights = [table.loc[table["group"] == group, "layer"].nunique() for group in groups]
        figure = new_figure(7.0, 0.7 + sum(0.45 + 0.15 * height for height in heights))
        axes = figure.subplots(
            len(groups), 2, squeeze=False, sharex="col",
            gridspec_kw={"height_ratios": [3 + height for height in heights]},
        )  # fmt: skip
        for r, group in enumerate(groups):
            for c, kind in enumerate(("similarity", "progress")):
                axis = axes[r, c]
                own = table[(table["group"] == group) & (table["kind"] == kind)]
                layers = list(dict.fromkeys(table.loc[table["group"] == group, "layer"]))
                places = [layers.index(layer) for layer in own["layer"]]
                colours = [PARTS.get(part, ("#555555", "-"))[0] for part in own["part"]]
                axis.hlines(places, own["low"], own["high"], colors=colours, linewidth=1.5)
                axis.scatter(own["mean"], places, s=16, c=colours, zorder=2)
                axis.set_yticks(range(len(layers)), [short(n) for n in layers] if c == 0 else [])
                axis.set_ylim(len(layers) - 0.4, -0.6)
                axis.set_xlim(-0.3 if kind == "progress" else -0.02, 1.03)
                axis.grid(axis="x", linewidth=0.4, color="#dddddd")
                if c == 0:
                    axis.set_title(group, loc="left", fontsize=8)
                elif r == 0:
                    axis.set_title("progress above the untrained network", fontsize=8)
        axes[-1, 0].set_xlabel("similarity to the final state, mean over log(1 + step)")
        axes[-1, 1].set_xlabel("progress, mean over log(1 + step)")
        figure.suptitle(f"{measure_name(measure)}: further right settles earlier", fontsize=10)
    return figure


def draw_measures(table: pd.DataFrame) -> Figure:
    """Three panels, one a share of shared features: the scores against the number of probes."""
    shares = sorted(table["share"].unique(), reverse=True)
    with mpl.rc_context(STYLE):
        figure = new_figure(7.4, 2.6)
        axes = figure.subplots(1, len(shares), squeeze=False, sharey=True)[0]
        for axis, share in zip(axes, shares, strict=True):
            own = table[table["share"] == share]
            for measure, (colour, dash, marker) in MEASURE_STYLES.items():
                grouped = own.groupby("probes")[measure]
                axis.plot(
                    grouped.mean().index, grouped.mean(), color=colour, linestyle=dash,
                    marker=marker, markersize=4, label=measure_name(measure),
                )  # fmt: skip
                axis.fill_between(
                    grouped.mean().index, grouped.min(), grouped.max(), color=colour, alpha=0.15,
                    linewidth=0,
                )  # fmt: skip
            axis.axhline(share, color="#444444", linewidth=0.6, linestyle=":")
            axis.set_xscale("log")
            axis.set_xticks(sorted(own["probes"].unique()), sorted(own["probes"].unique()))
            axis.minorticks_off()
            axis.set_xlabel("probes n")
            axis.set_title(f"{share:.0%} of 50 features shared".replace("%", " %"))
            axis.set_ylim(-0.05, 1.03)
        axes[0].set_ylabel("score")
        axes[-1].legend(frameon=False)
    return figure
