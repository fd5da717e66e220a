"""The processes of the local engine: how they start, rest and end.

The processes outlive a map: to start them and to import torch takes each of them seconds of its
core, and a study is a few dozen maps. They are those of one engine, and end with it; a map that was
stopped, abandoned or lost one of them ends all, and so does a change of what they were born with.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from stratigraph.engine.stop import SIGNALS, ask_to_stop
from stratigraph.plugins import import_path, loaded_files

__all__ = ["STOP", "Pool", "Pools", "signals_blocked"]

LOOK_SECONDS = 0.25  # between two looks at whether the parent lives
STOP = signal.SIGUSR1  # from parent to worker: stop after this step


@dataclass(frozen=True)
class Pool:
    """Processes, and what they were born with."""

    executor: Any
    surroundings: tuple[Any, ...]

    def end(self, wait: bool = True) -> None:
        """Kill them."""
        self.executor.shutdown(wait=wait, kill_workers=True)


class Pools:
    """The processes of one engine: at rest between two of its maps, or in use by one of them."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._at_rest: Pool | None = None
        self._turn = Lock()

    def take(self) -> Pool:
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

    def start(self) -> Pool:
        """New ones."""
        from loky.process_executor import ProcessPoolExecutor

        threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        # A worker that does another kind of task than its first has not leaked what that takes.
        env = {**dict.fromkeys(threads, "1"), "LOKY_MAX_MEMORY_LEAK_SIZE": "1e15"}
        executor = ProcessPoolExecutor(
            self.workers, env=env, initializer=_start_worker, initargs=(os.getpid(), import_path())
        )
        return Pool(executor, _surroundings())

    def give_back(self, pool: Pool) -> None:
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
    return os.getpid(), Path.cwd(), dict(os.environ), tuple(import_path()), loaded_files()


def _start_worker(parent: int, path: list[str]) -> None:
    sys.path[:] = path  # without the folders of studies that were opened
    # Ctrl-C goes to the whole process group, and so may SIGTERM: the parent alone decides what they
    # mean, and says so by a signal of its own. All were blocked until here.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(STOP, ask_to_stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*SIGNALS, STOP})
    Thread(target=_end_with, args=(parent,), daemon=True).start()
    import torch

    torch.set_num_threads(1)


def _end_with(parent: int) -> None:
    """End this worker when its parent is gone: an orphan would hold its run's lock for hours."""
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os._exit(1)


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Within, no signal reaches this process; one that is born here begins in the same way."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*SIGNALS, STOP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
