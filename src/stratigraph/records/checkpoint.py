"""A checkpoint: the state from which a run goes on, the latest only.

Weights and Adam's moments are all there is to keep, and what a freezer knows: the random streams
need no state (see `stratigraph.training.seeds`). A checkpoint is a record named by its step; older
ones go only after the new one is whole.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn, optim

from stratigraph.errors import IntegrityError, StorageError
from stratigraph.records.snapshot import load_tensors, tensors_of
from stratigraph.records.store import record_exists, remove_record, verified, write_record

__all__ = ["checkpoint_step", "load_checkpoint", "remove_checkpoints", "save_checkpoint"]

STATE = "state.safetensors"


def _records(run: Path) -> list[Path]:
    folder = run / "checkpoint"
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name.isdigit() and record_exists(path))


def _moments(optimiser: optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"optimiser.{index}.{name}": value.detach().cpu().contiguous()
        for index, entry in optimiser.state_dict()["state"].items()
        for name, value in entry.items()
    }


def save_checkpoint(
    run: Path,
    step: int,
    model: nn.Module,
    optimiser: optim.Optimizer,
    more: Mapping[str, Tensor] | None = None,
) -> None:
    """Keep the state after ``step`` updates, and ``more`` that the run needs; drop older ones."""
    older = _records(run)
    path = run / "checkpoint" / f"{step:09d}"
    tensors = {f"model.{name}": value for name, value in tensors_of(model).items()}
    tensors |= _moments(optimiser)
    tensors |= {f"more.{name}": value.contiguous() for name, value in (more or {}).items()}
    write_record(path, lambda files: files.tensors(STATE, tensors), {"step": step})
    for other in older:
        if other != path:
            with contextlib.suppress(StorageError):  # it is older, and is passed over
                remove_record(other)


def checkpoint_step(run: Path) -> int | None:
    """The step of the latest checkpoint, if there is one."""
    records = _records(run)
    return int(records[-1].name) if records else None


def load_checkpoint(
    run: Path,
    model: nn.Module,
    optimiser: optim.Optimizer,
    more: dict[str, Tensor] | None = None,
) -> int | None:
    """Restore the latest whole checkpoint into model and optimiser; return its step.

    What was kept beside them is put into ``more``.

    A damaged checkpoint is passed over for an older one: what is lost is work, not truth.
    """
    for path in reversed(_records(run)):
        try:
            step = int(verified(path)["step"])
        except IntegrityError:
            continue
        tensors = load_tensors(path / STATE)
        model.load_state_dict(
            {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
        )
        if more is not None:
            kept = {k: v for k, v in tensors.items() if k.startswith("more.")}
            more |= {name.removeprefix("more."): value for name, value in kept.items()}
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimiser."):
                _, index, name = key.split(".", 2)
                state.setdefault(int(index), {})[name] = value
        # Adam's kernels walk parameter and moments together: the moments must lie in memory as the
        # parameters do (channels last), whatever the file's order.
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        for position, moments in state.items():
            like = parameters[position]
            for name, value in moments.items():
                if value.shape == like.shape:
                    moments[name] = torch.empty_like(like).copy_(value)
        whole = optimiser.state_dict()
        whole["state"] = state
        optimiser.load_state_dict(whole)
        return step
    return None


def remove_checkpoints(run: Path) -> None:
    """Drop the resumable state of a run that is done."""
    with contextlib.suppress(StorageError):  # the run is done without it, and says so
        remove_record(run / "checkpoint")
