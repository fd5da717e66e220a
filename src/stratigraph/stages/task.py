"""What is read of a run's snapshots and kept: one kind of task, and one loop for all of them.

A task is a record that a worker makes: what the layers of one snapshot represent (`extract`), what
a run's latents and layers hold over training (`observe`), how well its latents are disentangled
(`score`). Each of these says which records a study should have and what they depend on, and makes
one of them; here those that are missing, or were made of something else, are made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from stratigraph.durable import holding
from stratigraph.engine import Engine
from stratigraph.errors import StratigraphError
from stratigraph.identity import digest
from stratigraph.records import MANIFEST, read_json, record_exists, verified
from stratigraph.stages.progress import Progress
from stratigraph.study import (
    ActivationsConfig,
    ProbesConfig,
    Run,
    Study,
    probes_digest,
    representations_path,
    shown_config,
)
from stratigraph.study.layout import POSTERIOR
from stratigraph.training import RecordedConfig, RunConfig, any_config

__all__ = [
    "POSTERIOR",
    "ReadingTask",
    "current_facts",
    "make_records",
    "reading_digest",
    "representations_of",
    "task_of",
]


FITTED = 1  # how images of other data are made to fit; raise it whenever a pixel changes


@dataclass(frozen=True)
class ReadingTask:
    """A record that is to be made of some steps of one run, as it is sent to a worker."""

    kind: str
    folder: Path
    config: dict[str, Any]
    steps: tuple[int, ...]
    probes: ProbesConfig
    activations: ActivationsConfig
    way: str
    record: Path
    about: dict[str, Any]
    data: dict[str, Any] | None = None  # whose probes it reads, if not its own

    @property
    def shown(self) -> RunConfig:
        """The configuration whose own probes it reads."""
        config = self.run.config
        return config if self.data is None else shown_config(config, self.data)

    @property
    def run(self) -> Run:
        """The run."""
        return Run(self.folder, any_config(self.config, self.steps))

    @property
    def label(self) -> str:
        """What it is called in a cluster's dashboard."""
        step = f" step {self.steps[0]}" if self.kind == "extract" else ""
        return f"{self.kind} {self.folder.name[:4]}{step}"


def task_of(
    kind: str, study: Study, run: Run, steps: Iterable[int], record: Path, about: Mapping[str, Any]
) -> ReadingTask:
    """The task of a run of a study, read its way."""
    config = study.config
    return ReadingTask(
        kind,
        run.path,
        run.config.to_dict(),
        tuple(steps),
        config.probes,
        config.activations,
        study.way.folder,
        record,
        dict(about),
        None if study.way.data is None else dict(study.way.data),
    )


def reading_digest(study: Study, run: Run) -> dict[str, Any]:
    """What a representation depends on beside the weights."""
    config = study.config
    if isinstance(run.config, RecordedConfig):
        reading = {"probes": run.config.probes, "reading": run.config.reading}
        return {**reading, "posterior": run.config.gaussian}
    return {
        "probes": probes_digest(study.shown(run), config.probes),
        "reading": digest(config.activations),
        "posterior": run.config.gaussian,
        **({} if study.way.data is None else {"fitted": FITTED}),
    }


def representations_of(study: Study, run: Run) -> dict[int, Mapping[str, str]]:
    """Step → file → hash, of the representations that a run has."""
    found = {}
    for step in study.steps(run):
        record = representations_path(run.path, step, study.way.folder)
        if record_exists(record):
            found[step] = read_json(record / MANIFEST)["files"]
    return found


def current_facts(path: Path, about: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the record at ``path`` says of itself, if it was made with these settings.

    Raises:
        IntegrityError: it is damaged.

    """
    if not record_exists(path):
        return None
    held = verified(path)
    return held if all(held.get(key) == value for key, value in about.items()) else None


def _make_held(make: Callable[[ReadingTask], None], task: ReadingTask) -> None:
    with holding(task.folder):
        make(task)


def make_records(
    engine: Engine,
    progress: Progress,
    what: str,
    make: Callable[[ReadingTask], None],
    wanted: Iterable[ReadingTask],
) -> int:
    """Make every record that is missing, however many fail; return how many there were.

    Args:
        engine: where they are made.
        progress: told how many are.
        what: is done, for a person.
        make: one of them.
        wanted: all that there should be.

    Raises:
        StratigraphError: the first failure's; what the others made is kept.

    """
    tasks = [task for task in wanted if current_facts(task.record, task.about) is None]
    failures = []
    with progress.counting(what, len(tasks)) as counter:
        for outcome in engine.map(partial(_make_held, make), tasks):
            counter.advance()
            if outcome.failure is not None:
                failures.append((tasks[outcome.index], outcome.failure))
    if failures:
        task, failure = failures[0]
        if isinstance(failure.error, StratigraphError):
            raise failure.error
        raise StratigraphError(
            f"{what}: {len(failures)} of {len(tasks)} failed; the first, {task.folder.name} at "
            f"step {task.steps[-1]}: {failure.message}\n{failure.traceback}"
        )
    return len(tasks)
