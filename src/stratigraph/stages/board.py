"""All runs of a study at a glance: how many are in which state, how fast, until when, what failed.

Numbers, then ink: `Board` takes what runs say of themselves and counts; `draw_board` lays it out on
one screen, however many runs there are: the counts, those in training, the last that failed.

Time left is what remains over the steps of the last minute, and never less than the slowest run in
training needs for itself.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from stratigraph.study import Run
from stratigraph.study.state import CUT_SHORT
from stratigraph.terminal import visible

__all__ = ["Board", "Line", "clock", "draw_board", "tell_board"]

BAD = (*CUT_SHORT, "failed", "killed")
STATES = ("training", "waiting", "done", "stopped", *BAD, "busy", "unknown")
WINDOW = 60.0  # seconds that a speed is taken over
FIRST = 3.0  # seconds before which the runs' own speeds are all there is
MOST_RUNS, MOST_FAILED = 16, 4  # rows
BAR = 16


@dataclass
class Line:
    """What is known of one run."""

    run_id: str
    label: str
    steps: int
    state: str = "waiting"
    step: int = 0
    speed: float = 0.0
    loss: float | None = None
    reason: str = ""

    @property
    def left(self) -> int:
        """Steps to go; none where no more will be taken."""
        return 0 if self.state in ("done", *BAD) else max(self.steps - self.step, 0)

    @property
    def seconds(self) -> float | None:
        """Time to go, at its own speed."""
        return self.left / self.speed if self.speed else None


class Board:
    """What is known of all runs of a study, and of how fast they go."""

    def __init__(self, runs: Sequence[Run], now: float) -> None:
        self.lines: dict[str, Line] = {}
        self.failed: list[str] = []  # in the order in which they did
        for run in runs:
            line = Line(run.run_id, run.config.label(short=True), run.config.steps)
            self.lines[run.run_id] = line
            state = run.state
            self._take(line, state)
            # What an interrupted process left behind; a run in training says so itself.
            if line.state not in ("done", *CUT_SHORT):
                line.state, line.reason = "waiting", ""
            if line.state in CUT_SHORT:
                self.failed.append(line.run_id)
        self.began = now
        self._past: deque[tuple[float, int]] = deque([(now, self.step)])

    def _take(self, line: Line, facts: Mapping[str, Any]) -> None:
        state = str(facts["state"])
        line.state = "training" if state == "running" else state
        line.step = int(facts["step"])
        line.speed = float(facts.get("steps_per_second", 0.0))
        line.loss = facts.get("loss")
        line.reason = str(facts.get("reason") or "")

    def heard(self, run_id: str, facts: Mapping[str, Any], now: float) -> None:
        """What a run in training says of itself."""
        self._take(self.lines[run_id], facts)
        self._past.append((now, self.step))
        while len(self._past) > 2 and self._past[1][0] <= now - WINDOW:
            self._past.popleft()

    def note_end(self, run_id: str, facts: Mapping[str, Any], now: float) -> None:
        """A run is over, or has stopped."""
        self.heard(run_id, facts, now)
        if self.lines[run_id].state in BAD:
            self.failed.append(run_id)

    @property
    def steps(self) -> int:
        """Steps of all runs."""
        return sum(line.steps for line in self.lines.values())

    @property
    def step(self) -> int:
        """Steps that are done, or that no run will take any more."""
        return self.steps - sum(line.left for line in self.lines.values())

    @property
    def training(self) -> list[Line]:
        """The runs in training."""
        return [line for line in self.lines.values() if line.state == "training"]

    def counts(self) -> dict[str, int]:
        """How many runs are in which state."""
        found = Counter(line.state for line in self.lines.values())
        order = [*STATES, *sorted(found.keys() - set(STATES))]
        return {state: found[state] for state in order if found[state]}

    def speed(self, now: float) -> float:
        """Steps per second of all runs together."""
        then, step = self._past[0]
        if now - then < FIRST:
            return sum(line.speed for line in self.training)
        return max(self.step - step, 0) / (now - then)

    def left(self, now: float) -> float | None:
        """Seconds until all runs are at their end; None while nobody knows."""
        speed = self.speed(now)
        if not speed:
            return None
        alone = [line.seconds for line in self.training if line.seconds is not None]
        return max([sum(line.left for line in self.lines.values()) / speed, *alone])


def clock(seconds: float | None) -> str:
    """A time to go, as a clock shows it: 0:07, 12:05, 3:01:30, 2 d 03 h."""
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24:02} h"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def tell_board(board: Board, now: float) -> str:
    """The board in one line, for where there is no screen."""
    share = 100 * board.step / max(board.steps, 1)
    counts = ", ".join(f"{count} {state}" for state, count in board.counts().items())
    speed = board.speed(now)
    fast = f", {speed:.1f} steps/s, {clock(board.left(now))} left" if speed else ""
    return f"training: {share:.0f} % of {board.steps:,} steps{fast}; {counts}"


def draw_board(board: Board, now: float, height: int, stopping: bool = False) -> RenderableType:
    """The board on a screen of so many rows."""
    head = Table.grid(padding=(0, 2))
    for _ in range(5):
        head.add_column(no_wrap=True)
    head.add_row(
        f"training {len(board.lines)} runs",
        ProgressBar(total=max(board.steps, 1), completed=board.step, width=BAR),
        f"{100 * board.step / max(board.steps, 1):3.0f} %",
        f"{board.speed(now):.1f} steps/s",
        f"{clock(board.left(now))} left",
    )
    counts = Text(visible("  " + " · ".join(f"{n} {state}" for state, n in board.counts().items())))
    parts: list[RenderableType] = [head, _one(counts)]
    if stopping:
        parts.append(_one(Text("  stopping: each run after its current step", style="yellow")))
    failed = board.failed[-MOST_FAILED:]
    # Header, counts, the line that stands for the rest, and one that stays free for the cursor.
    room = max(1, min(MOST_RUNS, height - 4 - len(failed) - stopping))
    training = board.training
    if training:
        parts.append(_runs(training[:room]))
    if len(training) > room:
        parts.append(_one(Text(f"  … and {len(training) - room} more in training", style="dim")))
    for run_id in failed[-max(1, height - 5) :]:
        line = board.lines[run_id]
        text = f"  {line.state}  {line.label} ({run_id[:4]}) at step {line.step}: {line.reason}"
        parts.append(_one(Text(visible(text), style="red")))
    return Group(*parts)


def _one(text: Text) -> Text:
    """A text on one row, cut where the screen ends."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _runs(lines: Sequence[Line]) -> Table:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for _ in range(5):
        rows.add_column(no_wrap=True, justify="right")
    for line in lines:
        rows.add_row(
            Text(visible(f"  {line.label} ({line.run_id[:4]})")),
            ProgressBar(total=line.steps, completed=line.step, width=BAR),
            f"{line.step:,}/{line.steps:,}",
            f"{line.speed:.1f}/s" if line.speed else "",
            "" if line.loss is None else f"loss {line.loss:.1f}",
            clock(line.seconds) if line.speed else "",
        )
    return rows
