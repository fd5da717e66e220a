"""Snapshots, checkpoints and the lock: errors that say what is there, no state half restored."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import stratigraph
from stratigraph.errors import BusyError, DataError, InputError, IntegrityError
from stratigraph.records import (
    checkpoint_step,
    load_checkpoint,
    load_snapshot,
    locked,
    remove_checkpoints,
    save_checkpoint,
    save_snapshot,
    snapshot_path,
    snapshot_steps,
    verified,
)

SOURCE = Path(stratigraph.__file__).parents[1]


def network(seed=0, width=3):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width))


def trained(steps, seed=0):
    """A network and its Adam after some updates."""
    model = network(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    for step in range(steps):
        optimiser.zero_grad()
        (model(torch.eye(4) * (step + 1)) ** 3).sum().backward()
        optimiser.step()
    return model, optimiser


def same(a, b):
    one, other = a.state_dict(), b.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def damage(file):
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def test_round_trip_of_a_snapshot(tmp_path):
    model, _ = trained(2)
    save_snapshot(tmp_path, 2, model, {"run": "abc"})
    other = network(seed=1)
    assert not same(model, other)
    load_snapshot(tmp_path, 2, other)
    assert same(model, other)  # buffers (of batch normalisation) included
    assert verified(snapshot_path(tmp_path, 2)) == {"step": 2, "run": "abc"}


def test_a_snapshot_that_is_there_stays(tmp_path):
    first, other = network(0), network(1)
    save_snapshot(tmp_path, 5, first, {})
    save_snapshot(tmp_path, 5, other, {})
    load_snapshot(tmp_path, 5, other)
    assert same(first, other)


def test_a_missing_step_lists_those_that_are_there(tmp_path):
    run = tmp_path / "abc123"
    with pytest.raises(InputError, match=r"^run abc123 has no snapshot at step 7; it has none\.$"):
        load_snapshot(run, 7, network())
    for step in (1000, 0, 20):
        save_snapshot(run, step, network(), {})
    (run / "snapshots" / "000000007").mkdir()  # without a manifest it is no record
    (run / "snapshots" / ".new-000000009-x").mkdir()
    assert snapshot_steps(run) == [0, 20, 1000]
    with pytest.raises(InputError, match=r"^run abc123 has .* step 7; it has 0, 20, 1000\.$"):
        load_snapshot(run, 7, network())


def test_another_model_is_refused_by_name(tmp_path):
    save_snapshot(tmp_path, 3, network(), {})
    path = snapshot_path(tmp_path, 3)
    for wrong in (network(width=5), nn.Sequential(nn.Linear(4, 3)), nn.Linear(4, 3)):
        text = rf"^{re.escape(str(path))}: its tensors do not fit the model: "
        with pytest.raises(DataError, match=text):
            load_snapshot(tmp_path, 3, wrong)


def test_a_damaged_snapshot_is_never_loaded(tmp_path):
    save_snapshot(tmp_path, 3, network(), {})
    file = snapshot_path(tmp_path, 3) / "weights.safetensors"
    damage(file)
    model, before = network(1), network(1)
    with pytest.raises(IntegrityError, match=re.escape(f"{file}: damaged; expected SHA-256")):
        load_snapshot(tmp_path, 3, model)
    assert same(model, before)


def restored(run):
    model, optimiser = trained(0, seed=9)
    step = load_checkpoint(run, model, optimiser)
    return step, model, optimiser


def test_a_checkpoint_replaces_the_one_before(tmp_path):
    assert checkpoint_step(tmp_path) is None
    assert restored(tmp_path)[0] is None
    for steps in (2, 3):
        save_checkpoint(tmp_path, steps, *trained(steps))
    assert [p.name for p in (tmp_path / "checkpoint").iterdir()] == ["000000003"]
    assert checkpoint_step(tmp_path) == 3
    step, model, optimiser = restored(tmp_path)
    want, want_optimiser = trained(3)
    assert step == 3
    assert same(model, want)
    for p, q in zip(model.parameters(), want.parameters(), strict=True):
        for name, value in want_optimiser.state[q].items():
            assert torch.equal(optimiser.state[p][name], value)
    remove_checkpoints(tmp_path)
    assert checkpoint_step(tmp_path) is None


@pytest.mark.parametrize("name", ["state.safetensors", "manifest.json"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, name):
    save_checkpoint(tmp_path, 2, *trained(2))
    older = tmp_path / "checkpoint" / "000000002"
    shutil.copytree(older, tmp_path / "kept")
    save_checkpoint(tmp_path, 3, *trained(3))
    shutil.copytree(tmp_path / "kept", older)  # as if stopped before the older one was dropped
    assert restored(tmp_path)[0] == 3
    damage(tmp_path / "checkpoint" / "000000003" / name)
    step, model, _ = restored(tmp_path)
    assert step == 2
    assert same(model, trained(2)[0])


def test_a_damaged_checkpoint_alone_is_a_run_from_the_start(tmp_path):
    save_checkpoint(tmp_path, 3, *trained(3))
    damage(tmp_path / "checkpoint" / "000000003" / "state.safetensors")
    step, model, optimiser = restored(tmp_path)
    assert step is None
    assert same(model, network(9))
    assert not optimiser.state


HOLD = """
import sys
from pathlib import Path
from stratigraph.records.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
TRY = """
import sys
from pathlib import Path
from stratigraph.errors import BusyError
from stratigraph.records.lock import locked
try:
    with locked(Path(sys.argv[1])):
        print("free")
except BusyError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def start(script, folder):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def test_a_second_process_is_told_who_writes(tmp_path):
    folder = tmp_path / "run"
    with locked(folder):
        process = start(TRY, folder)
        said, _ = process.communicate(timeout=120)
    assert process.returncode == BusyError.exit_code == 5
    assert said.strip() == (
        f"{folder} is being written by pid {os.getpid()} on {socket.gethostname()}; "
        "wait for it to end, or stop it."
    )


def test_the_lock_is_free_after_its_holder_dies(tmp_path):
    holder = start(HOLD, tmp_path)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=rf"is being written by pid {holder.pid} on "):
            locked(tmp_path).__enter__()
    finally:
        holder.kill()
        holder.communicate(timeout=120)
    with locked(tmp_path):
        text = (tmp_path / ".lock").read_text()
        assert text == f"pid {os.getpid()} on {socket.gethostname()}\n"


def test_the_lock_is_free_after_an_error_and_folders_are_apart(tmp_path):
    with pytest.raises(RuntimeError, match="stop"), locked(tmp_path / "a"):
        raise RuntimeError("stop")
    with locked(tmp_path / "a"), locked(tmp_path / "b"):
        with pytest.raises(BusyError), locked(tmp_path / "a"):
            pass
        # A refused writer must not free or rename what is held.
        with pytest.raises(BusyError, match=f"pid {os.getpid()} on"), locked(tmp_path / "a"):
            pass
    with locked(tmp_path / "a"):
        pass


def test_tied_weights_and_extra_state(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
            self.head.weight = self.embedding.weight
            self.note = {"calls": 1}

        def get_extra_state(self):
            return self.note

        def set_extra_state(self, state):
            self.note = state

    model, other = Tied(), Tied()
    save_snapshot(tmp_path, 3, model, {})
    load_snapshot(tmp_path, 3, other)
    assert torch.equal(other.embedding.weight, model.embedding.weight)
    assert other.head.weight is other.embedding.weight
    assert other.note == {"calls": 1}
