"""The engine of one machine: single-threaded processes, one for each core.

On small networks one thread a process beats several threads in one (measured: 130 against 44 to 58
model-steps in the same time), and it makes the bits of a run independent of how many run at once.
With one worker the tasks run in this process, under the same one thread.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread
from typing import Any

from stratigraph.engine.loop import TICK_SECONDS, Death, Pending, run_tasks
from stratigraph.engine.pools import STOP, Pools, signals_blocked
from stratigraph.engine.protocol import Failure, Outcome, raised
from stratigraph.engine.stop import listening, stopping
from stratigraph.engine.words import Hear, Mailbox, post_to, speaking
from stratigraph.errors import ConfigError
from stratigraph.machine import count_cores, one_thread_each

__all__ = ["LocalEngine", "one_thread"]

MOST_WORKERS = 1024


class LocalEngine:
    """Runs tasks in ``workers`` processes of one thread each.

    Args:
        workers: number of processes; ``None`` takes one for each core this process may use.

    Raises:
        ConfigError: fewer than 1 or more than 1,024 workers.

    """

    name = "local"

    def __init__(self, workers: int | None = None) -> None:
        cores = count_cores()
        self.workers = cores if workers is None else workers
        if not 1 <= self.workers <= MOST_WORKERS:
            raise ConfigError(
                f"workers: expected 1 to {MOST_WORKERS}, got {workers}; "
                f"this machine has {cores} cores."
            )
        self._pools = Pools(self.workers)
        weakref.finalize(self, self._pools.close)

    def map(
        self,
        function: Callable[[Any], Any],
        tasks: Iterable[Any],
        *,
        tick: Callable[[], None] | None = None,
        heard: Hear | None = None,
    ) -> Iterator[Outcome]:
        """See `Engine.map`."""
        with listening():
            if self.workers == 1:
                yield from _in_process(function, tasks, tick, heard)
            else:
                processes = _Processes(function, self._pools, heard is not None)
                yield from run_tasks(processes, tasks, tick, heard)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch, BLAS and OpenMP on one thread within: the order of sums follows from it."""
    from threadpoolctl import threadpool_limits

    with one_thread_each(), threadpool_limits(1, user_api="openmp"):
        yield


def _in_process(
    function: Callable[[Any], Any],
    tasks: Iterable[Any],
    tick: Callable[[], None] | None,
    heard: Hear | None,
) -> Iterator[Outcome]:
    with _ticking(tick):
        for index, task in enumerate(tasks):
            if stopping():
                return
            try:
                with one_thread(), speaking(partial(heard, index) if heard else None):
                    value = function(task)
                yield Outcome(index, value=value)
            except Exception as error:
                yield Outcome(index, failure=raised(error))


@contextmanager
def _ticking(tick: Callable[[], None] | None) -> Iterator[None]:
    """Within, a thread ticks; after it, nothing is drawn."""
    if tick is None:
        yield
        return
    over = Event()

    def until_over() -> None:
        while not over.wait(TICK_SECONDS):
            tick()

    thread = Thread(target=until_over, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class _Processes:
    """Processes of this machine, as `stratigraph.engine.loop.Workers`."""

    attempts = 2

    def __init__(self, function: Callable[[Any], Any], pools: Pools, heard: bool) -> None:
        self._function, self._pools, self._pool = function, pools, pools.take()
        self._mailbox = Mailbox() if heard else None

    def room(self, suspects: bool) -> int:
        # After a death the suspects run alone, so that only the killer is blamed twice.
        return 1 if suspects else 2 * self._pools.workers

    def submit(self, index: int, task: Any, again: bool) -> Future | None:
        from loky.process_executor import BrokenProcessPool

        address = self._mailbox.address if self._mailbox else None
        try:
            with signals_blocked():  # a process that is born here has them blocked
                return self._pool.executor.submit(_do_task, self._function, task, index, address)
        except BrokenProcessPool:  # one has died since the last look
            return None

    def wait(self, pending: Mapping[Future, Any]) -> Iterable[Future]:
        return wait(pending, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED)[0]

    def take(self, handle: Future) -> tuple[Any, Failure | None] | Death:
        from loky.process_executor import BrokenProcessPool

        error = handle.exception()
        if isinstance(error, BrokenProcessPool):
            return Death(f"out of memory, or a signal: {error}")
        return handle.result() if error is None else (None, raised(error))

    def renew(self) -> bool:
        self._pool.end()
        self._pool = self._pools.start()
        return True

    def hear(self) -> Iterable[tuple[int, dict[str, Any]]]:
        return self._mailbox.read() if self._mailbox else ()

    def stop(self, pending: Pending) -> None:
        for future in list(pending):
            if future.cancel():
                del pending[future]
        for process in list(self._pool.executor._processes.values()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, STOP)

    def close(self, pending: Pending, whole: bool) -> None:
        if whole:
            self._pools.give_back(self._pool)
        else:
            self._pool.end()
        if self._mailbox:
            self._mailbox.close()


def _do_task(
    function: Callable[[Any], Any], task: Any, index: int, address: str | None
) -> tuple[Any, Failure | None]:
    """One task, in a worker that can speak of it: its value, or its failure."""
    try:
        with speaking(post_to(address, index)):
            return function(task), None
    except Exception as error:
        return None, raised(error)
