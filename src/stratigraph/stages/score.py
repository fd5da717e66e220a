"""Disentangle: the scores of each run's latents against the factors of the probes.

A task is one run. From the means of q(z|x) on the probes it writes

``scores.parquet``   step, score, value, n (probes), reason (why the value is NaN, or
what to keep in mind of it), and of_<factor>:
                     the share of each factor, where the score has one

Scores that take milliseconds are of every compared step, the others of the last
(`stratigraph.latents.scores.SCORES`), or with ``scores: every`` of all. All are of the default
settings, which the record holds. A run that has no factors to score against, or no mean to score,
has an empty table and the reason in its record. A record of its own: studies of before it existed
gain it without being read again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from stratigraph.engine import Engine
from stratigraph.identity import digest
from stratigraph.latents.decoding import UNORDERED
from stratigraph.latents.scores import SCORES, disentanglement_scores
from stratigraph.records import write_record
from stratigraph.stages.agreement import keep_agreement
from stratigraph.stages.progress import Progress
from stratigraph.stages.task import (
    POSTERIOR,
    ReadingTask,
    make_records,
    reading_digest,
    representations_of,
    task_of,
)
from stratigraph.study import CORRECTED, Study, probe_indices, representations_path, scores_path
from stratigraph.training import RecordedConfig, RunConfig

__all__ = ["score_latents", "score_run"]

COLUMNS = ["step", "score", "value", "n", "reason"]
LEAST = 2  # factors that vary: to tell one from another


def score_run(task: ReadingTask) -> None:
    """Score one run and write its record."""
    run = task.run
    reason, rows = _why_unscored(run.config), []
    if not reason:
        dataset = run.dataset()
        factors = dataset.factors(probe_indices(run.config, task.probes))
        names = tuple(dataset.factor_names)
        if sum(len(np.unique(column)) > 1 for column in factors.T) < LEAST:
            reason = f"fewer than {LEAST} factors of {dataset.name} vary among the probes"
    if not reason:
        known = [s for s in task.steps if (representations_path(run.path, s) / POSTERIOR).is_file()]
        for step in known:
            mean = np.load(representations_path(run.path, step) / POSTERIOR, allow_pickle=False)[0]
            every = step == task.steps[-1] or task.about.get("scores") == "every"
            rows += _rows(step, mean, factors, names, every)
        reason = "" if known else "no posterior with a mean was kept of it"

    table = pd.DataFrame(rows)
    table = table.reindex(columns=[*dict.fromkeys([*COLUMNS, *table.columns])])
    about = {**task.about, "reason": reason}
    write_record(task.record, lambda files: files.table("scores.parquet", table), about)


def _why_unscored(config: RunConfig) -> str:
    """Why a run cannot be scored, as far as its configuration says."""
    if isinstance(config, RecordedConfig):
        return "it was recorded, without its data's factors"
    return "it is a classifier, without latents" if config.supervised else ""


def _rows(
    step: int, mean: np.ndarray, factors: np.ndarray, names: tuple[str, ...], every: bool
) -> list[dict[str, Any]]:
    """One row a number, of one snapshot."""
    chosen = [name for name, score in SCORES.items() if every or score.quick]
    unordered = [i for i, name in enumerate(names) if name in UNORDERED]
    rows = []
    for name, found in disentanglement_scores(mean, factors, chosen, unordered).items():
        score = SCORES[name]
        values = {name: found.score}
        values |= {f"{name}_{part}": found.parts.get(part, np.nan) for part in score.parts}
        for called, value in values.items():
            row = {"step": step, "score": called, "value": value, "n": found.n}
            row["reason"] = found.reason or found.note
            if called == score.by_factor and found.by_factor.size:
                row |= {f"of_{f}": v for f, v in zip(names, found.by_factor, strict=True)}
            rows.append(row)
    return rows


def settings_in_use() -> dict[str, Any]:
    """The settings of every score's estimator, as plain values."""
    return {name: dataclasses.asdict(score.settings()) for name, score in SCORES.items()}


def score_latents(study: Study, engine: Engine, progress: Progress) -> int:
    """Score every complete run that has not been, as it is now; return how many were.

    Means are those that the study file asks for, whichever way the study is read.
    """
    corrected = study.read(CORRECTED)
    wanted = _list_tasks(corrected)
    made = make_records(engine, progress, "scoring latents", score_run, wanted)
    keep_agreement(corrected)
    return made


def _list_tasks(study: Study) -> Iterator[ReadingTask]:
    for run_id in study.complete():
        run = study.runs[run_id]
        held = representations_of(study, run)
        if held:
            hashes = digest([[step, files.get(POSTERIOR)] for step, files in held.items()])
            about = {
                **reading_digest(study, run),
                "scored": 1,
                "settings": settings_in_use(),
                "representations": hashes,
            }
            if study.config.scores == "every":
                about["scores"] = "every"
            yield task_of("score", study, run, held, scores_path(run.path), about)
