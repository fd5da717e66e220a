"""Train one run in its folder: from its last checkpoint to its last step, keeping its snapshots.

It does nothing to a run that is done, and leaves the same bytes whatever interrupted it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from stratigraph.engine import listening, one_thread, stopping
from stratigraph.errors import ConfigError, StorageError
from stratigraph.home import find_home
from stratigraph.records import (
    check_scratch,
    checkpoint_step,
    load_checkpoint,
    record_exists,
    remove_checkpoints,
    remove_leftovers,
    save_checkpoint,
    save_snapshot,
    snapshot_path,
    snapshot_steps,
)
from stratigraph.stages.collapse import watch_of
from stratigraph.stages.drift import keep_conditions
from stratigraph.stages.freezing import freezer_of
from stratigraph.stages.metrics import MetricsLog
from stratigraph.stages.signs import resumed_signs, tell_signs
from stratigraph.stages.state import StateFile
from stratigraph.study import Run, metrics_path, read_state
from stratigraph.study.origin import is_url, study_of
from stratigraph.study.state import CUT_SHORT
from stratigraph.training import (
    CollapsedError,
    DivergedError,
    RunConfig,
    initial_state,
    training_states,
    validation_indices,
    validation_terms,
)
from stratigraph.training.device import check_device

__all__ = ["is_over", "train", "train_run"]

CHECKPOINT_SECONDS = 60.0


def is_over(directory: Path, config: RunConfig) -> bool:
    """Whether a run needs no more training: it diverged, or has all that it should leave."""
    state = read_state(directory)["state"]
    ended = state == "done" or config.steps in snapshot_steps(directory)
    return state in CUT_SHORT or (ended and _has_all(directory, config, config.steps))


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
        allow_drift: continue even if versions, data or device changed since the run began.

    Raises:
        BusyError: another process trains it.
        ConfigError: the folder holds another run, the device is not there, or the run was begun
            under other conditions.
        StorageError: the disk would not take a snapshot; those before it are whole; or there is
            no place for temporary files, without which torch trains nothing.

    """
    where = check_device(device)
    check_scratch()
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
        except CollapsedError as error:
            report.end("collapsed", error.step, str(error))
        except Exception as error:
            with contextlib.suppress(StorageError):  # the error is more than that it is not told
                report.end("failed", step, f"{type(error).__name__}: {error}")
            raise
        else:
            if step < config.steps and not over:
                report.end("stopped", step, "it was asked to stop; the same command resumes")
            elif read_state(directory)["state"] not in ("done", *CUT_SHORT):
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
    freezer, watch = freezer_of(config, dataset, begun), watch_of(config, dataset, begun)
    reached = checkpoint_step(directory)
    resumed = None
    # A checkpoint without what was kept before it would end in a run that lacks it.
    if reached is not None and _has_all(directory, config, reached):
        kept: dict[str, torch.Tensor] = {}
        resumed = load_checkpoint(directory, begun.model, begun.optimiser, kept)
        if freezer is not None and resumed is not None:
            freezer.restore(kept)
        if watch is not None and resumed is not None:
            watch.restore(kept)
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
        for state in training_states(config, dataset, begun, freezer, watch):
            step, loss, news = state.step, None, False
            if state.terms is not None:
                loss = float(state.terms.loss)
                if step % config.log_every == 0 or step in keep or state.acted:
                    terms = state.terms.values()
                    frozen = {} if freezer is None else {"frozen": float(freezer.frozen)}
                    if watch is not None:
                        frozen["regulariser_weight"] = watch.weight(step - 1)
                    metrics.add(step, "training", terms | frozen)
                    signs.of_loss(step, terms["loss"])
            if watch is not None:
                for at, text in watch.texts():  # again, where the state's file was lost
                    signs.of_step(at, text)
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
                more = {} if freezer is None else freezer.state()
                more |= {} if watch is None else watch.state()
                save_checkpoint(directory, step, state.model, state.optimiser, more)
                saved = time.monotonic()
                news = True
            report.beat(step, loss)
            if news:
                publish()
            yield step
            if stop:
                return
        for lost in sorted(keep - set(snapshot_steps(directory))):
            raise StorageError(
                f"{snapshot_path(directory, lost)} is gone: it was removed while the run was "
                "training. The same command makes it again."
            )
    except (DivergedError, CollapsedError):
        metrics.save()  # the last losses say how it came about
        raise


def train(
    config: RunConfig | dict[str, Any],
    out: str | Path | None = None,
    *,
    device: str = "cpu",
    allow_drift: bool = False,
) -> Run:
    """Train one VAE, or resume its training, and return the run.

    Args:
        config: a `RunConfig`, or its values as a mapping.
        out: the run's folder; by default ``results/runs/<run_id>`` in the current one.
        device: ``cpu``, ``cuda``, ``mps``, …
        allow_drift: continue even if versions, data or device changed since the run began.

    Returns:
        The run: ``.steps`` (its snapshots), ``.model(step)``, ``.metrics``, ``.state``.

    Raises:
        ConfigError: a value that cannot be used.
        BusyError: another process trains it.
        KeyboardInterrupt: on Ctrl-C; all steps done are saved, and the same call resumes.

    """
    chosen = config if isinstance(config, RunConfig) else RunConfig.from_dict(config)
    chosen.require_plugins()
    if out is not None and is_url(out):
        raise ConfigError(
            f"out: expected a folder on this machine, got {out}; `stratigraph run FILE --out URL` "
            "trains studies into a store."
        )
    directory = Path("results", "runs", chosen.run_id) if out is None else Path(out)
    chosen.dataset().prepare()
    with listening():
        train_run(directory, chosen, device, allow_drift=allow_drift)
    return Run(directory, chosen)
