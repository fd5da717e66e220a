"""Who kept the cores busy while something was timed: its own processes, or somebody else's.

A wall time says what a program costs only where nobody else ran beside it. So a benchmark takes,
from Linux's /proc, the CPU seconds of its own process and of all that descend from it, and those of
the whole machine; what is left over is others'.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CORES", "Timed", "own_seconds", "timed"]

CORES = len(os.sched_getaffinity(0))
LOOK_SECONDS = 1.0
TICKS = os.sysconf("SC_CLK_TCK")


def machine_seconds() -> float:
    """CPU seconds that all programs of this machine have taken, and other guests of its host."""
    user, nice, system, _, _, irq, softirq, steal, *_ = map(
        int, Path("/proc/stat").read_text().split("\n")[0].split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) / TICKS


def own_seconds() -> dict[tuple[int, str], float]:
    """CPU seconds of this process, and of each that descends from it, by id and time of birth."""
    parents, seconds = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            pid = int(entry.name)
            parents[pid] = int(fields[1])
            seconds[pid, fields[19]] = sum(map(int, fields[11:13])) / TICKS
    own = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in own} - own:
        own |= more
    return {process: taken for process, taken in seconds.items() if process[0] in own}


@dataclass
class Timed:
    """What something took: its wall time, its own CPU seconds, and others' meanwhile."""

    wall: float = 0.0
    own: float = 0.0
    others: float = 0.0

    @property
    def busy(self) -> float:
        """The share of all cores that its own processes had."""
        return self.own / self.wall / CORES

    @property
    def disturbed(self) -> float:
        """The share of all cores that others had."""
        return self.others / self.wall / CORES


@contextmanager
def timed() -> Iterator[Timed]:
    """Time what is done within.

    Processes are looked at each second, since one that ends leaves its account to nobody where its
    parent does not wait for it, as Ray's does not: the last second of each may be missing, and one
    that lives for less than that counts as others'.
    """
    found, over = Timed(), threading.Event()
    before = own_seconds()
    seen = dict(before)

    def watch() -> None:
        while not over.wait(LOOK_SECONDS):
            seen.update(own_seconds())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    wall, machine = time.perf_counter(), machine_seconds()
    try:
        yield found
    finally:
        found.wall = time.perf_counter() - wall
        found.others = machine_seconds() - machine
        over.set()
        watcher.join()
        seen.update(own_seconds())
        found.own = sum(seen.values()) - sum(before.values())
        found.others = max(found.others - found.own, 0.0)
