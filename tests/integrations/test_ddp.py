"""A training on two processes, recorded by one of them."""

import subprocess
import sys
from pathlib import Path

import torch

from stratigraph.study import load_study

from .trains_on_two import net


def test_one_of_two_processes_records(tmp_path):
    script = Path(__file__).with_name("trains_on_two.py")
    done = subprocess.run(
        [sys.executable, script, tmp_path], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    means = [torch.load(tmp_path / f"mean{rank}.pt") for rank in (0, 1)]
    assert torch.equal(*means)
    (run,) = load_study(tmp_path / "mine").runs.values()
    assert run.steps == [0, 2, 4]
    assert run.config.architecture == "Sequential"
    plain = net()
    run.load(plain, 4)  # the weights have the names of the network that was wrapped
