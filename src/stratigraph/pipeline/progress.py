"""What a person sees while the pipeline works: live bars on a terminal, plain lines elsewhere.

Everything is written to standard error, so that what a command prints can be piped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Column

from stratigraph.study import Run

__all__ = ["Counter", "Progress", "Watch"]

LINE_SECONDS = 15.0


class _Console(Console):
    """A console whose reader may go away (`2>&1 | tee`, and Ctrl-C ends tee): the work goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class Progress:
    """Says what is going on, on standard error or another console, or nothing when ``quiet``."""

    def __init__(self, quiet: bool = False, console: Console | None = None) -> None:
        self.console = console or _Console(stderr=True, quiet=quiet, highlight=False)

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def counting(self, what: str, total: int) -> Iterator[Counter]:
        """A bar over ``total`` equal pieces of work."""
        with self._bars() as bars:
            yield Counter(self, bars, bars.add_task(what, total=total, note=""), what, total)

    @contextmanager
    def training(self, runs: Sequence[Run], waiting: Sequence[Run]) -> Iterator[Watch]:
        """A bar over the steps of all runs, and one for each run in progress."""
        with self._bars() as bars:
            yield Watch(self, bars, runs, waiting)

    def stage(self, what: str) -> Callable[[int, int], None]:
        """A callback (pieces done, pieces in all) that says so in a line now and then."""
        last = time.monotonic()

        def report(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if done == total or now - last > LINE_SECONDS:
                last = now
                self.say(f"{what}: {done} of {total} blocks")

        return report

    def _bars(self) -> Bars:
        return Bars(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[note]}", style="dim"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )


class Counter:
    """A bar over pieces of work; a line now and then where there is no terminal."""

    def __init__(self, progress: Progress, bars: Bars, task: TaskID, what: str, total: int) -> None:
        self.progress, self.bars, self.task = progress, bars, task
        self.what, self.total, self.done = what, total, 0
        self.began = self.last = time.monotonic()

    def advance(self, pieces: int = 1) -> None:
        """Some more pieces are done."""
        self.done += pieces
        self.bars.update(self.task, completed=self.done)
        now = time.monotonic()
        if not self.progress.console.is_terminal and (
            self.done == self.total or now - self.last > LINE_SECONDS
        ):
            self.last = now
            seconds = now - self.began
            self.progress.say(f"{self.what}: {self.done} of {self.total}, {seconds:.0f} s")


class Watch:
    """Follows the runs in training by the states that they write."""

    def __init__(
        self, progress: Progress, bars: Bars, runs: Sequence[Run], waiting: Sequence[Run]
    ) -> None:
        self.progress, self.bars, self.waiting = progress, bars, waiting
        self.before = sum(run.config.steps for run in runs if run not in waiting)
        self.total = sum(run.config.steps for run in runs)
        self.whole = bars.add_task(f"{len(runs)} runs", total=self.total, note="")
        self.tasks: dict[str, TaskID] = {}
        self.told: dict[str, set[str]] = {}
        self.began = self.last = time.monotonic()
        self.over = 0

    def update(self) -> None:
        """Read the states and draw them."""
        steps, speed = self.before, 0.0
        for run in self.waiting:
            state = run.state
            self._tell(run, state)
            steps += state["step"]
            if state["state"] != "running":
                continue
            speed += state.get("steps_per_second", 0.0)
            if run.run_id not in self.tasks:
                label = f"  {run.config.label(short=True)}"
                self.tasks[run.run_id] = self.bars.add_task(label, total=run.config.steps, note="")
            loss = state.get("loss")
            note = "" if loss is None else f"loss {loss:.1f}"
            self.bars.update(self.tasks[run.run_id], completed=state["step"], note=note)
        note = f"{speed:.1f} steps/s" if speed else ""
        self.bars.update(self.whole, completed=steps, note=note)
        now = time.monotonic()
        if not self.progress.console.is_terminal and now - self.last > LINE_SECONDS:
            self.last = now
            share = 100 * steps / max(self.total, 1)
            self.progress.say(f"training: {share:.0f} % of {self.total:,} steps, {note}")

    def _tell(self, run: Run, state: dict[str, Any]) -> None:
        """Say the early warnings of a run that have not been said."""
        told = self.told.setdefault(run.run_id, set())
        for sign in state.get("signs", ()):
            if sign not in told:
                told.add(sign)
                self.progress.say(f"{run.run_id}  {sign}")

    def ended(self, run: Run, reason: str = "") -> None:
        """One run is over."""
        self.over += 1
        state = run.state
        self._tell(run, state)
        if run.run_id in self.tasks:
            self.bars.remove_task(self.tasks.pop(run.run_id))
        why = reason or state.get("reason") or ""
        why = f": {why}" if why else ""
        self.progress.say(
            f"{state['state']} {self.over}/{len(self.waiting)}  {run.run_id}  "
            f"{run.config.label()}{why}"
        )
