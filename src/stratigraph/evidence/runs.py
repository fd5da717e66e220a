"""The table of a study's runs: what each is a replicate of, and whether it learned.

One row a run that reached its last step:

``run``           its id
``config``        its stratum (`stratigraph.training.stratum`): equal for replicates, and for models
                  that are equal whatever they are called
``replicate``     its number, or its seed; not unique in a stratum that equal models share
``streams``       ``own``: independent of all other runs; ``shared``: its seed draws the same
                  numbers in every configuration
``duplicate_of``  the run that it is bit for bit, the same model with the same shared streams; or
                  ""
``learned``       True, False, or None where it is not known (`stratigraph.evidence.learned`)
``why``           one sentence where ``learned`` is not True; else ""
``error``         its held-out reconstruction (of a classifier, cross-entropy), in nats an image
``floor``         that of the best constant answer
``best``          the least of the study's runs of the same data and likelihood
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from stratigraph.errors import DataError
from stratigraph.evidence.learned import judge_runs
from stratigraph.objectives import build_objective, error_of
from stratigraph.study.floors import read_floors
from stratigraph.study.run import Run
from stratigraph.study.study import Study
from stratigraph.training import RecordedConfig, RunConfig, floor_key, model_of, stratum

__all__ = ["COLUMNS", "runs_of_findings", "table_of_runs"]

COLUMNS = (
    "run", "config", "replicate", "streams", "duplicate_of", "learned", "why", "error", "floor",
    "best",
)  # fmt: skip


@dataclass(frozen=True)
class _Held:
    """A run's held-out error, what kind it is, and why it is not known."""

    kind: str = ""
    error: float = math.nan
    why: str = ""


def table_of_runs(study: Study) -> pd.DataFrame:
    """One row a run that reached its last step, in the study's order; see above.

    Raises:
        IntegrityError: what was kept of a run, or of the floors, is damaged.

    """
    runs = {run_id: study.runs[run_id] for run_id in study.complete()}
    configs = {run_id: run.config for run_id, run in runs.items()}
    with study.reading():
        strata = {run_id: stratum(config) for run_id, config in configs.items()}
        twins = _duplicates(configs, strata)
        held = {run_id: _held_out(run) for run_id, run in runs.items()}
    missing = (
        f"`stratigraph assess {study.path}` keeps it"
        if study.export is None
        else "it was not exported"
    )
    judged = _judge(configs, held, read_floors(study), missing)
    rows = [
        {
            "run": run_id,
            "config": strata[run_id],
            "replicate": config.seed,
            "streams": config.streams,
            "duplicate_of": twins.get(run_id, ""),
            "error": held[run_id].error,
            **judged[run_id],
        }
        for run_id, config in configs.items()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"learned": object})


def runs_of_findings(study: Study) -> list[str]:
    """The runs that findings are of: those that learned, or all, where none did; and none twice."""
    runs = table_of_runs(study)
    counted = runs[runs["duplicate_of"] == ""]
    learned = counted[~counted["learned"].eq(False)]
    return list((learned if len(learned) else counted)["run"])


def _duplicates(configs: Mapping[str, RunConfig], strata: Mapping[str, str]) -> dict[str, str]:
    """Run → the run that it is bit for bit: that which is called by the simplest name, if any."""
    groups: dict[tuple[str, int], list[str]] = {}
    for run_id, config in configs.items():
        if config.streams == "shared":
            groups.setdefault((strata[run_id], config.seed), []).append(run_id)
    found: dict[str, str] = {}
    for runs in groups.values():
        named = [i for i in runs if model_of(configs[i])["name"] == configs[i].objective["name"]]
        first = (named or runs)[0]
        found |= {run_id: first for run_id in runs if run_id != first}
    return found


def _held_out(run: Run) -> _Held:
    """What is kept of a run's held-out error at its last step."""
    if isinstance(run.config, RecordedConfig):
        return _Held(why="it was recorded elsewhere, so nobody here knows its reconstruction")
    kind = error_of(build_objective(**run.config.objective), run.config.reconstruction)
    if kind is None:
        return _Held(why="its objective is a user's, which makes its reconstruction itself")
    try:
        metrics = run.metrics
    except DataError as error:
        return _Held(kind, why=str(error))
    rows = metrics[(metrics["split"] == "validation") & (metrics["step"] == run.config.steps)]
    if rows.empty:
        return _Held(kind, why="no held-out error was kept at its last step")
    column = "loss" if kind == "factors" else "reconstruction"
    return _Held(kind, float(rows[column].iloc[-1]))


def _judge(
    configs: Mapping[str, RunConfig],
    held: Mapping[str, _Held],
    floors: Mapping[str, Any],
    missing: str,
) -> dict[str, dict[str, Any]]:
    """Run → learned, why, floor and best; ``missing`` is why there may be no floor yet."""
    nothing = {"learned": None, "floor": math.nan, "best": math.nan}
    found: dict[str, dict[str, Any]] = {}
    groups: dict[tuple[str, str], dict[str, float]] = {}
    for run_id, one in held.items():
        if one.why:
            found[run_id] = {**nothing, "why": one.why}
        else:
            groups.setdefault((floor_key(configs[run_id]), one.kind), {})[run_id] = one.error
    for (key, kind), errors in groups.items():
        about = floors.get(key, {"why": missing})
        floor = about.get("of", {}).get(kind)
        if floor is None:
            why = about.get("why", "its images do not vary")
            why = f"the error of the best constant answer is not known: {why}"
            found |= {run_id: {**nothing, "why": why} for run_id in errors}
            continue
        best, judged = judge_runs(errors, floor["floor"], floor["room"])
        for run_id, (learned, why) in judged.items():
            found[run_id] = {
                "learned": learned, "why": why, "floor": floor["floor"], "best": best,
            }  # fmt: skip
    return found
