"""Tasks of stored representations that another machine can do, as `stratigraph.engine.Portable`.

Such a machine has the representations, fetched for it, and a folder of its own where the sender has
its scratch. What is made there of representations (vectors, directions) is made once on each
machine, by the first of its tasks that needs it, since to move it would cost as much; where the
disk is short, in memory. What comes of a task is its value.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from stratigraph.errors import StorageError
from stratigraph.similarity.blocks import Source, loaded, put
from stratigraph.snapshots import locked

__all__ = ["OfPairs", "OfRepresentations", "in_turn", "is_short", "made_here"]

LEFT = 0.05  # of another machine's disk, that stays free


@dataclass(frozen=True)
class OfRepresentations(ABC):
    """The half of such a task that does not depend on what it does.

    ``travels``: it was sent to a machine that may not have what the sender's has.
    """

    travels: bool = field(default=False, kw_only=True)
    writes: ClassVar[None] = None  # nothing that the sender would have to fetch

    @abstractmethod
    def stored(self) -> Iterable[Source]:
        """The representations that it is of."""

    @property
    def reads(self) -> tuple[Path, ...]:
        """The records that they stand in."""
        return tuple(dict.fromkeys(s.parent for s in self.stored() if isinstance(s, Path)))


@dataclass(frozen=True)
class OfPairs(OfRepresentations):
    """Such a task of a block of pairs.

    ``path``: where its scores are kept; None returns them.
    """

    kind: ClassVar[str] = "compare block"  # numbered, in a cluster's dashboard
    path: Path | None = field(kw_only=True)

    def away(self) -> Self | None:
        """The task whose scores come back; None where the file of an earlier call has them."""
        done = self.path is not None and loaded(self.path) is not None
        return None if done else replace(self, path=None, travels=True)


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Within, no other process of this machine makes what will stand at a path."""
    with locked(path.parent, f"making-{path.stem}", wait=True):
        yield


def made_here(path: Path, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of a file of this machine; made now if there are none, and kept if they fit."""
    found = loaded(path)
    if found is None and is_short(path.parent):
        return make()
    if found is None:
        with in_turn(path):
            found = loaded(path)
            if found is None:
                found = make()
                with suppress(StorageError):
                    put(path, found)
    return found


def is_short(folder: Path) -> bool:
    """Whether a disk that is others' too has little room left."""
    there = shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists()))
    return there.free < LEFT * there.total
