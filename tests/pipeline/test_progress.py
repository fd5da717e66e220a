"""Bars on a terminal, lines elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from stratigraph.pipeline import Progress
from stratigraph.snapshots import sealed_json


def progress(terminal: bool) -> tuple[Progress, io.StringIO]:
    text = io.StringIO()
    return Progress(
        console=Console(file=text, force_terminal=terminal, width=80, highlight=False)
    ), text


@pytest.mark.parametrize("terminal", [True, False])
def test_counting(terminal):
    shown, text = progress(terminal)
    with shown.counting("extracting", 3) as counter:
        for _ in range(3):
            counter.advance()
            counter.bars.refresh()
    assert "extracting" in text.getvalue()
    assert ("100 %" if terminal else "3 of 3") in text.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_training_follows_the_states_that_runs_write(terminal, tiny_study, tmp_path):
    from dataclasses import replace

    shown, text = progress(terminal)
    runs = [replace(r, path=tmp_path / r.run_id) for r in tiny_study.runs.values()]
    for run in runs:
        run.path.mkdir()
    with shown.training(runs, runs[1:]) as watch:
        state = {"state": "running", "step": 6, "loss": 123.4, "steps_per_second": 2.5}
        (runs[1].path / "state.json").write_bytes(sealed_json(state))
        watch.update()
        watch.bars.refresh()
        if terminal:
            for part in ("4 runs", "beta_vae beta=1 seed 1", "loss 123.4", "2.5 steps/s"):
                assert part in text.getvalue()
        done = {"state": "diverged", "step": 7, "reason": "the loss was not finite"}
        (runs[1].path / "state.json").write_bytes(sealed_json(done))
        watch.ended(runs[1])
    assert "diverged 1/3" in text.getvalue().replace("\n", "")
    assert "the loss was not finite" in text.getvalue().replace("\n", " ")


def test_quiet_says_nothing(capsys):
    shown = Progress(quiet=True)
    shown.say("a")
    with shown.counting("b", 1) as counter:
        counter.advance()
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_signs_are_said_once_and_kept(tmp_path, monkeypatch):
    from stratigraph.pipeline import signs as signs_module
    from stratigraph.pipeline import train_run
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
        watch.update()
        watch.update()
        watch.ended(run)
    assert text.getvalue().count("units of encoder.dense1") == 1
