"""Faults put into the store on purpose: the crash tests must catch each, or they are weak."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stratigraph import durable
from stratigraph.errors import StorageError
from stratigraph.records import checkpoint, files, store


def write_in_place() -> None:
    """Records and files are written where they will stand."""

    class InPlace(store.Files):
        def add(self, name: str, *parts: Any) -> None:
            (self.folder / name).unlink(missing_ok=True)
            super().add(name, *parts)

    def write_record(directory: Path, fill: Any, about: Any = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        made = InPlace(directory)
        fill(made)
        manifest = {"format": 1, "about": about or {}, "files": {**made.facts}}
        made.add(store.MANIFEST, store.sealed_json(manifest))

    _replace("write_record", write_record)

    @contextmanager
    def replacing(path: Path) -> Iterator[durable.Output]:
        path.unlink(missing_ok=True)
        output = durable.Output(path)
        yield output
        output.close()

    durable.replacing = files.replacing = replacing


def forget_the_optimiser() -> None:
    """A run goes on with its weights, and with Adam's moments as they are in the beginning."""
    train = importlib.import_module("stratigraph.stages.trainer")
    load = train.load_checkpoint

    def load_checkpoint(run: Path, model: Any, optimiser: Any, *more: Any) -> Any:
        fresh = optimiser.state_dict()
        step = load(run, model, optimiser, *more)
        optimiser.load_state_dict(fresh)
        return step

    train.load_checkpoint = load_checkpoint


def remove_the_old_checkpoint_first() -> None:
    """The latest moves before the new one is whole."""
    train = importlib.import_module("stratigraph.stages.trainer")
    save = checkpoint.save_checkpoint

    def save_checkpoint(run: Path, *rest: Any) -> None:
        checkpoint.remove_checkpoints(run)
        save(run, *rest)

    train.save_checkpoint = save_checkpoint


def forget_to_flush_files() -> None:
    """Files are closed and renamed, and never flushed."""
    durable.Output.sync = lambda self: None


def forget_to_flush_folders() -> None:
    """Names are changed, and the folders that hold them never flushed."""
    durable.sync = store.sync = lambda path: None


def keep_quiet() -> None:
    """A file that the disk refuses is passed over without a word."""
    write = files.write_file

    def write_file(path: Path, *parts: Any) -> str:
        with contextlib.suppress(StorageError):
            return write(path, *parts)
        return ""

    _replace("write_file", write_file)


def leave_what_was_replaced() -> None:
    """A stage is current whatever it has left to remove."""
    importlib.import_module("stratigraph.stages.stage").Stage.is_cleared = lambda *_: True


def no_exchange() -> None:
    """No fault: a system on which two folders cannot trade places in one step."""
    durable.exchange = store.exchange = lambda one, other: False


def _replace(name: str, function: Callable[..., Any]) -> None:
    for module in [*sys.modules.values()]:
        if module.__name__.startswith("stratigraph") and hasattr(module, name):
            setattr(module, name, function)


MUTATIONS: dict[str, Callable[[], None]] = {
    function.__name__: function
    for function in (
        write_in_place,
        forget_the_optimiser,
        remove_the_old_checkpoint_first,
        forget_to_flush_files,
        forget_to_flush_folders,
        keep_quiet,
        leave_what_was_replaced,
        no_exchange,
    )
}
