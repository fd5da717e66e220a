"""A run that is killed goes on with the bits of one that was not."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stratigraph.errors import BusyError, ConfigError
from stratigraph.records import locked
from stratigraph.stages import train_run
from stratigraph.stages.trainer import train
from stratigraph.training import RunConfig

SOURCE = Path(__file__).parents[2] / "src"

# Trains with a checkpoint at every step, and kills itself by SIGKILL after the given checkpoint.
KILLED = """
import importlib, json, os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
module = importlib.import_module("stratigraph.stages.trainer")
from stratigraph.training import RunConfig
module.CHECKPOINT_SECONDS = -1
save, left = module.save_checkpoint, [int(sys.argv[3])]
def counted(*arguments):
    save(*arguments)
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
module.save_checkpoint = counted
module.train_run(Path(sys.argv[1]), RunConfig.from_dict(json.loads(sys.argv[2])))
"""


def config(architecture: str, objective: dict | None = None) -> RunConfig:
    return RunConfig(
        data={"name": "sprites", "size": 32, "cache": False},
        objective=objective or {"name": "beta_tc_vae", "beta": 4},
        reconstruction="gaussian" if objective == {"name": "sigma_vae"} else "bernoulli",
        architecture=architecture,
        steps=9,
        snapshots=(0, 4, 9),
        batch_size=8,
        validation_images=16,
        log_every=2,
        learning_rate=1e-3,
    )


def results(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".safetensors", ".parquet") or path.name == "manifest.json"
    }


def kill_after(folder: Path, run: RunConfig, checkpoint: int) -> None:
    from stratigraph.identity import canonical

    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), canonical(run.to_dict()), str(checkpoint)],
        check=False,
        env={"PYTHONPATH": str(SOURCE), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


# Those with something of their own to go on with; the others are in tests/training/test_loop.py.
FACTOR = {"name": "factor_vae", "gamma": 10, "layers": 2, "units": 16}
MORE = [
    ("fully_connected", None),
    ("convolutional", {"name": "sigma_vae"}),
    ("convolutional", {"name": "vq_vae", "codes": 8}),
]


@pytest.mark.parametrize(
    ("architecture", "objective"),
    [
        ("convolutional", None),
        pytest.param("convolutional", FACTOR, marks=pytest.mark.full),
        *(pytest.param(*one, marks=pytest.mark.crash) for one in MORE),
    ],
)
def test_killed_twice_and_gone_on(architecture, objective, tmp_path):
    run = config(architecture, objective)
    train_run(tmp_path / "whole", run)
    kill_after(tmp_path / "killed", run, 3)
    kill_after(tmp_path / "killed", run, 3)
    state = train_run(tmp_path / "killed", run)
    assert state["state"] == "done"
    assert results(tmp_path / "killed") == results(tmp_path / "whole")
    assert len(results(tmp_path / "whole")) == 2 * 3 + 2


def test_what_a_kill_left_half_written_is_removed(tmp_path):
    run = config("convolutional")
    for place in ("snapshots/.new-000000004-0123", "checkpoint/.new-000000002-0123"):
        (tmp_path / "run" / place).mkdir(parents=True)
    train_run(tmp_path / "run", run)
    assert not list((tmp_path / "run").rglob(".new-*"))


def test_a_lost_snapshot_is_made_again(tmp_path):
    import shutil

    run = config("convolutional")
    train_run(tmp_path / "run", run)
    before = results(tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "snapshots" / "000000004")
    train_run(tmp_path / "run", run)
    assert results(tmp_path / "run") == before


def test_another_configuration_in_the_same_folder_is_refused(tmp_path):
    run = config("convolutional")
    train(run, tmp_path / "run")
    other = RunConfig.from_dict({**run.to_dict(), "seed": 1})
    with pytest.raises(ConfigError, match=f"holds run {run.run_id}, not {other.run_id}"):
        train(other, tmp_path / "run")


def test_a_second_trainer_is_told_who_trains(tmp_path):
    with locked(tmp_path / "run"), pytest.raises(BusyError, match=r"being written by pid \d+ on"):
        train_run(tmp_path / "run", config("convolutional"))
