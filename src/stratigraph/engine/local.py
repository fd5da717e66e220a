"""The engine of one machine: single-threaded processes, one for each core.

On small networks one thread a process beats several threads in one (measured: 130 against 44 to 58
model-steps in the same time), and it makes the bits of a run independent of how many run at once.
With one worker the tasks run in this process, under the same one thread.

The processes outlive a map: to start them and to import torch takes each of them seconds of its
core, and a study is a few dozen maps. They are those of one engine, and end with it; a map that was
stopped, abandoned or lost one of them ends all, and so does a change of what they were born with.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from stratigraph.engine.protocol import Deaths, Failure, Outcome
from stratigraph.engine.stop import SIGNALS, ask_to_stop, listening, stopping
from stratigraph.engine.words import Hear, Mailbox, post_to, speaking
from stratigraph.errors import ConfigError
from stratigraph.plugins import loaded_files

__all__ = ["LocalEngine", "one_thread"]

TICK_SECONDS = 0.25
ATTEMPTS = 2  # a task whose process dies twice without progress is the killer, not the victim
MOST_WORKERS = 1024
STOP = signal.SIGUSR1  # from parent to worker: stop after this step


class LocalEngine:
    """Runs tasks in ``workers`` processes of one thread each.

    Args:
        workers: number of processes; ``None`` takes one for each core this process may use.

    Raises:
        ConfigError: fewer than 1 or more than 1,024 workers.

    """

    name = "local"
    apart = False

    def __init__(self, workers: int | None = None) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self.workers = (cores or 1) if workers is None else workers
        if not 1 <= self.workers <= MOST_WORKERS:
            raise ConfigError(
                f"workers: expected 1 to {MOST_WORKERS}, got {workers}; "
                f"this machine has {cores} cores."
            )
        self._pools = _Pools(self.workers)
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

    def everywhere(self, function: Callable[[Any], Any], task: Any) -> None:
        """See `Engine.everywhere`."""
        function(task)


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
    over = Event()
    if tick is not None:
        Thread(target=_tick_until, args=(over, tick), daemon=True).start()
    try:
        for index, task in enumerate(tasks):
            if stopping():
                return
            try:
                with one_thread(), speaking(partial(heard, index) if heard else None):
                    value = function(task)
                yield Outcome(index, value=value)
            except Exception as error:
                yield Outcome(index, failure=raised(error))
    finally:
        over.set()


def _tick_until(over: Event, tick: Callable[[], None]) -> None:
    while not over.wait(TICK_SECONDS):
        tick()


def _in_processes(
    function: Callable[[Any], Any],
    tasks: Iterable[Any],
    pools: _Pools,
    tick: Callable[[], None],
    heard: Hear | None,
) -> Iterator[Outcome]:
    from loky.process_executor import BrokenProcessPool, TerminatedWorkerError

    workers = pools.workers
    queue = enumerate(tasks)
    retry: list[tuple[int, Any]] = []
    deaths = Deaths()
    pending: dict[Future, tuple[int, Any]] = {}
    mailbox = Mailbox() if heard else None
    address = mailbox.address if mailbox else None
    pool, whole = pools.take(), False
    try:
        while True:
            if stopping():
                _stop(pool.executor, pending)
                if not pending:
                    return
            # After a death the suspects run alone, so that only the killer is blamed twice.
            room = 1 - len(pending) if retry else 2 * workers - len(pending)
            room = 0 if stopping() else max(room, 0)
            batch = retry[:room] if retry else list(islice(queue, room))
            del retry[: len(batch)]
            broken = False
            for index, task in batch:
                try:
                    with _signals_blocked():  # a process that is born here has them blocked
                        sent = pool.executor.submit(_told, function, task, index, address)
                except BrokenProcessPool:  # one has died since the last look: this never began
                    broken = True
                    retry.append((index, task))
                else:
                    pending[sent] = (index, task)
            if not (pending or broken):
                whole = not stopping()  # what was asked to stop would stop the next map's tasks too
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
                if isinstance(error, TerminatedWorkerError):
                    broken = True
                    if deaths.count(index, task) >= ATTEMPTS:
                        yield Outcome(index, failure=Failure("killed", _death(error)))
                    else:
                        retry.append((index, task))
                elif error is not None:
                    yield Outcome(index, failure=raised(error))
                else:
                    yield Outcome(index, value=future.result())
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


def _told(function: Callable[[Any], Any], task: Any, index: int, address: str | None) -> Any:
    """One task, in a worker that can speak of it."""
    with speaking(post_to(address, index)):
        return function(task)


def _stop(pool: Any, pending: dict[Future, tuple[int, Any]]) -> None:
    """Take back what has not begun, and ask the workers to stop where they can."""
    for future in list(pending):
        if future.cancel():
            del pending[future]
    for process in list(pool._processes.values()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, STOP)


@contextmanager
def _signals_blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*SIGNALS, STOP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass(frozen=True)
class _Pool:
    """Processes, and what they were born with."""

    executor: Any
    surroundings: tuple[Any, ...]

    def end(self, wait: bool = True) -> None:
        self.executor.shutdown(wait=wait, kill_workers=True)


class _Pools:
    """The processes of one engine: at rest between two of its maps, or in use by one of them."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._at_rest: _Pool | None = None
        self._turn = Lock()

    def take(self) -> _Pool:
        """Those at rest, or new ones where there are none, or none that would do."""
        with self._turn:
            pool, self._at_rest = self._at_rest, None
        if pool is None:
            return self.start()
        # One that died at rest, by the system's hand, has broken the pool before anything was lost.
        if pool.surroundings == _surroundings() and pool.executor._flags.broken is None:
            return pool
        if pool.surroundings[0] == os.getpid():  # and not its parent's
            pool.end()
        return self.start()

    def start(self) -> _Pool:
        """New ones."""
        from loky.process_executor import ProcessPoolExecutor

        threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        # A worker that does another kind of task than its first has not leaked what that takes.
        env = {**dict.fromkeys(threads, "1"), "LOKY_MAX_MEMORY_LEAK_SIZE": "1e15"}
        executor = ProcessPoolExecutor(self.workers, env=env, initializer=_start_worker)
        return _Pool(executor, _surroundings())

    def give_back(self, pool: _Pool) -> None:
        """Let them rest, unless others do."""
        with self._turn:
            if self._at_rest is None:
                self._at_rest = pool
                return
        pool.end()

    def close(self) -> None:
        """End those at rest; called when their engine is collected, which can be at any point."""
        pool, self._at_rest = self._at_rest, None
        if pool is not None and pool.surroundings[0] == os.getpid():
            pool.end(wait=False)


def _surroundings() -> tuple[Any, ...]:
    """Whose they are, where relative paths lead, and what is imported."""
    return os.getpid(), Path.cwd(), dict(os.environ), tuple(sys.path), loaded_files()


def _start_worker() -> None:
    # Ctrl-C goes to the whole process group, and so may SIGTERM: the parent alone decides what they
    # mean, and says so by a signal of its own. All were blocked until here.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(STOP, ask_to_stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*SIGNALS, STOP})
    import torch

    torch.set_num_threads(1)
    Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this worker when its parent is gone: an orphan would hold its run's lock for hours."""
    while os.getppid() == parent:
        time.sleep(TICK_SECONDS)
    os._exit(1)


def raised(error: BaseException) -> Failure:
    text = "".join(traceback.format_exception(error))
    return Failure("raised", f"{type(error).__name__}: {error}", text, error)


def _death(error: BaseException) -> str:
    return f"the worker process died twice on this task (out of memory, or a signal): {error}"
