"""Findings as points with intervals, the order in which layers settle, how measures behave."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stratigraph.report.figures.style import PARTS, STYLE, measure_name, new_figure, short

__all__ = ["draw_findings", "draw_findings_panel", "draw_measures", "draw_settled"]

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


def draw_findings(rows: Sequence[dict[str, Any]]) -> Figure:
    """One line a question: its estimate less its null value, by each measure, with its interval."""
    shown = [row for row in rows if row["verdict"] != "not asked" and row["estimates"]]
    with mpl.rc_context(STYLE):
        figure = new_figure(7.4, 1.0 + 0.42 * len(shown))
        draw_findings_panel(figure.subplots(), shown)
        figure.legend(loc="outside upper center", ncols=5, frameon=False)
    return figure


def draw_findings_panel(axis: Axes, shown: Sequence[dict[str, Any]]) -> None:
    """The panel alone, of questions that were asked."""
    labels = []
    for place, row in enumerate(shown):
        colour, marker = VERDICTS[row["verdict"]]
        estimates = list(row["estimates"].values())
        for index, one in enumerate(estimates):
            if one["value"] is None:
                continue
            y = place + 0.26 * (index - (len(estimates) - 1) / 2)
            if one["lower"] is not None:
                ends = [
                    float(np.clip(one[end] - one["null"], -1.05, 1.05))
                    for end in ("lower", "upper")
                ]
                axis.plot(ends, [y, y], color=colour, linewidth=1.3)
            value = float(np.clip(one["value"] - one["null"], -1.05, 1.05))
            axis.plot(
                value, y, marker, color=colour, markersize=4.5,
                markerfacecolor=colour if index == 0 else "white",
            )  # fmt: skip
        labels.append(textwrap.fill(f"{row['claim']}  {row['statement']}", 58))
    axis.axvline(0, color="#444444", linewidth=0.7, zorder=0)
    axis.set_yticks(range(len(shown)), labels, fontsize=6.5)
    axis.set_ylim(len(shown) - 0.4, -0.6)
    axis.set_xlim(-1.08, 1.08)
    axis.set_xlabel("estimate less null value: right of 0 speaks for the claim")
    given = {row["verdict"] for row in shown}
    for verdict, (colour, marker) in VERDICTS.items():
        if verdict not in given:
            continue
        axis.plot([], [], marker, color=colour, label=verdict)
    axis.plot([], [], "o", color="#444444", label="CKA, or the one measure")
    axis.plot([], [], "o", color="#444444", markerfacecolor="white", label="Procrustes")


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
