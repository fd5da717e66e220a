"""Train: each run of a study to its last step, however many at once; a task is one run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stratigraph.activations import layers_to_read
from stratigraph.data.resizing import fit
from stratigraph.durable import find_leftovers, holding
from stratigraph.engine import Engine
from stratigraph.errors import (
    BusyError,
    ConfigError,
    InputError,
    IntegrityError,
    StorageError,
    StratigraphError,
)
from stratigraph.home import Home, find_home
from stratigraph.stages.drift import CONFIG, check_conditions, last_kept
from stratigraph.stages.progress import Progress
from stratigraph.stages.state import StateFile
from stratigraph.stages.trainer import is_over, train_run
from stratigraph.study import (
    Run,
    Study,
    StudyConfig,
    keep_probes,
    probe_indices,
    probes_digest,
    shown_config,
)
from stratigraph.study.origin import find_origin, keep_origin, study_of
from stratigraph.study.state import CUT_SHORT
from stratigraph.training import RunConfig, build_network, equal_models
from stratigraph.training.device import check_device

__all__ = ["check_reading", "prepare_data", "train_study"]


@dataclass(frozen=True)
class TrainTask:
    """One run, as it is sent to a worker."""

    directory: Path
    config: dict[str, Any]
    device: str
    allow_drift: bool
    remote: str | None = None

    @property
    def label(self) -> str:
        """What it is called in a cluster's dashboard: train beta_vae beta=4 seed=1 (3f2a)."""
        config = RunConfig.from_dict(self.config)
        *words, number = config.label(short=True).split()
        return f"train {' '.join(words)}={number} ({config.run_id[:4]})"

    def progress(self) -> int | None:
        """The last step of which anything is kept, or published: it may be on another disk."""
        if self.remote is not None:
            with contextlib.suppress(StratigraphError):  # a store that does not answer now
                (found,) = find_home(study_of(self.directory)).read_published([self.directory])
                return None if found is None else found.last
        return last_kept(self.directory)


def run_task(task: TrainTask) -> dict[str, Any]:
    """Train the run of a task in this process."""
    study = study_of(task.directory)
    if task.remote is not None:  # perhaps on a machine that never saw the study
        keep_origin(study, task.remote)
    config = RunConfig.from_dict(task.config)
    with holding(study):
        return train_run(task.directory, config, task.device, allow_drift=task.allow_drift)


def train_study(
    study: Study,
    engine: Engine,
    progress: Progress,
    device: str = "cpu",
    *,
    allow_drift: bool = False,
) -> list[dict[str, Any]]:
    """Train every run that is not done; return the states of all, in the study's order.

    A run that fails ends alone: its state says why, and the others go on.

    Raises:
        BusyError: another process trains some of the runs; the others have been trained.
        StorageError: the disk would not take what some runs keep; what they kept before is whole.
        ConfigError: a run was begun under other conditions, and nothing has been trained.

    """
    check_device(device)
    if equal := equal_models(run.config for run in study.runs.values()):
        progress.say(equal)
    configs = [run.config for run in study.runs.values()]
    shown = [other.shown(run) for other in study.others() for run in study.runs.values()]
    prepare_data([*configs, *shown], progress)
    check_reading(study.config, configs)
    for run in study.runs.values():  # the page shows them, and draws with them, from now on
        keep_probes(study.path, run.config, study.config.probes)
    home = find_home(study.path)
    waiting = [run for run in study.runs.values() if not _is_closed(run, home)]
    if not allow_drift:
        for run in waiting:
            with contextlib.suppress(IntegrityError):  # then that run fails, and says so
                check_conditions(run.path, run.config, device)
    wider: list[StratigraphError] = []  # what ails the machine or the study, not one run
    remote = find_origin(study.path)
    tasks = [
        TrainTask(run.path.absolute(), run.config.to_dict(), device, allow_drift, remote)
        for run in waiting
    ]
    with progress.training(list(study.runs.values()), waiting) as watch:

        def heard(index: int, facts: dict[str, Any]) -> None:
            watch.heard(waiting[index], facts)

        for outcome in engine.map(run_task, tasks, tick=watch.update, heard=heard):
            run = waiting[outcome.index]
            failure = outcome.failure
            state = outcome.value
            if failure is not None and isinstance(failure.error, BusyError | StorageError):
                wider.append(failure.error)
                kind = "busy" if isinstance(failure.error, BusyError) else "failed"
                state = {**run.state, "state": kind}
            elif failure is not None:
                # The process may have died before it could say so itself.
                kind = "killed" if failure.kind == "killed" else "failed"
                StateFile(run.path, run.config.steps).end(kind, run.state["step"], failure.message)
            watch.note_end(run, state or run.state, failure.message if failure else "")
    if wider:
        raise wider[0]
    home.fetch()
    return [run.state for run in study.runs.values()]


def _is_closed(run: Run, home: Home) -> bool:
    """Whether a run is over, says so, and left nothing of its training behind."""
    return (
        run.state["state"] in ("done", *CUT_SHORT)
        and is_over(run.path, run.config)
        and (run.path / CONFIG).is_file()
        and not (run.path / "checkpoint").exists()
        and not any(find_leftovers(run.path))
        and home.is_published(run.path)
    )


def prepare_data(configs: Sequence[RunConfig], progress: Progress) -> None:
    """Build each data set's cache once, here, rather than in every worker."""
    prepared = []
    for config in configs:
        if config.data not in prepared:
            prepared.append(config.data)
            progress.say(f"data: {config.data['name']} …")
            config.dataset().prepare()


def check_reading(study: StudyConfig, runs: Iterable[RunConfig]) -> None:
    """Raise now, not after hours of training, if the study's networks or probes cannot be made.

    Raises:
        DataError: there are no such data.
        ConfigError: images that a network cannot take, too few of them for the probes, or no such
            layer.

    """
    checked = set()
    for config in runs:
        key = (
            probes_digest(config, study.probes),
            config.architecture_name,
            config.supervised,
            config.gaussian,
        )
        if key in checked:
            continue
        checked.add(key)
        try:
            dataset = config.dataset()
            probe_indices(config, study.probes)
            layers_to_read(build_network(config, dataset), study.activations.layers)
            for way in study.others:
                shown = shown_config(config, way.data or {})
                probe_indices(shown, study.probes)
                other = shown.dataset()
                fit(other.images([0]), other.max_value, dataset.image_shape)
        except InputError as error:
            raise ConfigError(f"{config.label()}: {error}") from None
