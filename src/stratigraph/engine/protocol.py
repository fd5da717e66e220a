"""Where tasks run: the one interface of every engine.

A task is a picklable function of one picklable value. It is idempotent (done twice, it leaves the
same files), coarse (seconds, not milliseconds) and passes paths, not arrays. An engine yields an
`Outcome` for each task as it ends, keeps a bounded number in flight, and never lets one task's
failure end the others.
"""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from stratigraph.engine.words import Hear

__all__ = [
    "Deaths",
    "Engine",
    "Failure",
    "Outcome",
    "progress_of",
    "raised",
    "title_of",
]


def progress_of(task: Any) -> Any:
    """How far a task has come, where it can say (``task.progress()``): anything comparable.

    A task whose process dies is sent again, a few times; the count begins anew when it has got
    further in between.
    """
    tell = getattr(task, "progress", None)
    return tell() if callable(tell) else None


def title_of(function: Callable[[Any], Any], task: Any, index: int, total: int | None) -> str:
    """What a task is called where a person looks for it: in a cluster's dashboard.

    A task may say it itself (``task.label``: "train beta=4 seed=1 (3f2a)"), or what kind it is of
    (``task.kind``), and is then numbered: "compare block 12 of 40".
    """
    label = getattr(task, "label", None)
    if label:
        return str(label)
    words = getattr(task, "kind", None) or function.__name__.removesuffix("_task").strip("_")
    return f"{words} {index + 1}" + ("" if total is None else f" of {total}")


class Deaths:
    """How often each task's process has died in a row, without progress in between."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, int]] = {}

    def __contains__(self, index: int) -> bool:
        return index in self._known

    def count(self, index: int, task: Any) -> int:
        """One more death of task number ``index``: how many that makes."""
        before, count = self._known.get(index, (None, 0))
        now = progress_of(task)
        self._known[index] = now, count + 1 if now == before else 1
        return self._known[index][1]


@dataclass(frozen=True)
class Failure:
    """Why a task has no value: it ``raised``, or its process was ``killed``."""

    kind: Literal["raised", "killed"]
    message: str
    traceback: str = ""
    error: BaseException | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of task number ``index``: a value or a failure, never both."""

    index: int
    value: Any = None
    failure: Failure | None = None


@runtime_checkable
class Engine(Protocol):
    """Maps a function over tasks, somewhere."""

    name: str
    workers: int

    def map(
        self,
        function: Callable[[Any], Any],
        tasks: Iterable[Any],
        *,
        tick: Callable[[], None] | None = None,
        heard: Hear | None = None,
    ) -> Iterator[Outcome]:
        """Yield an outcome for each task, in the order in which they end.

        Args:
            function: importable by name in another process.
            tasks: read lazily; at most a few per worker are in flight.
            tick: called a few times a second while waiting, to draw progress.
            heard: called with (a task's number, facts) for what tasks in progress `tell`.

        """
        ...


def raised(error: BaseException) -> Failure:
    """The failure of a task that raised; without the error, if no other process could load it."""
    text = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # what was just made
        kept: BaseException | None = error
    except Exception:  # a class of the user's, with an __init__ of its own
        kept = None
    return Failure("raised", f"{type(error).__name__}: {error}", text, kept)
