"""What the report will cost: one map and one panel of lines are drawn, and counted.

A figure of maps is drawn for each configuration. All else is counted in panels of a layer's lines
each: some for each configuration, for each group of those that differ by their strength alone, and
for the study (in two studies, of 22 and 29 figures, they were 32 and 48 by the CPU time that they
took; 34 and 44 are counted). The report's tables took a fifth of what its figures took, in both.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from stratigraph.engine import one_thread
from stratigraph.evidence import part_of
from stratigraph.identity import canonical
from stratigraph.report import figures as ink
from stratigraph.report.drawing import SHOWN, Sketch, draw_all
from stratigraph.report.heat_data import HeatMap
from stratigraph.training import RunConfig

__all__ = ["TABLES", "Drawing", "count_panels", "draw_sample"]

OF_STUDY = 24  # panels
TABLES = 0.2  # of what the figures take, by the process that writes the report
MAPS = 3  # in a row of a figure of maps
MEASURE = "debiased_cka"
EMBEDDED = 1 + 4 / 3  # a figure is a file, and in the page it is base64


@dataclass(frozen=True)
class Drawing:
    """One figure of maps and one of lines, to be timed in a worker.

    Args:
        layers: of a network, with its input.
        steps: of a run's snapshots.
        seeds: how many; with more than one there is a row of maps across them.

    """

    layers: tuple[str, ...]
    steps: tuple[int, ...]
    seeds: int


def count_panels(runs: Sequence[RunConfig], measures: int) -> tuple[int, int]:
    """How many figures of maps a report will have, and how many panels of lines."""
    configurations = {canonical({**run.to_dict(), "seed": 0}) for run in runs}
    groups = {(run.objective["name"], canonical(run.data), run.architecture_name) for run in runs}
    count = len(configurations)
    return count, count * (measures + 1) + len(groups) * 2 * min(measures, 2) + OF_STUDY


def draw_sample(task: Drawing) -> tuple[float, float, int, int]:
    """Seconds of a figure of maps and of a panel of lines, and the bytes that each is kept in."""
    layers = list(task.layers)
    place = np.arange(len(layers))
    near = 1 / (1 + np.abs(place[:, None] - place))
    last = task.steps[-1]
    rows = [
        [HeatMap(layers, layers, near, 0, last, task.seeds, across) for _ in range(MAPS)]
        for across in (False, True)[: min(task.seeds, 2)]
    ]
    table = pd.DataFrame(
        [("one", layer, part_of(layer), step) for layer in layers for step in task.steps],
        columns=["configuration", "layer", "part", "step"],
    )
    rise = np.linspace(0, 1, len(task.steps)) ** (0.1 + near[0][:, None])
    means = rise.ravel()
    table = table.assign(mean=means, low=means - 0.05, high=means + 0.05, runs=task.seeds)
    lines = partial(ink.draw_convergence, {MEASURE: table}, ["one", "one"], "", 0.9)
    found = []
    with one_thread():
        draw_all([Sketch("first", lines)])  # fonts are looked for, and imports made, once
        for draw, panels in ((partial(ink.draw_heat_maps, rows, MEASURE, ""), 1), (lines, 2)):
            began = time.perf_counter()
            picture = draw_all([Sketch("one", draw)])["one"]
            size = len(picture.files[SHOWN]) * EMBEDDED
            found.append(((time.perf_counter() - began) / panels, int(size / panels)))
    (a_map, map_bytes), (a_panel, panel_bytes) = found
    return a_map, a_panel, map_bytes, panel_bytes
