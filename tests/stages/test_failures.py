"""A run that fails ends alone, and says how: out of memory, killed, diverged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

from stratigraph.engine import LocalEngine
from stratigraph.identity import canonical
from stratigraph.stages import train_study
from stratigraph.stages.progress import Progress
from stratigraph.study import Run, load_study, read_state
from stratigraph.training import RunConfig

from .test_resume import SOURCE, config
from .test_stop import endless

# Trains with 300 MB more than the process has already; the batch takes more.
STARVED = """
import json, resource, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from stratigraph.stages import train_run
from stratigraph.training import RunConfig
config = RunConfig.from_dict(json.loads(sys.argv[2]))
train_run(Path(sys.argv[1]) / "fed", RunConfig.from_dict({**config.to_dict(), "batch_size": 8}))
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 300_000_000,) * 2)
try:
    train_run(Path(sys.argv[1]) / "starved", config)
except (MemoryError, RuntimeError) as error:
    print(type(error).__name__)
"""


def test_out_of_memory_is_a_failure_of_that_run(tmp_path):
    run = RunConfig.from_dict({**config("convolutional").to_dict(), "batch_size": 16_384})
    done = subprocess.run(
        [sys.executable, "-c", STARVED, tmp_path, canonical(run.to_dict())],
        env={"PYTHONPATH": str(SOURCE), "PATH": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    state = read_state(tmp_path / "starved")
    assert state["state"] == "failed"
    assert "memory" in state["reason"].lower()
    assert read_state(tmp_path / "fed")["state"] == "done"


def test_a_worker_that_is_killed_is_said_and_the_others_go_on(tiny_study, tmp_path):
    """SIGKILL in mid-step, each time that the run is started: twice, then it is given up."""
    victim, other = endless(), config("convolutional")
    runs = {c.run_id: Run(tmp_path / "runs" / c.run_id, c) for c in (victim, other)}
    study = replace(load_study(tiny_study.path), path=tmp_path, runs=runs)
    over = threading.Event()

    def kill() -> None:
        while not over.is_set():
            state = runs[victim.run_id].state
            if state["state"] == "running" and state["step"] > 1:
                os.kill(state["pid"], signal.SIGKILL)
                (runs[victim.run_id].path / "state.json").unlink()
            time.sleep(0.02)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        states = train_study(study, LocalEngine(2), Progress(quiet=True))
    finally:
        over.set()
        thread.join()
    assert [state["state"] for state in states] == ["killed", "done"]
    assert "died 2 times on this task" in states[0]["reason"]
    assert json.dumps(states)
    assert runs[other.run_id].steps == [0, 4, 9]
