"""Signals as they come in a shell: to the whole group, through a pipe, to one worker alone."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stratigraph.cli.main import main
from stratigraph.home import find_home
from stratigraph.records import checkpoint_step
from stratigraph.stages import open_study
from stratigraph.study import Study, load_study

SOURCE = Path(__file__).parents[2] / "src"


def started(tmp_path: Path, tiny_file: Path, steps: int, **streams: object) -> subprocess.Popen:
    """`stratigraph train` with two workers on two runs, in a group of its own."""
    file = tmp_path / "study.yaml"
    text = tiny_file.read_text().replace("steps: 12", f"steps: {steps}")
    file.write_text(text.replace("beta: [1, 4]", "beta: [1]"))
    return subprocess.Popen(
        [sys.executable, "-m", "stratigraph", "train", file, "--out", tmp_path / "out",
         "--workers", "2"],
        env={"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"]},
        start_new_session=True,
        preexec_fn=lambda: signal.signal(  # noqa: PLW1509
            signal.SIGINT, signal.default_int_handler
        ),
        **streams,
    )  # fmt: skip


def study_of(tmp_path: Path, step: int) -> Study:
    """The study, once both of its runs have come so far."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if (tmp_path / "out" / "study.yaml").is_file():
            study = load_study(tmp_path / "out")
            if all(run.state["step"] >= step for run in study.runs.values()):
                return study
        time.sleep(0.02)
    raise AssertionError("it did not come about")


@pytest.mark.full
def test_ctrl_c_on_a_pipe_whose_reader_is_gone(tmp_path, tiny_file):
    """`stratigraph train … 2>&1 | tee log`: Ctrl-C ends tee as well."""
    reading, writing = os.pipe()
    process = started(tmp_path, tiny_file, 100_000, stdout=writing, stderr=writing)
    os.close(writing)
    study = study_of(tmp_path, 2)
    os.close(reading)
    os.killpg(process.pid, signal.SIGINT)
    process.wait(60)
    for run in study.runs.values():
        assert run.state["state"] == "stopped", run.state
        assert 0 < run.state["step"] == checkpoint_step(run.path)
    assert process.returncode == 130


@pytest.mark.full
def test_sigterm_to_one_worker_alone_stops_nothing(tmp_path, tiny_file):
    process = started(tmp_path, tiny_file, 150, stderr=subprocess.PIPE, text=True)
    study = study_of(tmp_path, 2)
    for run in study.runs.values():
        os.kill(run.state["pid"], signal.SIGTERM)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    assert [run.state["state"] for run in study.runs.values()] == ["done", "done"]


@pytest.mark.full
@pytest.mark.parametrize("deaf", [False, True])
def test_a_terminal_that_is_closed_saves_as_sigterm_does(tmp_path, tiny_file, deaf):
    """SIGHUP comes to all that runs in it, and nobody reads any more; nohup goes on."""
    controller, device = pty.openpty()
    file = tmp_path / "study.yaml"
    text = tiny_file.read_text().replace("steps: 12", "steps: 300" if deaf else "steps: 100000")
    file.write_text(text.replace("beta: [1, 4]", "beta: [1]"))

    def begin() -> None:
        os.setsid()
        os.close(os.open(os.ttyname(device), os.O_RDWR))  # the terminal of this session
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_IGN if deaf else signal.SIG_DFL)

    process = subprocess.Popen(
        [sys.executable, "-m", "stratigraph", "train", file, "--out", tmp_path / "out",
         "--workers", "2"],
        env={"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"], "TERM": "xterm"},
        preexec_fn=begin, stdin=device, stdout=device, stderr=device,  # noqa: PLW1509
    )  # fmt: skip
    os.close(device)

    def drain() -> None:
        with contextlib.suppress(OSError):
            while os.read(controller, 65536):
                pass

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    study = study_of(tmp_path, 2)
    os.killpg(process.pid, signal.SIGHUP)  # as the kernel does
    if not deaf:
        os.close(controller)
    process.wait(120)
    if deaf:
        assert process.returncode == 0
        os.close(controller)
        return
    assert process.returncode == 130
    for run in study.runs.values():
        assert run.state["state"] == "stopped", run.state
        assert 0 < run.state["step"] == checkpoint_step(run.path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_outside_of_tasks_is_told_in_a_line(number, tiny_study, monkeypatch, capsys):
    def hit(*_: object, **__: object) -> None:
        os.kill(os.getpid(), number)
        time.sleep(5)

    monkeypatch.setattr("stratigraph.report.write_report", hit)
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever started the tests
    # Of what starts the tests (nohup, a shell's &) it may have been inherited ignored.
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as stopped:
            main(["report", str(tiny_study.path), "--formats", "png"])
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
        signal.signal(signal.SIGINT, interrupt)
    assert stopped.value.code == 130
    told = capsys.readouterr().err
    assert told == "stratigraph: stopped; the same command resumes from here.\n"


def test_a_second_train_is_told_who_trains(tiny_file, tmp_path, capsys):
    study = open_study(tiny_file, tmp_path / "out")
    # As a first one holds it.
    with find_home(study.path).writing("train"), pytest.raises(SystemExit) as stopped:
        main(["train", str(study.path), "--quiet", "--workers", "1"])
    assert stopped.value.code == 5
    assert f"being written by pid {os.getpid()}" in capsys.readouterr().err


@pytest.mark.parametrize("terminal", [True, False])
def test_an_inherited_deaf_ear_hears_where_a_terminal_is(terminal):
    """`nohup stratigraph … &` stays deaf to Ctrl-C; the foreground of a terminal hears it."""
    program = (
        "import signal, sys; from stratigraph.cli.main import main\n"
        "try: main(['--version'])\nexcept SystemExit: pass\n"
        "print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    )
    controller, device = pty.openpty()

    def begin() -> None:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if terminal:  # the first that a leader of a session opens becomes the session's
            os.close(os.open(os.ttyname(device), os.O_RDWR))

    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"]},
        preexec_fn=begin, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,  # noqa: PLW1509
    )  # fmt: skip
    out, _ = process.communicate(timeout=120)
    os.close(controller)
    os.close(device)
    assert out.splitlines()[-1] == str(not terminal)
