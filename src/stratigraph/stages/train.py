"""Train: each run of a study to its last step, keeping its snapshots.

A task is one run. It goes on from the run's last checkpoint, does nothing to a run that is done,
and leaves the same bytes whatever interrupted it and however many run beside it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stratigraph.activations import layers_to_read
from stratigraph.durable import TEMPORARY
from stratigraph.engine import Engine, listening, one_thread, stopping
from stratigraph.errors import (
    BusyError,
    ConfigError,
    InputError,
    IntegrityError,
    StorageError,
    StratigraphError,
)
from stratigraph.home import Home, find_home
from stratigraph.records import (
    checkpoint_step,
    load_checkpoint,
    record_exists,
    remove_checkpoints,
    remove_leftovers,
    save_checkpoint,
    save_snapshot,
    snapshot_steps,
)
from stratigraph.stages.drift import CONFIG, check_conditions, keep_conditions, last_kept
from stratigraph.stages.freezing import freezer_of
from stratigraph.stages.metrics import MetricsLog
from stratigraph.stages.progress import Progress
from stratigraph.stages.signs import resumed_signs, tell_signs
from stratigraph.stages.state import StateFile
from stratigraph.study import (
    Run,
    Study,
    StudyConfig,
    keep_probes,
    metrics_path,
    probe_indices,
    probes_digest,
    read_state,
)
from stratigraph.study.origin import find_origin, is_url, keep_origin, study_of
from stratigraph.training import (
    DivergedError,
    RunConfig,
    build_network,
    initial_state,
    training_states,
    validation_indices,
    validation_terms,
)

__all__ = ["train", "train_run", "train_study"]

CHECKPOINT_SECONDS = 60.0


def check_device(device: str) -> torch.device:
    """The device, if this machine has it.

    Raises:
        ConfigError: it does not; the message lists those that it has.

    """
    try:
        wanted = torch.device(device)
        torch.empty(1, device=wanted).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        found = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        if torch.backends.mps.is_available():
            found.append("mps")
        raise ConfigError(
            f"device: {device!r} cannot be used here ({str(error).splitlines()[0]}); "
            f"this machine has {', '.join(found)}."
        ) from None
    return wanted


def is_over(directory: Path, config: RunConfig) -> bool:
    """Whether a run needs no more training: it diverged, or has all that it should leave."""
    state = read_state(directory)["state"]
    ended = state == "done" or config.steps in snapshot_steps(directory)
    return state == "diverged" or (ended and _has_all(directory, config, config.steps))


def _has_all(directory: Path, config: RunConfig, until: int) -> bool:
    """Whether a run's losses, and its snapshots up to a step, are there."""
    due = {step for step in config.snapshots if step <= until}
    return due <= set(snapshot_steps(directory)) and record_exists(metrics_path(directory))


def train_run(
    directory: Path, config: RunConfig, device: str = "cpu", *, allow_drift: bool = False
) -> dict[str, Any]:
    """Train one run in its folder, or go on with it, on one thread; return its state.

    Asked to stop (`stratigraph.engine.stopping`), it keeps a checkpoint of the step that it is at.

    Args:
        directory: the run's folder.
        config: what to train.
        device: ``cpu``, ``cuda``, ``mps``, …
        allow_drift: go on though the versions, the data or the device changed since the run began.

    Raises:
        BusyError: another process trains it.
        ConfigError: the folder holds another run, the device is not there, or the run was begun
            under other conditions.
        StorageError: the disk would not take a snapshot; those before it are whole.

    """
    where = check_device(device)
    home = find_home(study_of(directory))
    with home.writing_run(directory) as publish, one_thread():
        over = is_over(directory, config)
        remove_leftovers(directory, directory / "snapshots", directory / "checkpoint")
        report = StateFile(directory, config.steps)
        step = max([0, *snapshot_steps(directory)]) if over else 0
        keep_conditions(directory, config, device, allow=allow_drift, over=over)
        try:
            for reached in () if over else _advance(directory, config, where, report, publish):
                step = reached
        except DivergedError as error:
            report.end("diverged", error.step, str(error))
        except Exception as error:
            with contextlib.suppress(StorageError):  # the error is more than that it is not told
                report.end("failed", step, f"{type(error).__name__}: {error}")
            raise
        else:
            if step < config.steps and not over:
                report.end("stopped", step, "it was asked to stop; the same command goes on")
            elif read_state(directory)["state"] not in ("done", "diverged"):
                report.end("done", config.steps)
            if step == config.steps:
                remove_checkpoints(directory)
        return read_state(directory)


def _advance(
    directory: Path,
    config: RunConfig,
    device: torch.device,
    report: StateFile,
    publish: Callable[[], None],
) -> Iterator[int]:
    """Yield each step as it is done, having kept and published what is due at it."""
    dataset = config.dataset()
    begun = initial_state(config, dataset, device)
    freezer = freezer_of(config, dataset, begun)
    reached = checkpoint_step(directory)
    resumed = None
    # A checkpoint without what was kept before it would end in a run that lacks it.
    if reached is not None and _has_all(directory, config, reached):
        kept: dict[str, torch.Tensor] = {}
        resumed = load_checkpoint(directory, begun.model, begun.optimiser, kept)
        if freezer is not None and resumed is not None:
            freezer.restore(kept)
    metrics = MetricsLog(directory)
    if resumed is not None:
        begun.step = resumed
        metrics.load(resumed)
    signs = resumed_signs(directory, metrics.rows)
    report.signs, report.told = signs.texts, signs.told
    held_out = validation_indices(config, dataset)
    keep = set(config.snapshots)
    saved = time.monotonic()
    try:
        for state in training_states(config, dataset, begun, freezer):
            step, loss, news = state.step, None, False
            if state.terms is not None:
                loss = float(state.terms.loss)
                if step % config.log_every == 0 or step in keep:
                    terms = state.terms.values()
                    frozen = {} if freezer is None else {"frozen": float(freezer.frozen)}
                    metrics.add(step, "training", terms | frozen)
                    signs.of_loss(step, terms["loss"])
            # What is due at the step that a run goes on from was done before it was interrupted.
            if step in keep and step != resumed:
                metrics.add(step, "validation", validation_terms(config, dataset, state, held_out))
                tell_signs(signs, config, dataset, state, held_out)
                metrics.save()
                save_snapshot(directory, step, state.model, {"run_id": config.run_id})
                news = True
            stop = stopping()
            due = stop or time.monotonic() - saved > CHECKPOINT_SECONDS
            if due and step < config.steps and step != resumed:
                metrics.save()
                more = None if freezer is None else freezer.state()
                save_checkpoint(directory, step, state.model, state.optimiser, more)
                saved = time.monotonic()
                news = True
            report.beat(step, loss)
            if news:
                publish()
            yield step
            if stop:
                return
    except DivergedError:
        metrics.save()  # the last losses say how it came about
        raise


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
        return f"train {config.label(short=True).replace('seed ', 'seed=')} ({config.run_id[:4]})"

    def progress(self) -> int | None:
        """The last step of which anything is kept, or published: it may be on another disk."""
        if self.remote is not None:
            with contextlib.suppress(StratigraphError):  # a store that does not answer now
                (found,) = find_home(study_of(self.directory)).read_published([self.directory])
                return None if found is None else found.last
        return last_kept(self.directory)


def run_task(task: TrainTask) -> dict[str, Any]:
    """Train the run of a task in this process."""
    if task.remote is not None:  # perhaps on a machine that never saw the study
        keep_origin(study_of(task.directory), task.remote)
    return train_run(
        task.directory, RunConfig.from_dict(task.config), task.device, allow_drift=task.allow_drift
    )


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
    prepare_data([run.config for run in study.runs.values()], progress)
    check_reading(study.config, [run.config for run in study.runs.values()])
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
            watch.ended(run, state or run.state, failure.message if failure else "")
    if wider:
        raise wider[0]
    home.fetch()
    return [run.state for run in study.runs.values()]


def _is_closed(run: Run, home: Home) -> bool:
    """Whether a run is over, says so, and left nothing of its training behind."""
    return (
        run.state["state"] in ("done", "diverged")
        and is_over(run.path, run.config)
        and (run.path / CONFIG).is_file()
        and not (run.path / "checkpoint").exists()
        and not any(run.path.glob(f"{TEMPORARY}*"))
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
    """Raise now, not after hours of training, if the study's networks or probes cannot be had.

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
        except InputError as error:
            raise ConfigError(f"{config.label()}: {error}") from None


def train(
    config: RunConfig | dict[str, Any],
    out: str | Path | None = None,
    *,
    device: str = "cpu",
    allow_drift: bool = False,
) -> Run:
    """Train one VAE, or go on with it, and return the run.

    Args:
        config: a `RunConfig`, or its values as a mapping.
        out: the run's folder; by default ``results/runs/<run_id>`` in the current one.
        device: ``cpu``, ``cuda``, ``mps``, …
        allow_drift: go on though the versions, the data or the device changed since the run began.

    Returns:
        The run: ``.steps`` of its snapshots, ``.model(step)``, ``.metrics``, ``.state``.

    Raises:
        ConfigError: a value that cannot be used.
        BusyError: another process trains it.
        KeyboardInterrupt: by Ctrl-C; all steps done are saved, and the same call goes on.

    """
    chosen = config if isinstance(config, RunConfig) else RunConfig.from_dict(config)
    chosen.require_plugins()
    if out is not None and is_url(out):
        raise ConfigError(
            f"out: expected a folder of this machine, got {out}; `stratigraph run FILE --out URL` "
            "trains studies into a store."
        )
    directory = Path("results", "runs", chosen.run_id) if out is None else Path(out)
    chosen.dataset().prepare()
    with listening():
        train_run(directory, chosen, device, allow_drift=allow_drift)
    return Run(directory, chosen)
