"""Any representations against any others: a map, cut from the matrix where it lies.

A side of the map is a choice of runs, steps and layers. A step is a number, ``first``, ``last``,
``all`` or ``moving``: where a side moves, there is one map for each step that it has, and both
sides move together if both do. A difference is of two maps with sides of the same length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from stratigraph.errors import InputError
from stratigraph.report.figures.style import measure_name, short
from stratigraph.study import Study
from stratigraph.web.matrix import Index, cut, index_matrix
from stratigraph.web.query import Answer, Query, defined
from stratigraph.web.watch import Watched

__all__ = ["curve", "heat"]

MOST_CELLS = 1_000_000  # of one answer, 4 MB
WORDS = ("first", "last", "all", "moving")


@dataclass(frozen=True)
class _Side:
    runs: tuple[str, ...]
    step: str
    layers: tuple[str, ...] | None

    def steps(self, index: Index) -> list[int]:
        return sorted({step for run in self.runs for step in index.rows.get(run, {})})

    def chosen(self, index: Index, at: int | None) -> list[tuple[str, int, str]]:
        """Run, step and layer of each place; ``at`` is where a moving side stands."""
        found = []
        for run in self.runs:
            held = index.rows.get(run, {})
            for step in self._of_run(sorted(held), at):
                layers = self.layers or tuple(held.get(step) or next(iter(held.values()), {}))
                found += [(run, step, layer) for layer in layers]
        return found

    def _of_run(self, held: list[int], at: int | None) -> Sequence[int]:
        if self.step == "moving":
            return [-1 if at is None else at]
        if self.step == "all" or not held:
            return held
        return (
            [held[0] if self.step == "first" else held[-1]]
            if self.step in WORDS
            else [int(self.step)]
        )


def _side(query: Query, study: Study, index: Index, axis: str, prefix: str = "") -> _Side:
    def name(what: str) -> str:
        own = f"{prefix}{axis}_{what}"
        return own if own in query.given else f"{axis}_{what}"

    runs = tuple(run.run_id for run in query.runs(study, name("runs")))
    step = query.text(name("step"), "last")
    if step not in WORDS:
        query.whole(name("step"))
    layers = query.text(name("layers"), "all")
    chosen = None if layers == "all" else tuple(layers.split(","))
    if chosen:
        known = set(index.labels["layer"])
        for layer in chosen:
            if layer not in known:
                query.choice(name("layers"), known)
    for run in runs:
        if run not in index.rows:
            raise InputError(
                f"run {run} has not been compared (yet): it is in none of the matrices."
            )
    if step not in WORDS and not any(int(step) in index.rows[run] for run in runs):
        held = sorted({at for run in runs for at in index.rows[run]})
        raise InputError(
            f"{name('step')}: none of these runs was compared at step {step}; they have "
            f"{', '.join(map(str, held))}."
        )
    return _Side(runs, step, chosen)


@dataclass(frozen=True)
class _Map:
    rows: list[tuple[str, int, str]]
    columns: list[tuple[str, int, str]]
    steps: list[int]
    values: np.ndarray  # (steps, rows, columns)


def _map(index: Index, y: _Side, x: _Side) -> _Map:
    moving = [side for side in (y, x) if side.step == "moving"]
    steps = sorted(set.intersection(*(set(side.steps(index)) for side in moving))) if moving else []
    frames = []
    stands: list[int | None] = [*steps] or [None]
    for at in stands:
        rows, columns = y.chosen(index, at), x.chosen(index, at)
        cells = len(rows) * len(columns) * max(1, len(steps))
        if cells > MOST_CELLS:
            raise InputError(
                f"the map would have {cells:,} cells, and {MOST_CELLS:,} are shown at most; choose "
                "fewer runs, steps or layers."
            )
        places = [
            np.array([index.rows.get(run, {}).get(step, {}).get(layer, -1) for run, step, layer in
                      side], dtype=np.int64)
            for side in (rows, columns)
        ]  # fmt: skip
        frames.append(cut(index.scores, *places))
    return _Map(rows, columns, steps, np.stack(frames))


def heat(watched: Watched, query: Query) -> Answer:
    """A map of representations (``y_…`` down, ``x_…`` across), or the difference of two.

    The second map of a difference takes what is given as ``minus_…`` (measure, way, sides), and
    the rest from the first.
    """
    way = query.text("way", "corrected")
    study = watched.study(way)
    measure = query.measure(study)
    index = index_matrix(watched, way, measure)
    first = _map(index, _side(query, study, index, "y"), _side(query, study, index, "x"))
    values, minus = first.values, None
    if any(name.startswith("minus_") for name in query.given):
        other_way = query.text("minus_way", way)
        other_study = watched.study(other_way)
        minus = query.measure(other_study, "minus_measure", measure)
        other = index_matrix(watched, other_way, minus)
        second = _map(
            other,
            _side(query, other_study, other, "y", "minus_"),
            _side(query, other_study, other, "x", "minus_"),
        )
        if second.values.shape[1:] != values.shape[1:]:
            raise InputError(
                f"a difference takes two maps of one shape; these are of {values.shape[1:]} and "
                f"{second.values.shape[1:]} cells. Choose runs with the same layers."
            )
        steps = [step for step in first.steps if step in second.steps]
        if first.steps and second.steps:
            values = values[[first.steps.index(step) for step in steps]]
            theirs = second.values[[second.steps.index(step) for step in steps]]
            first = _Map(first.rows, first.columns, steps, values)
        else:
            theirs = second.values
        values = values - theirs
    several = len({run for run, _, _ in first.rows + first.columns}) > 1
    facts = {
        "measure": measure_name(measure),
        "minus": None if minus is None else measure_name(minus),
        "steps": first.steps,
        "shape": list(values.shape),
        "rows": [_place(study, place, several) for place in first.rows],
        "columns": [_place(study, place, several) for place in first.columns],
        "why_undefined": "" if np.isfinite(values).any() else _why(index, first),
        "y_moves": query.text("y_step", "last") == "moving",
        "x_moves": query.text("x_step", "last") == "moving",
    }

    def table() -> pd.DataFrame:
        t, r, c = np.indices(values.shape).reshape(3, -1)
        sides = {}
        for axis, places, at in (("y", first.rows, r), ("x", first.columns, c)):
            for i, what in enumerate(("run", "step", "layer")):
                column = np.array([place[i] for place in places], dtype=object)[at]
                if what == "step" and facts[f"{axis}_moves"] and first.steps:
                    column = np.array(first.steps)[t]
                sides[f"{axis}_{what}"] = column
        return pd.DataFrame({**sides, "value": values.ravel()}).assign(
            measure=measure, way=way, minus=minus or ""
        )

    return Answer(facts, values, table)


def _why(index: Index, shown: _Map) -> str:
    """Why nothing of a map is defined."""
    seen = [
        {
            index.labels["probes"].iloc[row]
            for run, step, layer in side
            if (row := index.rows.get(run, {}).get(step, {}).get(layer)) is not None
        }
        for side in (shown.rows, shown.columns)
    ]
    if not seen[0] & seen[1] and all(seen):
        return "These runs were shown different probes (other data), so they cannot be compared."
    return "None of these pairs was asked for: `pairs` of the measure in the study file says which."


def _place(study: Study, place: tuple[str, int, str], several: bool) -> dict[str, Any]:
    run, step, layer = place
    return {"run": run, "step": step, "layer": layer, "name": short(layer),
            "group": study.runs[run].config.label(short=True) if several else ""}  # fmt: skip


def curve(watched: Watched, query: Query) -> Answer:
    """Two layers over training: against each other at every step, and each against its end."""
    way = query.text("way", "corrected")
    study = watched.study(way)
    measure = query.measure(study)
    index = index_matrix(watched, way, measure)
    ends = []
    for axis in ("y", "x"):
        run = query.run(study, f"{axis}_run").run_id
        if run not in index.rows:
            raise InputError(
                f"run {run} has not been compared (yet): it is in none of the matrices."
            )
        layer = query.choice(f"{axis}_layer", next(iter(index.rows[run].values())))
        ends.append((run, layer))
    (run_y, layer_y), (run_x, layer_x) = ends
    steps = sorted(index.rows[run_y].keys() & index.rows[run_x].keys())
    at = {
        end: np.array([index.rows[end[0]][step].get(end[1], -1) for step in steps]) for end in ends
    }
    y, x = at[ends[0]], at[ends[1]]
    together = np.array([_cell(index, a, b) for a, b in zip(y, x, strict=True)])
    lines = [
        ("together", "both at the same step", together),
        (
            "to_x_end",
            "the row's layer, the column's final state",
            cut(index.scores, y, x[-1:])[:, 0],
        ),
        (
            "to_y_end",
            "the column's layer, the row's final state",
            cut(index.scores, x, y[-1:])[:, 0],
        ),
    ]
    if (run_y, layer_y) == (run_x, layer_x):
        lines = [("to_end", "the layer and its own final state", lines[1][2])]
    facts = {
        "steps": steps,
        "lines": [{"key": k, "name": name, "values": defined(v)} for k, name, v in lines],
    }

    def table() -> pd.DataFrame:
        columns = {"step": steps, **{key: values for key, _, values in lines}}
        return pd.DataFrame(columns).assign(
            measure=measure, way=way, y_run=run_y, y_layer=layer_y, x_run=run_x, x_layer=layer_x
        )

    return Answer(facts, None, table)


def _cell(index: Index, row: int, column: int) -> float:
    return float("nan") if min(row, column) < 0 else index.scores.at(row, column)
