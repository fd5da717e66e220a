"""A live view on a terminal, lines elsewhere; what a person sees of three hundred runs."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field, replace

import pytest
from rich.console import Console

from stratigraph.engine import LocalEngine
from stratigraph.stages import Progress, progress as module, run_stage
from stratigraph.stages.board import Board, clock, draw_board, tell_board
from stratigraph.study import load_study


@pytest.fixture(autouse=True)
def no_ci(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def progress(terminal: bool) -> tuple[Progress, io.StringIO]:
    text = io.StringIO()
    return Progress(
        console=Console(file=text, force_terminal=terminal, width=80, highlight=False)
    ), text


@dataclass(frozen=True)
class Config:
    name: str
    steps: int = 1000

    def label(self, short=False):
        return self.name


@dataclass(frozen=True)
class FakeRun:
    run_id: str
    config: Config
    state: dict = field(default_factory=lambda: {"state": "waiting", "step": 0})


def runs(count: int) -> list[FakeRun]:
    return [FakeRun(f"{i:04x}00000000", Config(f"vae seed {i}")) for i in range(count)]


def seen(board: Board, now: float, height: int = 24, width: int = 80, stopping=False) -> list[str]:
    """The rows of the screen."""
    text = io.StringIO()
    console = Console(file=text, width=width, height=height, color_system=None)
    console.print(draw_board(board, now, height, stopping))
    return text.getvalue().rstrip("\n").split("\n")


def training(step: int, speed: float = 10.0, loss: float = 123.4) -> dict:
    return {"state": "running", "step": step, "loss": loss, "steps_per_second": speed}


def test_three_hundred_runs_on_one_screen():
    some = runs(300)
    board = Board(some, 0.0)
    for run in some[:100]:
        board.note_end(run.run_id, {"state": "done", "step": 1000}, 5.0)
    for run in some[100:110]:
        board.note_end(
            run.run_id, {"state": "failed", "step": 7, "reason": f"why {run.run_id[:4]}"}, 6.0
        )
    board.note_end(some[110].run_id, {"state": "diverged", "step": 9, "reason": "not finite"}, 7.0)
    board.note_end(some[111].run_id, {"state": "stopped", "step": 500, "reason": "asked"}, 7.0)
    for run in some[120:160]:
        board.heard(run.run_id, training(250), 10.0)
    for height in (8, 12, 24, 60):
        rows = seen(board, 10.0, height)
        assert len(rows) < height
        assert all(len(row) <= 80 for row in rows)
        assert "training 300 runs" in rows[0]
        assert rows[1].strip() == (
            "40 training · 148 waiting · 100 done · 1 stopped · 1 diverged · 10 failed"
        )
    rows = seen(board, 10.0, 24)
    shown = [row for row in rows if "vae seed 1" in row and "250/1,000" in row]
    assert "vae seed 120 (0078)" in shown[0]
    for part in ("10.0/s", "loss 123.4", "1:15"):
        assert part in shown[0]
    assert f"… and {40 - len(shown)} more in training" in "\n".join(rows)
    # The last failures, each with its reason; those before are told when the view closes.
    assert rows[-1].strip() == "diverged  vae seed 110 (006e) at step 9: not finite"
    assert "failed  vae seed 109 (006d) at step 7: why 006d" in rows[-2]
    assert "why 0064" not in "\n".join(rows)
    assert "stopping" in "\n".join(seen(board, 10.0, stopping=True))


def test_speed_and_time_left():
    board = Board(runs(4), 0.0)
    ids = list(board.lines)
    assert board.left(0.0) is None
    board.heard(ids[0], training(10), 1.0)
    board.heard(ids[1], training(10), 1.0)
    assert board.speed(1.0) == 20.0  # by what they say: there is no history yet
    for second in range(2, 101):
        board.heard(ids[0], training(10 * second), float(second))
        board.heard(ids[1], training(10 * second), float(second))
    # 2 000 steps are done of 4 000, at 20 a second over the last minute.
    assert board.speed(100.0) == pytest.approx(20.0, rel=0.02)
    assert board.left(100.0) == pytest.approx(100.0, rel=0.02)
    # The last run's own speed bounds the end, whatever others did in the last minute.
    for run_id in ids[:3]:
        board.note_end(run_id, {"state": "done", "step": 1000}, 101.0)
    board.heard(ids[3], training(100, speed=2.0), 102.0)
    assert board.left(102.0) == pytest.approx(450.0)
    assert board.step == 3100


def test_runs_that_failed_are_not_waited_for():
    board = Board(runs(2), 0.0)
    one, two = board.lines
    board.note_end(one, {"state": "failed", "step": 3, "reason": "x"}, 1.0)
    board.heard(two, training(500), 10.0)
    assert board.left(10.0) == pytest.approx(50.0)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "-:--"), (7, "0:07"), (725, "12:05"), (10_890, "3:01:30"), (183_600, "2 d 03 h")],
)
def test_clock(seconds, shown):
    assert clock(seconds) == shown


def test_what_an_interrupted_run_left_behind_is_waiting():
    (run,) = runs(1)
    board = Board([replace(run, state={"state": "running", "step": 300, "pid": 1})], 0.0)
    assert board.counts() == {"waiting": 1}
    assert board.step == 300
    assert tell_board(board, 0.0) == "training: 30 % of 1,000 steps; 1 waiting"


@pytest.mark.parametrize("terminal", [True, False])
def test_counting(terminal):
    shown, text = progress(terminal)
    with shown.counting("extracting", 3) as counter:
        for _ in range(3):
            counter.advance()
            counter.bars.refresh()
    assert "extracting" in text.getvalue()
    assert ("100 %" if terminal else "3 of 3") in text.getvalue()


@pytest.mark.parametrize("terminal", [True, pytest.param(False, marks=pytest.mark.full)])
def test_a_study_is_followed_while_it_trains(terminal, tiny_file, tmp_path, monkeypatch):
    """By two processes, or by this one; their words reach the view."""
    from stratigraph.stages import open_study

    monkeypatch.setattr(module, "LINE_SECONDS", 0.0)
    shown, text = progress(terminal)
    study = open_study(tiny_file, tmp_path / "out")
    heard = []
    take = Board.heard
    monkeypatch.setattr(Board, "heard", lambda *a: (heard.append(a[2]), take(*a))[1])
    run_stage("train", study, LocalEngine(2 if terminal else 1), shown)
    said = text.getvalue()
    assert {facts["state"] for facts in heard} == {"running", "done"}
    assert {
        state["state"] for state in (r.state for r in load_study(study.path).runs.values())
    } == {"done"}
    if terminal:
        assert "training 4 runs" in said
        assert "training: 4 done, in 0:" in said
    else:
        assert "\x1b" not in said
        assert said.count("done ") >= 4
        assert "done 4/4" in said
        assert re.search(r"training: \d+ % of 48 steps.*; .*\d (training|waiting|done)", said)


def test_failures_are_told_when_the_view_closes(tiny_study):
    shown, text = progress(terminal=True)
    some = list(tiny_study.runs.values())
    waiting = [replace(run, path=run.path / "nowhere") for run in some]
    with shown.training(waiting, waiting) as watch:
        watch.heard(waiting[0], training(3))
        watch.note_end(waiting[0], {"state": "failed", "step": 3}, "ValueError: no\nsuch thing")
        watch.note_end(waiting[1], {"state": "done", "step": 12})
    said = text.getvalue()
    last = said[said.rindex("failed at step 3") :].replace("\n", "")
    assert waiting[0].run_id in last
    assert "ValueError: no\\nsuch thing" in last
    assert "training: 2 waiting, 1 done, 1 failed" in last


@pytest.mark.parametrize(("ci", "live"), [("true", False), ("1", False), ("false", True)])
def test_continuous_integration_gets_lines(monkeypatch, ci, live):
    monkeypatch.setenv("CI", ci)
    assert progress(terminal=True)[0].live is live
    monkeypatch.delenv("CI")
    monkeypatch.setenv("TERM", "dumb")
    assert progress(terminal=True)[0].live is False


def test_blocks_are_a_bar_within_a_stage_and_lines_outside():
    shown, text = progress(terminal=True)
    with shown.showing():
        blocks = shown.stage("comparing")
        blocks(1, 2)
        assert shown._bar is not None
        shown._bar.refresh()
        blocks(2, 2)
        assert shown._bar is None
        blocks = shown.stage("comparing more")
        blocks(1, 2)  # and then an error comes
    assert shown._bar is None
    assert "1 of 2 blocks" in text.getvalue()
    shown.stage("later")(2, 2)
    assert "later: 2 of 2 blocks" in text.getvalue()


def test_quiet_says_nothing(capsys, tiny_study):
    shown = Progress(quiet=True)
    shown.say("a")
    with shown.counting("b", 1) as counter:
        counter.advance()
    some = list(tiny_study.runs.values())
    with shown.training(some, some) as watch:
        watch.note_end(some[0], {"state": "failed", "step": 3}, "no")
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_signs_are_said_once_and_kept(tmp_path, monkeypatch):
    from stratigraph.stages import signs as signs_module, train_run
    from stratigraph.study import Run, read_state
    from stratigraph.training import RunConfig

    config = RunConfig(
        data={"name": "sprites", "size": 32, "cache": False}, objective={"name": "vae"}, steps=2,
        architecture="fully_connected", snapshots=(0, 2), validation_images=8, batch_size=4,
    )  # fmt: skip
    # Every layer is called dead: what is told, and where, is what is looked at here.
    monkeypatch.setattr(signs_module, "constant_share", lambda activation: 0.75)
    train_run(tmp_path / "run", config)
    signs = read_state(tmp_path / "run")["signs"]
    assert (
        "step 0: dead layer: 75% of the units of encoder.dense1 answer every probe alike" in signs
    )
    assert len(signs) == len(set(signs))
    run = Run(tmp_path / "run", config)
    shown, text = progress(False)
    with shown.training([run], [run]) as watch:
        watch.heard(run, run.state)
        watch.heard(run, run.state)
        watch.note_end(run, run.state)
    assert text.getvalue().count("units of encoder.dense1") == 1
