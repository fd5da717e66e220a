"""What there is, where it stands, and what was found."""

from __future__ import annotations

import hashlib
import io
import math
from typing import Any

import matplotlib as mpl
import pandas as pd

from stratigraph.errors import IntegrityError
from stratigraph.evidence import part_of
from stratigraph.identity import flat
from stratigraph.records import MANIFEST, read_json, record_exists
from stratigraph.records.contents import check_files
from stratigraph.report.answer import answer_words
from stratigraph.report.figures.style import DIFFERENCES, SCORES, measure_name, stops
from stratigraph.report.findings import finding_rows, reach_of
from stratigraph.report.questions import view_of
from stratigraph.study import Run, Study, metrics_path, similarity_path, warning_of
from stratigraph.web.query import Answer, Query, defined
from stratigraph.web.watch import Watched

__all__ = ["losses", "overview", "states"]

LOSSES = ("loss", "reconstruction", "kl")
UNTOLD = ("run_id", "snapshots")  # settings that nobody tells runs apart by
UNLIKE = ("step", "split", "regulariser")  # what a table of losses has beside its terms


def states(watched: Watched, query: Query) -> Answer:
    """Where every run stands, and stamps that change when there are new losses or results."""
    study = watched.study("corrected")
    stamps = watched.stamps()
    runs = {}
    for run_id, run in study.runs.items():
        state = watched.state(run)
        runs[run_id] = [
            state["state"],
            state["step"],
            state.get("reason", ""),
            warning_of(state),
            *defined([state["rate"], state["left"]], 2),
            len(watched.steps(run)),
        ]
    return Answer({"logged": stamps.logged, "results": stamps.results, "runs": runs})


def overview(watched: Watched, query: Query) -> Answer:
    """The study, its runs with their last held-out losses, and its findings."""
    study = watched.study("corrected")
    runs = [_run(watched, run) for run in study.runs.values()]
    _names(runs)
    damage = ""
    try:
        current = study.findings_are_current()
    except IntegrityError as error:
        current, damage = False, str(error)
    rows = finding_rows(study.findings) if current else []
    facts = {
        "name": study.config.name,
        "description": study.config.description,
        "ways": list(study.config.ways),
        "measures": {
            way: {name: measure_name(name) for name in watched.study(way).measures()}
            for way in study.config.ways
        },
        "scores": {way: watched.study(way).scores() for way in study.config.ways},
        "recorded": study.config.recorded,
        # What a recorded run logged is in its caller's units.
        "unit": "" if study.config.recorded else "nats per image",
        "layers": watched.keep(("layers",), lambda: _layers(study)),
        "colours": {
            "scores": stops(SCORES),
            "difference": stops(DIFFERENCES),
            "undefined": mpl.colors.to_hex(SCORES(math.nan)),
        },
        "runs": runs,
        "answer": answer_words(study.findings) if current else [],
        "findings": [{**row, "view": view_of(row)} for row in rows],
        "reach": reach_of(rows),
        "stages": damage or _stages(study, runs, current),
    }

    def table() -> pd.DataFrame:
        return pd.DataFrame(runs).drop(columns=["steps_kept", "settings"])

    return Answer(facts, None, table)


def _layers(study: Study) -> list[dict[str, str]]:
    """The layers that were compared, in the order of the networks.

    Read from the labels alone, against their own hash: the first page does not wait for a matrix.
    """
    for measure in study.measures():
        record = similarity_path(study.path, measure, study.way.folder)
        try:
            facts = read_json(record / MANIFEST)["files"].get("labels.parquet", {})
            check_files(record, ["labels.parquet"])
        except (IntegrityError, FileNotFoundError):
            continue
        content = (record / "labels.parquet").read_bytes()
        if hashlib.sha256(content).hexdigest() == facts.get("sha256"):
            labels = pd.read_parquet(io.BytesIO(content), columns=["layer"])
            return [{"name": layer, "part": part_of(layer)} for layer in labels["layer"].unique()]
    return []


def _stages(study: Study, runs: list[dict[str, Any]], current: bool) -> str:
    """What was done of the study, for people: the next stage is named where one is missing."""
    done = sum(run["state"] == "done" for run in runs)
    if not study.measures():
        return f"{done} of {len(runs)} runs are trained; nothing was compared yet."
    held = ", ".join(measure_name(name) for name in study.measures())
    if not current:
        return f"Compared by {held}. Findings are missing or older: run `stratigraph assess`."
    return f"Compared by {held}, and assessed."


def _run(watched: Watched, run: Run) -> dict[str, Any]:
    state = watched.state(run)
    config = run.config
    return {
        "id": run.run_id,
        "label": config.label(),
        "short": config.label(short=True),
        "data": config.data["name"],
        "architecture": config.architecture_name,
        "objective": config.objective["name"],
        "strength": config.strength,
        "latents": config.latents,
        "seed": config.seed,
        "supervised": config.supervised,
        "gaussian": config.gaussian,
        "state": state["state"],
        "reason": _damage(watched, run) or state.get("reason", ""),
        "warning": warning_of(state),
        "settings": {k: v for k, v in flat(config.to_dict()) if k not in UNTOLD},
        "step": state["step"],
        "steps": config.steps,
        "steps_kept": watched.steps(run),
        "rate": state["rate"],
        "left": state["left"],
        **_last_losses(watched, run),
    }


def _damage(watched: Watched, run: Run) -> str:
    there = record_exists(metrics_path(run.path))
    return "its losses are damaged" if there and not len(_metrics(watched, run)) else ""


def _names(runs: list[dict[str, Any]]) -> None:
    """Give every run a name that tells it from the others, and a short one for legends."""
    varying = {
        key
        for one in runs
        for key, value in one["settings"].items()
        if value != runs[0]["settings"].get(key)
    }
    said = ("objective.", "seed", "latents", "architecture", "data.name", "strength")
    extra = [key for key in sorted(varying) if not key.startswith(said)]
    for one in runs:
        settings = one["settings"]
        more = [f"{k.rpartition('.')[2]} {settings[k]}" for k in extra if k in settings]
        one["label"] = " · ".join([one["label"], *more])
        shown = [
            one[key] for key in ("data", "architecture") if any(one[key] != r[key] for r in runs)
        ]
        one["short"] = ", ".join([one["short"], *map(str, shown), *more])


def _last_losses(watched: Watched, run: Run) -> dict[str, float | None]:
    table = _metrics(watched, run)
    held_out = table[table["split"] == "validation"] if len(table) else table
    held_out = held_out if len(held_out) else table  # a recorded run may log one kind alone
    if not len(held_out):
        return dict.fromkeys(LOSSES)
    row = held_out.iloc[-1]
    return dict(zip(LOSSES, defined((row.get(name, math.nan) for name in LOSSES), 3), strict=True))


def _metrics(watched: Watched, run: Run) -> pd.DataFrame:
    """What a run logged; nothing where it is damaged, which `_run` says."""
    if not record_exists(metrics_path(run.path)):
        return pd.DataFrame()

    def read() -> pd.DataFrame:
        try:
            return run.metrics
        except IntegrityError:
            return pd.DataFrame()

    return watched.keep_record(("metrics", run.run_id), metrics_path(run.path), read)


def losses(watched: Watched, query: Query) -> Answer:
    """What was logged of some runs over training: losses of held-out images and in training."""
    study = watched.study("corrected")
    runs = query.runs(study, "runs")
    lines, tables_ = [], []
    for run in runs:
        table = _metrics(watched, run)
        if not len(table):
            continue
        tables_.append(table.assign(run=run.run_id, configuration=run.config.label()))
        for split, part in table.groupby("split", sort=False):
            for name in part:
                if name not in UNLIKE and part[name].notna().any():
                    lines.append(
                        {
                            "run": run.run_id,
                            "split": str(split),
                            "loss": name,
                            "steps": [int(step) for step in part["step"]],
                            "values": defined(part[name], 3),
                        }
                    )
    facts = {"lines": lines}
    empty = pd.DataFrame(columns=["step", "split", "run"])
    return Answer(facts, None, lambda: pd.concat(tables_, ignore_index=True) if tables_ else empty)
