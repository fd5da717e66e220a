"""Asked to stop, a run keeps the step that it is at; what goes on from there has the same bits."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stratigraph.engine import listening, stopping
from stratigraph.errors import ConfigError
from stratigraph.identity import canonical
from stratigraph.records import checkpoint_step, read_json, write_json
from stratigraph.stages import train_run
from stratigraph.stages.trainer import train
from stratigraph.study import read_state
from stratigraph.training import RunConfig

from .test_resume import SOURCE, config, results

ENDLESS = 100_000


def endless() -> RunConfig:
    return RunConfig.from_dict({**config("convolutional").to_dict(), "steps": ENDLESS,
                                "snapshots": [0, ENDLESS]})  # fmt: skip


def wait_for(what, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "workers"),
    [
        (signal.SIGINT, 2),
        pytest.param(signal.SIGTERM, 1, marks=pytest.mark.full),
        pytest.param(signal.SIGINT, 1, marks=pytest.mark.crash),
        pytest.param(signal.SIGTERM, 2, marks=pytest.mark.crash),
    ],
)
def test_one_signal_stops_with_everything_saved(tmp_path, workers, number):
    run = endless()
    script = Path(__file__).with_name("stopped.py")
    process = subprocess.Popen(
        [sys.executable, script, tmp_path / "run", canonical(run.to_dict()), str(workers)],
        env={"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"]},
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background of a shell ignores SIGINT; this one must not.
        preexec_fn=lambda: signal.signal(  # noqa: PLW1509
            signal.SIGINT, signal.default_int_handler
        ),
    )
    wait_for(lambda: read_state(tmp_path / "run")["step"] > 2)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert "stopping after the current step, with everything saved" in told
    assert "KeyboardInterrupt" in told
    state = read_state(tmp_path / "run")
    assert state["state"] == "stopped"
    assert 0 < state["step"] == checkpoint_step(tmp_path / "run") < ENDLESS
    assert "the same command resumes" in state["reason"]


def test_what_was_stopped_goes_on_with_the_same_bits(tmp_path, monkeypatch):
    run = config("convolutional")
    train_run(tmp_path / "whole", run)
    module = importlib.import_module("stratigraph.stages.trainer")
    for step in (0, 1, 5, 8):
        asked = iter([False] * (step if step < 2 else 3) + [True] + [False] * 99)
        monkeypatch.setattr(module, "stopping", lambda asked=asked: next(asked))
        state = train_run(tmp_path / "stopped", run)
        assert state["state"] == "stopped"
    monkeypatch.setattr(module, "stopping", lambda: False)
    assert train_run(tmp_path / "stopped", run)["state"] == "done"
    assert results(tmp_path / "stopped") == results(tmp_path / "whole")


def test_a_second_signal_ends_it_at_once():
    with pytest.raises(KeyboardInterrupt), listening():
        os.kill(os.getpid(), signal.SIGINT)
        wait_for(stopping)
        os.kill(os.getpid(), signal.SIGINT)
        wait_for(lambda: False, 5)
    assert not stopping()


def test_a_run_does_not_go_on_under_other_conditions(tmp_path, monkeypatch):
    run = config("convolutional")
    module = importlib.import_module("stratigraph.stages.trainer")
    asked = iter([False] * 3 + [True])
    monkeypatch.setattr(module, "stopping", lambda: next(asked))
    train_run(tmp_path / "run", run)
    monkeypatch.setattr(module, "stopping", lambda: False)
    path = tmp_path / "run" / "config.json"
    begun = read_json(path)
    conditions = {**begun["conditions"], "torch": "1.0", "data": "0123"}
    write_json(path, {**begun, "conditions": conditions})
    with pytest.raises(ConfigError, match=r"data was 0123 and is .*; torch was 1\.0 and is 2"):
        train(run, tmp_path / "run")
    assert read_state(tmp_path / "run")["state"] == "stopped"
    train(run, tmp_path / "run", allow_drift=True)
    held = read_json(path)
    assert held["conditions"] == conditions
    assert held["drift"] == [{"step": 3, "conditions": begun["conditions"]}]
    assert read_state(tmp_path / "run")["state"] == "done"
