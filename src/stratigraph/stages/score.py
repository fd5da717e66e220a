"""Disentangle: the scores of each run's latents against the factors of the probes.

A task is one run. From the means of q(z|x) on the probes it writes

``scores.parquet``   step, score, value, n (probes), reason (why the value is NaN, or
what to keep in mind of it), and of_<factor>:
                     the share of each factor, where the score has one

Scores that take milliseconds are of every compared step, the others of the last
(`stratigraph.latents.scores.SCORES`). All are of the default settings, which the record holds. A
run that has no factors to score against, or no mean to score, has an empty table and the reason in
its record. A record of its own: studies of before it existed gain it without being read again.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stratigraph.engine import Engine
from stratigraph.identity import digest
from stratigraph.latents.decoding import UNORDERED
from stratigraph.latents.scores import SCORES, disentanglement_scores
from stratigraph.records import MANIFEST, read_json, record_exists, write_record
from stratigraph.stages.extract import current_facts, reading_digest, run_all
from stratigraph.stages.progress import Progress
from stratigraph.study import (
    ProbesConfig,
    Run,
    Study,
    probe_indices,
    representations_path,
    scores_path,
)
from stratigraph.training import RecordedConfig, RunConfig, any_config

__all__ = ["ScoreTask", "score_latents", "score_task"]

POSTERIOR = "posterior.npy"
COLUMNS = ["step", "score", "value", "n", "reason"]
LEAST = 2  # factors that vary: to tell one from another


@dataclass(frozen=True)
class ScoreTask:
    """One run, as it is sent to a worker."""

    run: Path
    config: dict[str, Any]
    steps: tuple[int, ...]
    probes: ProbesConfig
    about: dict[str, Any]

    @property
    def label(self) -> str:
        """What it is called in a cluster's dashboard."""
        return f"score {self.run.name[:4]}"

    @property
    def reads(self) -> tuple[Path, ...]:
        """The representations, for their means."""
        return tuple(representations_path(self.run, step) for step in self.steps)

    @property
    def writes(self) -> Path:
        """The scores."""
        return scores_path(self.run)

    def away(self) -> ScoreTask:
        """The same task."""
        return self


def score_task(task: ScoreTask) -> None:
    """Score one run and write its record."""
    run = Run(task.run, any_config(task.config, task.steps))
    reason, rows = _unscored(run.config), []
    if not reason:
        dataset = run.dataset()
        factors = dataset.factors(probe_indices(run.config, task.probes))
        names = tuple(dataset.factor_names)
        if sum(len(np.unique(column)) > 1 for column in factors.T) < LEAST:
            reason = f"fewer than {LEAST} factors of {dataset.name} vary among the probes"
    if not reason:
        known = [s for s in task.steps if (representations_path(task.run, s) / POSTERIOR).is_file()]
        for step in known:
            mean = np.load(representations_path(task.run, step) / POSTERIOR, allow_pickle=False)[0]
            rows += _rows(step, mean, factors, names, last=step == task.steps[-1])
        reason = "" if known else "no posterior with a mean was kept of it"

    table = pd.DataFrame(rows)
    table = table.reindex(columns=[*dict.fromkeys([*COLUMNS, *table.columns])])
    write_record(
        scores_path(task.run),
        lambda files: files.table("scores.parquet", table),
        {**task.about, "reason": reason},
    )


def _unscored(config: RunConfig) -> str:
    """Why a run cannot be scored, as far as its configuration says."""
    if isinstance(config, RecordedConfig):
        return "it was recorded, without its data's factors"
    return "it is a classifier, without latents" if config.supervised else ""


def _rows(
    step: int, mean: np.ndarray, factors: np.ndarray, names: tuple[str, ...], last: bool
) -> list[dict[str, Any]]:
    """One row a number, of one snapshot."""
    chosen = [name for name, score in SCORES.items() if last or score.quick]
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

    The study is read the way its file says; a published reading is not scored.
    """
    tasks = []
    for run_id in study.complete():
        run = study.runs[run_id]
        records = [(step, representations_path(run.path, step)) for step in run.steps]
        records = [(step, record) for step, record in records if record_exists(record)]
        hashes = [
            [step, read_json(record / MANIFEST)["files"].get(POSTERIOR)] for step, record in records
        ]
        about = {
            **reading_digest(study, run),
            "scored": 1,
            "settings": settings_in_use(),
            "representations": digest(hashes),
        }
        if records and current_facts(scores_path(run.path), about) is None:
            steps = tuple(step for step, _ in records)
            tasks.append(
                ScoreTask(run.path, run.config.to_dict(), steps, study.config.probes, about)
            )
    run_all(engine, progress, "scoring latents", score_task, tasks, lambda task: task.run.name)
    return len(tasks)
