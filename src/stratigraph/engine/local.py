"""The engine of one machine: single-threaded processes, one for each core.

On small networks one thread a process beats several threads in one (measured: 130 against 44 to 58
model-steps in the same time), and it makes the bits of a run independent of how many run at once.
With one worker the tasks run in this process, under the same one thread.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from functools import partial
from itertools import islice
from threading import Event, Thread
from typing import Any

from stratigraph.engine.pools import STOP, Pools, signals_blocked
from stratigraph.engine.protocol import Deaths, Failure, Outcome, raised
from stratigraph.engine.stop import listening, stopping
from stratigraph.engine.words import Hear, Mailbox, post_to, speaking
from stratigraph.errors import ConfigError

__all__ = ["LocalEngine", "one_thread"]

TICK_SECONDS = 0.25
ATTEMPTS = 2  # a task whose process dies twice without progress is the killer, not the victim
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
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self.workers = (cores or 1) if workers is None else workers
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
        if self.workers == 1:
            outcomes = _in_process(function, tasks, tick, heard)
        else:
            outcomes = _in_processes(function, tasks, self._pools, tick or (lambda: None), heard)
        with listening():
            yield from outcomes


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch and BLAS on one thread within: the order of sums, hence the bits, depend on it."""
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


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


def _in_processes(
    function: Callable[[Any], Any],
    tasks: Iterable[Any],
    pools: Pools,
    tick: Callable[[], None],
    heard: Hear | None,
) -> Iterator[Outcome]:
    from loky.process_executor import BrokenProcessPool

    workers = pools.workers
    queue = enumerate(tasks)
    retry: list[tuple[int, Any]] = []
    deaths = Deaths()
    pending: dict[Future, tuple[int, Any]] = {}
    mailbox = Mailbox() if heard else None
    address = mailbox.address if mailbox else None
    pool, told, whole = pools.take(), False, False
    try:
        while True:
            told = told or stopping()
            if told:
                _stop(pool.executor, pending)
                if not pending:
                    if not stopping():  # it was taken back meanwhile: nobody further out raises
                        raise KeyboardInterrupt
                    return
            # After a death the suspects run alone, so that only the killer is blamed twice.
            alone = retry or any(index in deaths for index, _ in pending.values())
            room = 1 - len(pending) if alone else 2 * workers - len(pending)
            room = 0 if told else max(room, 0)
            batch = retry[:room] if retry else list(islice(queue, room))
            del retry[: len(batch)]
            broken = False
            for index, task in batch:
                try:
                    with signals_blocked():  # a process that is born here has them blocked
                        sent = pool.executor.submit(_told, function, task, index, address)
                except BrokenProcessPool:  # one has died since the last look: this never began
                    broken = True
                    retry.append((index, task))
                else:
                    pending[sent] = (index, task)
            if not (pending or broken):
                whole = True  # and not told to stop: such workers would stop the next map's tasks
                return
            done, _ = wait(pending, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED)
            if mailbox and heard:
                there = {index for index, _ in pending.values()}
                for index, facts in mailbox.read():
                    if index in there:
                        heard(index, facts)
            tick()
            for future in done:
                index, task = pending.pop(future)
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    broken = True
                    if deaths.count(index, task) >= ATTEMPTS:
                        yield Outcome(index, failure=Failure("killed", _death(error)))
                    else:
                        retry.append((index, task))
                elif error is not None:
                    yield Outcome(index, failure=raised(error))
                else:
                    value, failure = future.result()
                    yield Outcome(index, value, failure)
            if broken:
                retry.extend(pending.values())
                pending.clear()
                retry.sort(key=lambda entry: entry[0])
                pool.end()
                pool = pools.start()
    finally:
        if whole:
            pools.give_back(pool)
        else:
            pool.end()
        if mailbox:
            mailbox.close()


def _told(
    function: Callable[[Any], Any], task: Any, index: int, address: str | None
) -> tuple[Any, Failure | None]:
    """One task, in a worker that can speak of it: its value, or its failure."""
    try:
        with speaking(post_to(address, index)):
            return function(task), None
    except Exception as error:
        return None, raised(error)


def _stop(pool: Any, pending: dict[Future, tuple[int, Any]]) -> None:
    """Take back what has not begun, and ask the workers to stop where they can."""
    for future in list(pending):
        if future.cancel():
            del pending[future]
    for process in list(pool._processes.values()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, STOP)


def _death(error: BaseException) -> str:
    return f"the worker process died twice on this task (out of memory, or a signal): {error}"
