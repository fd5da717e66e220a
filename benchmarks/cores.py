"""Who kept the cores busy while something was timed: its own processes, or somebody else's.

A wall time says what a program costs only where nobody else ran beside it. So a benchmark takes,
from Linux's /proc, the CPU seconds of its own process and of all that descend from it, ended ones
included, and those of the whole machine; what is left over is others'.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CORES", "Timed", "own_seconds", "timed"]

CORES = len(os.sched_getaffinity(0))
TICKS = os.sysconf("SC_CLK_TCK")


def machine_seconds() -> float:
    """CPU seconds that all programs of this machine have taken."""
    user, nice, system, *_ = Path("/proc/stat").read_text().split("\n")[0].split()[1:]
    return (int(user) + int(nice) + int(system)) / TICKS


def own_seconds() -> float:
    """CPU seconds of this process, of those that descend from it, and of those that have ended."""
    parents, seconds = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile, and is in its parent's account
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            pid = int(entry.name)
            parents[pid] = int(fields[1])
            seconds[pid] = sum(map(int, fields[11:15])) / TICKS
    own = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in own} - own:
        own |= more
    return sum(seconds[pid] for pid in own)


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
    """Time what is done within."""
    found = Timed()
    wall, own, machine = time.perf_counter(), own_seconds(), machine_seconds()
    yield found
    found.wall = time.perf_counter() - wall
    found.own = own_seconds() - own
    found.others = max(machine_seconds() - machine - found.own, 0.0)
