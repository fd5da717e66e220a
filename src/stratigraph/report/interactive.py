"""The numbers of the report's interactive section: a study as plain values that JSON can hold.

Scores are rounded to three decimals and are ``None`` where undefined. Maps and curves are flat
lists in the order of their axes, so that a study of hundreds of maps stays a small file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from markupsafe import Markup

from stratigraph.report import heat_data, learning_data
from stratigraph.report.data import Configuration, ReportData, Scored
from stratigraph.report.figures.style import (
    PARTS,
    SCORES,
    layer_colours,
    measure_name,
    short,
    stops,
)

__all__ = [
    "MOST_CELLS",
    "Explore",
    "curves",
    "curves_of",
    "embed",
    "explore",
    "heat_maps",
    "interactive_data",
]

MOST_CELLS = 240_000  # about 1.5 MB of JSON
# matplotlib's dashes, in pixels of a line 1.6 wide.
DASHES = {"-": "", "--": "6 3", "-.": "9 3 2 3", ":": "2 3"}


@dataclass(frozen=True)
class Explore:
    """What the report embeds: data and script, both safe inside a script element."""

    data: Markup
    script: Markup
    left_out: list[str]


def explore(data: ReportData) -> Explore:
    """The interactive section of a study's report."""
    held = interactive_data(data)
    own = resources.files("stratigraph.report").joinpath("templates")
    script = "".join(
        own.joinpath(name).read_text("utf-8") for name in ("draw.js", "interactive.js")
    )
    return Explore(embed(held), Markup(script), held["left_out"])


def embed(data: dict[str, Any]) -> Markup:
    """Data as JSON that cannot end the script element it stands in, whatever names it holds."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def interactive_data(data: ReportData) -> dict[str, Any]:
    """Everything the section draws, and the colours it draws with."""
    heat, left_out = heat_maps(data)
    return {
        "configurations": [c.label for c in data.configurations],
        "measures": {measure: measure_name(measure) for measure in data.scored},
        "colours": stops(SCORES),
        "undefined": mpl.colors.to_hex(SCORES(np.nan)),
        "heat": heat,
        "curves": curves(data),
        "left_out": left_out,
    }


def heat_maps(data: ReportData, most: int = MOST_CELLS) -> tuple[list[dict[str, Any]], list[str]]:
    """Layers at every step against layers of the final state, as `heat_data.heat_map` has them.

    The first measure is always there, with fewer steps where it has more than ``most`` cells.
    Another is there if its maps were computed whole, which is to say that at least half of
    their cells are defined, and if there is room.

    Returns:
        One mapping for each measure, configuration and kind (within runs, across seeds):
        ``rows`` and ``columns`` name the layers, ``values`` is (steps, rows, columns), flat, and
        ``pairs`` counts the pairs of runs at each step. Then the names of measures whose maps
        were whole and found no room.

    """
    found: list[dict[str, Any]] = []
    left_out: list[str] = []
    room = most
    for index, (measure, scored) in enumerate(data.scored.items()):
        series = [(c.label, maps) for c in data.configurations for maps in _series(data, scored, c)]
        cells = sum(heat.values.size for _, maps in series for heat in maps)
        defined = sum(int(np.isfinite(heat.values).sum()) for _, maps in series for heat in maps)
        if index == 0:
            keep = room / max(cells, 1)
            series = [(label, _thinned(maps, keep)) for label, maps in series]
        elif 2 * defined < cells:
            continue
        elif cells > room:
            left_out.append(measure_name(measure))
            continue
        room -= sum(heat.values.size for _, maps in series for heat in maps)
        found += [
            {
                "measure": measure,
                "configuration": label,
                "across": maps[0].across_seeds,
                "rows": [short(layer) for layer in maps[0].rows],
                "columns": [short(layer) for layer in maps[0].columns],
                "steps": [heat.row_step for heat in maps],
                "final": maps[0].column_step,
                "pairs": [heat.pairs for heat in maps],
                "values": _rounded(np.stack([heat.values for heat in maps])),
            }
            for label, maps in series
        ]
    return found, left_out


def _series(
    data: ReportData, scored: Scored, c: Configuration
) -> Iterator[list[heat_data.HeatMap]]:
    """A configuration's maps over the steps that its runs share: within runs, then across."""
    steps = sorted(set.intersection(*(set(data.study.steps(run)) for run in c.runs)))
    for across in (False, True):
        maps = [
            heat
            for step in steps
            if (heat := heat_data.heat_map(scored, c.runs, step, steps[-1], across_seeds=across))
        ]
        if maps:
            yield maps


def _thinned(maps: list[heat_data.HeatMap], share: float) -> list[heat_data.HeatMap]:
    """At most that share of the maps, the last and (if there are two) the first among them."""
    count = min(len(maps), max(1, int(share * len(maps))))
    places = np.linspace(len(maps) - 1, 0, count).round().astype(int)[::-1]
    return [maps[place] for place in places]


def curves(data: ReportData) -> list[dict[str, Any]]:
    """`curves_of` every measure: similarity to the final state over training."""
    return [one for scored in data.scored.values() for one in curves_of(data, scored)]


def curves_of(data: ReportData, scored: Scored, kind: str = "similarity") -> list[dict[str, Any]]:
    """Every configuration's approach to its final state, as `learning_data.curves` has it.

    Returns:
        One mapping for each configuration: ``layers`` with their names, colours and dashes;
        ``mean``, ``low`` and ``high`` are (layers, steps), flat; ``runs`` counts the runs. The
        input is left out: the probes never change.

    """
    found = []
    every = learning_data.curves(data, scored, kind)
    every = every[every["part"] != "input"]
    for label, table in every.groupby("configuration", sort=False):
        layers = list(_layers(table))
        steps = sorted(int(step) for step in table["step"].unique())
        order = pd.MultiIndex.from_product([[one["layer"] for one in layers], steps])
        placed = table.set_index(["layer", "step"]).reindex(order)
        found.append(
            {
                "measure": scored.measure,
                "configuration": label,
                "steps": steps,
                "layers": layers,
                "runs": int(table["runs"].max()),
                **{name: _rounded(placed[name].to_numpy()) for name in ("mean", "low", "high")},
            }
        )
    return found


def _layers(table: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Each layer of a table of curves with its ink, part after part."""
    for part in dict.fromkeys((*PARTS, *table["part"])):
        layers = list(dict.fromkeys(table.loc[table["part"] == part, "layer"]))
        known = part if part in PARTS else "input"  # another part is grey, dotted
        dash = PARTS[known][1]
        for layer, (red, green, blue) in layer_colours(layers, known).items():
            yield {
                "layer": layer,
                "name": short(layer),
                "part": part,
                "colour": mpl.colors.to_hex((red, green, blue)),
                "dash": DASHES.get(dash, "2 3") if isinstance(dash, str) else "2 3",
            }


def _rounded(values: np.ndarray) -> list[float | None]:
    """Three decimals, flat; None where undefined. Adding 0 takes the sign from −0."""
    flat = np.asarray(values, dtype=float).ravel().round(3) + 0.0
    return [float(x) if np.isfinite(x) else None for x in flat]
