"""The one loop of every engine that sends tasks to other processes: submit, listen, retry, stop.

A process that dies takes its task along, or several. Each is sent again, as often as the engine
says without progress in between; then it is the killer, not the victim, and its outcome says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from stratigraph.engine.protocol import Deaths, Failure, Outcome
from stratigraph.engine.stop import stopping
from stratigraph.engine.words import Hear

__all__ = ["TICK_SECONDS", "Death", "Pending", "Workers", "run_tasks"]

TICK_SECONDS = 0.25

Pending = dict[Any, tuple[int, Any]]  # handle → a task's number and the task


@dataclass(frozen=True)
class Death:
    """The process of a task is gone, and what is known of that."""

    reason: str


class Workers(Protocol):
    """Processes that do tasks: what the loop asks of an engine."""

    attempts: int  # deaths in a row, without progress in between, after which a task is given up

    def room(self, suspects: bool) -> int:
        """How many tasks may be with them at once; ``suspects``: some have died with theirs."""
        ...

    def submit(self, index: int, task: Any, again: bool) -> Hashable | None:
        """Send a task: what it is known by; None if the processes are gone, and it never began."""
        ...

    def wait(self, pending: Mapping[Any, Any]) -> Iterable[Any]:
        """Those that are done, after `TICK_SECONDS` at the latest."""
        ...

    def take(self, handle: Any) -> tuple[Any, Failure | None] | Death:
        """What came of one that is done: its value, or its failure."""
        ...

    def renew(self) -> bool:
        """After a death: whether all others that were sent are gone too, and have to be again."""
        ...

    def hear(self) -> Iterable[tuple[int, dict[str, Any]]]:
        """What tasks told since the last time."""
        ...

    def stop(self, pending: Pending) -> None:
        """Ask tasks to stop where they can, and take those back that have not begun."""
        ...

    def close(self, pending: Pending, whole: bool) -> None:
        """It is over, with these still out; ``whole``: every task had its turn."""
        ...


def run_tasks(
    workers: Workers,
    tasks: Iterable[Any],
    tick: Callable[[], None] | None,
    heard: Hear | None,
) -> Iterator[Outcome]:
    """An outcome for each task, in the order in which they end (`Engine.map`)."""
    queue = enumerate(tasks)
    again: list[tuple[int, Any]] = []
    pending: Pending = {}
    deaths = Deaths()
    told = whole = False
    try:
        while True:
            told = told or stopping()
            if told:
                workers.stop(pending)
            suspects = bool(again) or any(index in deaths for index, _ in pending.values())
            room = 0 if told else max(workers.room(suspects) - len(pending), 0)
            batch = again[:room]
            del again[:room]
            batch += itertools.islice(queue, room - len(batch))
            died = False
            for index, task in batch:
                handle = workers.submit(index, task, index in deaths)
                if handle is None:
                    died = True
                    again.append((index, task))
                else:
                    pending[handle] = index, task
            if not (pending or died):
                if told and not stopping():  # it was taken back: nobody further out raises
                    raise KeyboardInterrupt
                whole = not told  # such workers would stop the next map's tasks
                return
            done = workers.wait(pending)
            if heard is not None:
                there = {index for index, _ in pending.values()}
                for index, facts in workers.hear():
                    if index in there:
                        heard(index, facts)
            if tick is not None:
                tick()
            for handle in done:
                index, task = pending.pop(handle)
                found = workers.take(handle)
                if not isinstance(found, Death):
                    yield Outcome(index, *found)
                    continue
                died = True
                count = deaths.count(index, task)
                if count < workers.attempts:
                    again.append((index, task))
                else:
                    text = f"its process died {count} times on this task without progress"
                    yield Outcome(index, failure=Failure("killed", f"{text}: {found.reason}"))
            if died and workers.renew():
                again.extend(pending.values())
                pending.clear()
            again.sort(key=lambda entry: entry[0])
    finally:
        workers.close(pending, whole)
