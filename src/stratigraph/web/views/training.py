"""How a study learned: layers approaching their final state, and the map of models."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from stratigraph.errors import InputError
from stratigraph.report.data import ReportData, Scored
from stratigraph.report.figures.style import measure_name
from stratigraph.report.findings import runs_of_answer
from stratigraph.report.gain_data import BESIDE, gains
from stratigraph.report.heat_data import heat_map
from stratigraph.report.interactive import curves_of
from stratigraph.report.learning_data import curves, parts
from stratigraph.report.map_data import map_of_models
from stratigraph.web.matrix import index_matrix
from stratigraph.web.query import Answer, Query, defined
from stratigraph.web.views.unrelated import count_probes, exact_null
from stratigraph.web.watch import Watched

__all__ = ["convergence", "glance", "models"]

T = TypeVar("T")


def _choose_score(watched: Watched, query: Query) -> tuple[str, str]:
    """The way and the measure asked for, of those that are 1 for identical representations."""
    way = query.text("way", "corrected")
    study = watched.study(way)
    scores = study.scores()
    if not scores:
        raise InputError(
            f"study {study.config.name} has not been compared yet; this view fills once it has."
        )
    if not study.complete():
        raise InputError(
            f"no run of study {study.config.name} has reached its last step, so nothing has a "
            "final state yet; this view fills once one has."
        )
    return way, query.choice("measure", scores, scores[0])


def _make_and_free(
    watched: Watched, way: str, measure: str, make: Callable[[ReportData, Scored], T]
) -> T:
    """What is made of a matrix, and then its pages given back."""
    data = ReportData(watched.study(way))
    scored = data.scored[measure]
    found = make(data, scored)
    _let_go(scored.values)
    return found


def _let_go(values: np.ndarray) -> None:
    """Give the pages of a mapped file back: what was read stays in the system's cache, not ours."""
    base: Any = values
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def glance(watched: Watched, query: Query) -> Answer:
    """The report's one picture: encoder against decoder, by similarity and as progress.

    It has no lines before something has a final state.
    """
    study = watched.study(query.text("way", "corrected"))
    if not study.scores() or not study.complete():
        return Answer({"measure": "", "lines": []})
    way, measure = _choose_score(watched, query)
    table = watched.keep(
        ("glance", way, measure),
        lambda: _make_and_free(
            watched, way, measure, lambda data, own: parts(own, runs_of_answer(data.findings))
        ),
    )
    shown = table[table["part"].isin(["encoder", "decoder", "network"])]
    lines = [
        {
            "kind": kind,
            "part": part,
            "steps": [int(step) for step in own["step"]],
            **{name: defined(own[name], 3) for name in ("mean", "low", "high")},
            "runs": int(own["runs"].max()),
        }
        for (kind, part), own in shown.groupby(["kind", "part"], sort=False)
    ]
    return Answer({"measure": measure_name(measure), "lines": lines}, None, lambda: table)


def _score_across_seeds(data: ReportData, scored: Scored) -> dict[tuple[str, str], float]:
    """Configuration and layer → the mean score of the layer with itself in other seeds, in the end.

    Only of configurations with several runs that were compared with each other.
    """
    found = {}
    for c in data.configurations:
        heat = heat_map(scored, c.runs, c.runs[0].steps[-1], c.runs[0].steps[-1], across_seeds=True)
        for place, layer in enumerate(heat.rows if heat is not None else ()):
            found[c.label, layer] = float(heat.values[place, place])  # type: ignore[union-attr]
    return found


def _null(watched: Watched, way: str, measure: str) -> dict[str, Any] | None:
    """What unrelated probes score; known of debiased CKA alone, of the smallest set of probes."""
    if measure != "debiased_cka":
        return None
    index = index_matrix(watched, way, measure)
    study = watched.study(way)
    n = min(count_probes(study, str(one)) for one in index.labels["probes"].unique())
    return exact_null(n) if n > 3 else None


def convergence(watched: Watched, query: Query) -> Answer:
    """Each layer's similarity to its own final state over training, by configuration.

    ``kind`` is ``similarity``, or ``progress`` above the untrained network.
    """
    way, measure = _choose_score(watched, query)
    kind = query.choice("kind", ("similarity", "progress"), "similarity")

    every = watched.keep(
        ("curves", way, measure, kind),
        lambda: _make_and_free(watched, way, measure, partial(curves_of, kind=kind)),
    )
    labels = [one["configuration"] for one in every]
    chosen = query.choice("configuration", labels, labels[0])
    found = next(one for one in every if one["configuration"] == chosen)
    across = watched.keep(
        ("across", way, measure),
        lambda: _make_and_free(watched, way, measure, _score_across_seeds),
    )
    baseline = [across.get((chosen, layer["layer"]), float("nan")) for layer in found["layers"]]
    facts = {
        **found,
        "measure": measure_name(measure),
        "across_seeds": defined(baseline, 3),
        "null": _null(watched, way, measure),
        "configurations": labels,
        "parts": _parts(found),
        "scores": _scores(watched, way, measure, chosen, found["steps"]),
    }

    def table() -> pd.DataFrame:
        data = ReportData(watched.study(way))
        rows = curves(data, data.scored[measure], kind)
        return rows[rows["configuration"] == chosen].assign(measure=measure, kind=kind, way=way)

    return Answer(facts, None, table)


def _parts(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Encoder, latents and decoder: the mean of their layers."""
    means = np.array(found["mean"], dtype=float).reshape(len(found["layers"]), -1)
    rows = []
    for part in dict.fromkeys(layer["part"] for layer in found["layers"]):
        own = means[[layer["part"] == part for layer in found["layers"]]]
        known = np.isfinite(own).any(axis=0)
        mean = np.full(own.shape[1], np.nan)
        mean[known] = np.nanmean(own[:, known], axis=0)
        rows.append({"part": part, "layers": len(own), "values": defined(mean, 3)})
    return rows


def _scores(
    watched: Watched, way: str, measure: str, configuration: str, steps: list[int]
) -> list[dict[str, Any]]:
    """Progress of encoder, mean and decoder, and disentanglement scores, at the same steps."""
    table = watched.keep(
        ("gains", way, measure), lambda: _make_and_free(watched, way, measure, gains)
    )
    own = table[table["configuration"] == configuration]
    return [
        {
            "line": line,
            "kind": rows["kind"].iloc[0],
            "name": BESIDE.get(str(line), f"{line}'s progress"),
            "values": defined(rows.set_index("step")["mean"].reindex(steps), 3),
        }
        for line, rows in own.groupby("line", sort=False)
    ]


def models(watched: Watched, query: Query) -> Answer:
    """Runs at their steps as points of a plane (`map_data.map_of_models`)."""
    way, measure = _choose_score(watched, query)
    every = watched.keep(
        ("models", way, measure),
        lambda: _make_and_free(watched, way, measure, map_of_models),
    )
    if not every:
        raise InputError(
            f"there is no map of models by {measure_name(measure)}: it takes three snapshots or "
            "more of VAEs whose layers were compared within runs (`pairs: within_run`); "
            "classifiers and runs recorded without a posterior are not on it."
        )
    titles = [one.title for one in every]
    chosen = query.choice("group", titles, titles[0])
    found = next(one for one in every if one.title == chosen)
    points = found.points
    shown = [
        {"label": c.label, "objective": c.objective}
        for c in ReportData(watched.study(way)).configurations
        if c.label in set(points["configuration"])
    ]
    rank = {one["label"]: place for place, one in enumerate(shown)}
    tracks = [
        {
            "run": run,
            "configuration": own["configuration"].iloc[0],
            "seed": int(own["seed"].iloc[0]),
            "steps": [int(step) for step in own["step"]],
            "x": defined(own["x"]),
            "y": defined(own["y"]),
        }
        for run, own in points.sort_values("step", kind="stable").groupby("run")
    ]
    facts = {
        "measure": measure_name(measure),
        "groups": titles,
        "group": chosen,
        "explained": defined(found.explained),
        "configurations": shown,
        "tracks": sorted(tracks, key=lambda one: (rank[one["configuration"]], one["seed"])),
    }
    return Answer(facts, None, lambda: points.assign(measure=measure, way=way))
