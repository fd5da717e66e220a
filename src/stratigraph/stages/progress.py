"""What a person sees while the pipeline works: a live view on a terminal, plain lines elsewhere.

Elsewhere is a file, a pipe, a terminal that cannot move its cursor, and continuous integration
(``CI`` is set). All is written to standard error, so that what a command prints can be piped.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress as Bars, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column

from stratigraph.engine import stopping
from stratigraph.stages.board import Board, clock, draw_board, tell_board
from stratigraph.study import Run
from stratigraph.terminal import visible

__all__ = ["Counter", "Progress", "Watch"]

LINE_SECONDS = 15.0


class _Console(Console):
    """A console whose reader may go away: the work goes on.

    `2>&1 | tee`, and Ctrl-C ends tee; a terminal that is closed; a log on a disk that is full.
    """

    def _check_buffer(self) -> None:
        try:
            super()._check_buffer()
        except OSError:
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        self.quiet = True
        del self._buffer[:]


class Progress:
    """Says what is going on, on standard error or another console, or nothing when ``quiet``."""

    def __init__(self, quiet: bool = False, console: Console | None = None) -> None:
        self.console = console or _Console(stderr=True, quiet=quiet, highlight=False)
        self._bar: Bars | None = None
        self._showing = False

    @property
    def live(self) -> bool:
        """Whether what is drawn can be drawn over."""
        ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
        return self.console.is_terminal and not self.console.is_dumb_terminal and not ci

    @contextmanager
    def showing(self) -> Iterator[None]:
        """A stage: bars that callbacks open within are closed with it, however it ends."""
        before, self._showing = self._showing, True
        try:
            yield
        finally:
            self._showing = before
            self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(visible(text), markup=False, soft_wrap=True)

    @contextmanager
    def counting(self, what: str, total: int) -> Iterator[Counter]:
        """A bar over ``total`` equal pieces of work."""
        with self._bars() as bars:
            yield Counter(self, bars, bars.add_task(what, total=total, note=""), what, total)

    @contextmanager
    def training(self, runs: Sequence[Run], waiting: Sequence[Run]) -> Iterator[Watch]:
        """A board of all runs: their states, speeds, time left and failures."""
        watch = Watch(self, runs, waiting)
        if not self.live:
            yield watch
            return
        try:
            with Live(
                console=self.console,
                get_renderable=watch.draw,
                refresh_per_second=4,
                transient=True,
            ):
                yield watch
        finally:
            watch.close()

    def stage(self, what: str) -> Callable[[int, int], None]:
        """A callback (pieces done, pieces in all): a bar, or a line now and then."""
        last = time.monotonic()
        task: TaskID | None = None

        def draw(done: int, total: int) -> None:
            nonlocal task
            if task is None:
                self._close()
                self._bar = self._bars()
                self._bar.start()
                task = self._bar.add_task(what, total=total, note="")
            if self._bar is not None:
                self._bar.update(task, completed=done, note=f"{done} of {total} blocks")
            if done == total:
                self._close()

        def report(done: int, total: int) -> None:
            nonlocal last
            if self.live and self._showing:
                draw(done, total)
                return
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
            disable=not self.live,
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
        if not self.progress.live and (self.done == self.total or now - self.last > LINE_SECONDS):
            self.last = now
            seconds = now - self.began
            self.progress.say(f"{self.what}: {self.done} of {self.total}, {seconds:.0f} s")


class Watch:
    """Follows the runs in training by what they say: a live board, or a line now and then."""

    def __init__(self, progress: Progress, runs: Sequence[Run], waiting: Sequence[Run]) -> None:
        self.progress, self.waiting = progress, waiting
        self.last = time.monotonic()
        self.board = Board(runs, self.last)
        self.over = 0
        self.signs: dict[str, set[str]] = {}

    def draw(self) -> RenderableType:
        """The board, as it is drawn on the console now."""
        height = self.progress.console.size.height
        return draw_board(self.board, time.monotonic(), height, stopping())

    def update(self) -> None:
        """Where nothing is drawn: a line, if it is time for one."""
        now = time.monotonic()
        if not self.progress.live and now - self.last > LINE_SECONDS:
            self.last = now
            self.progress.say(tell_board(self.board, now))

    def heard(self, run: Run, facts: dict[str, Any]) -> None:
        """What a run in training says of itself."""
        self._warn(run, facts)
        self.board.heard(run.run_id, facts, time.monotonic())

    def note_end(self, run: Run, facts: Mapping[str, Any], reason: str = "") -> None:
        """One run is over."""
        self._warn(run, facts)
        self.over += 1
        why = reason or str(facts.get("reason") or "")
        self.board.note_end(run.run_id, {**facts, "reason": why}, time.monotonic())
        # On a screen the counts say that runs are done; what went wrong is told when it closes.
        if not self.progress.live:
            self._tell_end(f"{facts['state']} {self.over}/{len(self.waiting)}", run.run_id, why)

    def _warn(self, run: Run, facts: Mapping[str, Any]) -> None:
        """Say the early warnings of a run that have not been said."""
        said = self.signs.setdefault(run.run_id, set())
        for sign in facts.get("signs", ()):
            if sign not in said:
                said.add(sign)
                self.progress.say(f"{run.run_id}  {sign}")

    def close(self) -> None:
        """The board is gone from the screen: leave what should be read later."""
        ended = {run.run_id for run in self.waiting}
        for run_id in self.board.failed if self.progress.live else ():
            line = self.board.lines[run_id]
            if run_id in ended:
                self._tell_end(f"{line.state} at step {line.step}", run_id, line.reason)
        if self.waiting and self.progress.live:
            counts = ", ".join(f"{n} {state}" for state, n in self.board.counts().items())
            took = clock(time.monotonic() - self.board.began)
            self.progress.say(f"training: {counts}, in {took}")

    def _tell_end(self, what: str, run_id: str, why: str) -> None:
        label = next(run.config.label() for run in self.waiting if run.run_id == run_id)
        self.progress.say(f"{what}  {run_id}  {label}{f': {why}' if why else ''}")
