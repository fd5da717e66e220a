"""Tasks of stored representations that another machine can do, as `stratigraph.engine.Portable`.

Such a machine has the representations, fetched for it, and a folder of its own where the sender has
its scratch. What is made there of representations (vectors, directions) is made once on each
machine, by the first of its tasks that needs it: to move it would cost as much. What comes of a
task is its value.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from stratigraph.similarity.blocks import Source
from stratigraph.snapshots import locked

__all__ = ["OfRepresentations", "in_turn", "valued"]

TURNS = 16  # things that the processes of one machine make at once

T = TypeVar("T")


class OfRepresentations(ABC):
    """The half of such a task that does not depend on what it does."""

    writes: None = None  # nothing that the sender would have to fetch

    @abstractmethod
    def stored(self) -> Iterable[Source]:
        """The representations that it is of."""

    @property
    def reads(self) -> tuple[Path, ...]:
        """The records that they stand in."""
        return tuple(dict.fromkeys(s.parent for s in self.stored() if isinstance(s, Path)))


def valued(task: T, path: Path | None) -> T | None:
    """The task without the ``path`` at which it would keep what comes of it: it is returned then.

    None where an earlier call has left it there.
    """
    return None if path is not None and path.is_file() else replace(task, path=None)  # type: ignore[type-var]


@contextmanager
def in_turn(path: Path | None) -> Iterator[None]:
    """Within, no other process of this machine makes what will stand at a path."""
    if path is None:
        yield
        return
    # A few locks serve for all: two processes that wait for one seldom want different files.
    number = int(hashlib.sha256(path.name.encode()).hexdigest(), 16) % TURNS
    with locked(path.parent, f"making-{number}", wait=True):
        yield
