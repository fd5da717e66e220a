"""A snapshot: the immutable weights of a run at one step, in safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from stratigraph.errors import DataError, InputError
from stratigraph.records.store import record_exists, verified, write_record

__all__ = [
    "load_snapshot",
    "load_tensors",
    "load_weights_of",
    "save_snapshot",
    "snapshot_path",
    "snapshot_steps",
]

WEIGHTS = "weights.safetensors"


def snapshot_path(run: Path, step: int) -> Path:
    """Where a run keeps the snapshot of a step; nine digits, so that names sort as steps do."""
    return run / "snapshots" / f"{step:09d}"


def snapshot_steps(run: Path) -> list[int]:
    """The steps at which the run in this folder has snapshots, in order."""
    folder = run / "snapshots"
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.name.isdigit() and record_exists(path))
    return sorted(int(path.name) for path in found)


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """A module's state, as contiguous CPU tensors that share no memory.

    Tied weights are kept under each of their names. What ``get_extra_state`` gives is no tensor as
    a rule, and is then left out.
    """
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in module.state_dict().items():
        if isinstance(value, Tensor):
            tensor = value.detach().cpu().contiguous()
            memory = tensor.untyped_storage().data_ptr()
            found[name] = tensor.clone() if memory in seen else tensor
            seen.add(memory)
    return found


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file whose hash has been checked.

    Raises:
        DataError: the file cannot be parsed.

    """
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path}: not readable as safetensors ({error}).") from None


def save_snapshot(run: Path, step: int, model: nn.Module, about: dict[str, Any]) -> None:
    """Keep the weights of ``model`` at ``step``; a snapshot that is there already stays."""
    path = snapshot_path(run, step)
    if record_exists(path):
        return
    tensors = tensors_of(model)
    write_record(path, lambda files: files.tensors(WEIGHTS, tensors), {"step": step, **about})


def load_snapshot(run: Path, step: int, model: nn.Module) -> None:
    """Put the weights of a snapshot into ``model``, after their hash has been checked.

    Raises:
        InputError: the run has no snapshot at that step; the message lists those it has.
        IntegrityError: the file is damaged.
        DataError: its tensors are not those of the model.

    """
    tensors = load_weights_of(run, step)
    # Extra state that was not kept stays the model's own.
    own = {k: v for k, v in model.state_dict().items() if not isinstance(v, Tensor)}
    try:
        model.load_state_dict({**own, **tensors})
    except RuntimeError as error:
        raise DataError(
            f"{snapshot_path(run, step)}: its tensors do not fit the model: {error}"
        ) from None


def load_weights_of(run: Path, step: int) -> dict[str, Tensor]:
    """The tensors of a snapshot by name, after their hash has been checked.

    Raises:
        InputError: the run has no snapshot at that step; the message lists those it has.
        IntegrityError: the file is damaged.

    """
    path = snapshot_path(run, step)
    if not record_exists(path):
        steps = ", ".join(map(str, snapshot_steps(run))) or "none"
        raise InputError(f"run {run.name} has no snapshot at step {step}; it has {steps}.")
    verified(path)
    return load_tensors(path / WEIGHTS)
