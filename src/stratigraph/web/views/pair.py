"""One cell of a map: its score, the interval over probes, and what unrelated probes would score.

The interval is the jackknife's over groups of probes, θ ± t_{G−1} √((G − 1)/G Σ_g (θ_(g) − θ̄)²).
The null: the probes of one side permuted, so that nothing relates the two. For debiased CKA its
mean and variance follow exactly, 0 and 2/(n(n − 3)) (`stratigraph.similarity.uncertainty`); for
other measures some permutations are scored, when asked. Where the study keeps what chance scores of
the pair (`stratigraph.stages.chance`), that stands beside it.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from stratigraph.errors import InputError
from stratigraph.identity import canonical
from stratigraph.pairs.coordinates import read_coordinates
from stratigraph.pairs.group_sums import groups_of
from stratigraph.pairs.jackknife import JACKKNIFED, MOST_PROBES, jackknife_pairs
from stratigraph.records import record_exists, verified
from stratigraph.report.figures.style import measure_name
from stratigraph.similarity.measure import between
from stratigraph.study import (
    DECONFOUNDED,
    Run,
    Study,
    chance_path,
    jackknife_path,
    representations_path,
    study_measure,
)
from stratigraph.web.matrix import Index, index_matrix
from stratigraph.web.query import Answer, Query, defined
from stratigraph.web.views.unrelated import count_probes, exact_null
from stratigraph.web.watch import Watched

__all__ = ["pair"]

PERMUTATIONS = 10
MOST_SEEDS = 12  # runs of a configuration whose pairs are looked at
CELL = ["run_x", "run_y", "layer_x", "layer_y"]
CHANCE = ["p", "calibrated", "threshold", "untrained"]


def pair(watched: Watched, query: Query) -> Answer:
    """The score of two representations with its interval; with ``full`` its null too."""
    way = query.text("way", "corrected")
    study = watched.study(way)
    measure = query.measure(study)
    index = index_matrix(watched, way, measure)
    places, files, rows = [], [], []
    for axis in ("y", "x"):
        run = query.run(study, f"{axis}_run")
        held = index.rows.get(run.run_id, {})
        step = query.whole(f"{axis}_step")
        if step not in held:
            raise InputError(
                f"{axis}_step: run {run.run_id} has nothing compared at step {step}; it has "
                f"{', '.join(map(str, sorted(held))) or 'nothing yet'}."
            )
        layer = query.choice(f"{axis}_layer", held[step])
        places.append({"run": run.run_id, "step": step, "layer": layer})
        files.append(representations_path(run.path, step, study.way.folder) / f"{layer}.npy")
        rows.append(held[step][layer])
    value = index.scores.at(rows[0], rows[1])
    reasons = [str(index.labels["reason"].iloc[row]) for row in rows]
    facts: dict[str, Any] = {
        "measure": measure_name(measure),
        "y": places[0],
        "x": places[1],
        "value": defined([value])[0],
        "reason": next((reason for reason in reasons if reason), ""),
        # Where scores are certain to a tolerance only: between which ends the exact one lies.
        "certain": defined([end.at(rows[0], rows[1]) for end in index.ends or ()]),
        "interval": None,
        "null": None,
        "chance": _kept_chance(watched, study, measure, places),
        "across_seeds": _across_seeds(study, index, places),
        "unread": False,
    }
    alike = index.labels["probes"].iloc[rows[0]] == index.labels["probes"].iloc[rows[1]]
    if math.isfinite(value) and alike:
        if all(record_exists(file.parent) for file in files):
            for file in files:
                _check_pair(file.parent, _time(file.parent))
            facts["interval"] = _interval(files, measure)
            facts["null"] = _null(study, files, measure, full=query.given.get("full") == "1")
        else:  # dropped once they were compared: what findings read was kept
            facts["interval"] = _kept_interval(watched, study, measure, rows)
            facts["unread"] = facts["interval"] is None
            probes = count_probes(study, str(index.labels["probes"].iloc[rows[0]]))
            if measure == "debiased_cka" and probes > 3:
                facts["null"] = exact_null(probes)
    return Answer(facts)


def _time(record: Path) -> int:
    return record.stat().st_mtime_ns


@lru_cache(maxsize=256)
def _check_pair(record: Path, time: int) -> None:
    verified(record)


def _interval(files: list[Path], measure: str) -> list[float | None] | None:
    """The 95 % interval over probes; None for measures (and sizes) that have none."""
    n = len(read_coordinates(files[0]))
    groups = groups_of(n)
    confounder = None
    if measure == DECONFOUNDED:
        files, confounder = [*files, files[0].with_name("input.npy")], 2
    if measure not in JACKKNIFED or not groups or n > MOST_PROBES:
        return None
    scores = jackknife_pairs(
        files, np.array([[0, 1]]), measure, groups=groups, confounder=confounder
    )[0]
    return _reach(scores)


def _reach(scores: np.ndarray) -> list[float | None]:
    """The 95 % interval of a score of all probes and without each group of them, (1 + g,)."""
    left_out, groups = scores[1:], len(scores) - 1
    error = math.sqrt((groups - 1) / groups * float(np.square(left_out - left_out.mean()).sum()))
    reach = error * float(stats.t.ppf(0.975, groups - 1))
    return defined([scores[0] - reach, scores[0] + reach])


def _kept_interval(
    watched: Watched, study: Study, measure: str, rows: list[int]
) -> list[float | None] | None:
    """The interval of a pair that findings read, of the scores that were kept for them."""
    record = jackknife_path(study.path, measure, study.way.folder)
    if not record_exists(record):
        return None

    def read() -> tuple[str, dict[tuple[int, int], int], np.ndarray]:
        about = verified(record)
        pairs = np.load(record / "pairs.npy", allow_pickle=False)
        places = {(int(x), int(y)): place for place, (x, y) in enumerate(pairs)}
        scores = np.load(record / "scores.npy", allow_pickle=False)
        return str(about["representations"]), places, scores

    source, places, scores = watched.keep_record(
        ("jackknife", study.way.name, measure), record, read
    )
    if source != study.similarity(measure).attrs["representations"]:
        return None
    place = places.get((rows[0], rows[1]), places.get((rows[1], rows[0])))
    if place is None or scores.shape[1] < 3:
        return None
    return _reach(scores[place])


def _across_seeds(
    study: Study, index: Index, places: list[dict[str, Any]]
) -> dict[str, Any] | None:
    """What the same two layers score between runs that differ by their seed alone.

    At the steps asked for, or where these were not compared across runs, at the last ones. The
    runs are of the configuration that the first is of.
    """
    of = _setting(study.runs[places[0]["run"]])
    runs = [i for i in study.complete() if i in index.rows and _setting(study.runs[i]) == of]
    (one, other), ends = places, [study.runs[runs[0]].steps[-1] if runs else 0] * 2
    for steps, when in (([one["step"], other["step"]], "these steps"), (ends, "the last step")):
        rows = [
            [index.rows[i].get(step, {}).get(place["layer"]) for i in runs[:MOST_SEEDS]]
            for place, step in zip(places, steps, strict=True)
        ]
        found = np.array([
            index.scores.at(x, y)
            for (a, x), (b, y) in itertools.product(*map(enumerate, rows))
            if a != b and x is not None and y is not None
        ])  # fmt: skip
        found = found[np.isfinite(found)]
        if len(found):
            ends_ = defined([found.mean(), found.min(), found.max()])
            return {"score": ends_, "pairs": len(found), "when": when}
    return None


def _setting(run: Run) -> str:
    return canonical({**run.config.to_dict(), "seed": 0})


def _kept_chance(
    watched: Watched, study: Study, measure: str, places: list[dict[str, Any]]
) -> dict[str, Any] | None:
    """What the study keeps of chance for two layers at their last steps; None of other pairs."""
    record = chance_path(study.path, measure)
    ended = all(study.runs[one["run"]].config.steps == one["step"] for one in places)
    if study.way.folder or not ended or not record_exists(record):
        return None

    def read() -> tuple[dict[str, Any], dict[tuple[str, ...], tuple[float, ...]]]:
        about = verified(record)
        cells = pd.read_parquet(record / "cells.parquet")
        keys = zip(*(cells[name] for name in CELL), strict=True)
        values = cells[CHANCE].itertuples(index=False, name=None)
        return about, dict(zip(keys, values, strict=True))

    about, held = watched.keep_record(("chance", measure), record, read)
    if about["representations"] != study.similarity(measure).attrs["representations"]:
        return None
    for one, other in (places, places[::-1]):
        found = held.get((one["run"], other["run"], one["layer"], other["layer"]))
        if found is not None:
            within = f" within values of {about['within']}" if about["within"] else ""
            how = f"{about['null']} permutations of the probes{within}"
            return dict(zip(CHANCE, defined(found), strict=True)) | {"how": how}
    return None


def _null(study: Study, files: list[Path], measure: str, full: bool) -> dict[str, Any] | None:
    x, y = (read_coordinates(file) for file in files)
    n = len(x)
    if measure == "debiased_cka":
        return exact_null(n)
    if measure == DECONFOUNDED or not full:
        return None
    with study.reading():
        found = study_measure(measure)
    rng = np.random.default_rng(0)
    left = found.prepare(x)
    scores = [
        between(found, left, found.prepare(y[rng.permutation(n)])) for _ in range(PERMUTATIONS)
    ]
    mean, sd = defined([float(np.mean(scores)), float(np.std(scores, ddof=1))])
    return {"mean": mean, "sd": sd, "how": f"{PERMUTATIONS} permutations of the probes"}
