"""Small files that mean more than a machine holds: counted and refused before anything is built."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stratigraph.errors import ConfigError
from stratigraph.study.grid import grid_runs, grid_size
from stratigraph.study.parse import MOST_HELD, load_config, parse_config
from stratigraph.study.yaml_file import MOST_BYTES, parse_yaml
from stratigraph.training import SnapshotSchedule
from stratigraph.training.schedule import MOST_SNAPSHOTS

SOURCE = Path(__file__).parents[2] / "src"
GRID = """
name: large
grid:
  data: sprites
  architecture: {architecture}
  objective: {objective}
  seed: {seed}
training: {{steps: {steps}}}
snapshots: {snapshots}
description: {description}
"""
LIST = str(list(range(1, 33)))
STRENGTHS = ", ".join(f"p{i}: {LIST}" for i in range(6))
LARGE = {
    "a product of strengths": {"objective": f"{{beta_vae: {{{STRENGTHS}}}}}"},
    "a product of options": {
        "architecture": f"{{encoder: {{name: vit, {STRENGTHS}}}, decoder: convolutional}}"
    },
    "nested architectures": {
        "architecture": "{encoder: " * 40 + "[a, b]" + ", decoder: [a, b, c]}" * 40
    },
    "many seeds": {"seed": str(list(range(9000)))},
    "even snapshots": {"snapshots": "{kind: even, count: 1000000}"},
    "log snapshots": {"snapshots": "{kind: log, count: 1000000, first: 1}"},
    "snapshots over all": {"seed": str(list(range(999))), "snapshots": "{kind: even, count: 9999}"},
    "a long description": {"description": "x" * 20_000_000},
    "values within values": {"seed": "[" * 20_000},
}


def written(folder: Path, **values: str) -> Path:
    known = {
        "architecture": "convolutional",
        "objective": "vae",
        "seed": "0",
        "steps": "1000000",
        "snapshots": "{}",
        "description": "large",
    }
    file = folder / "large.yaml"
    file.write_text(GRID.format(**(known | values)))
    return file


def test_they_are_refused_in_little_memory(tmp_path):
    """In a process of its own, in which 300 MB beyond its imports cannot be had."""
    files = []
    for name, values in LARGE.items():
        (tmp_path / name).mkdir()
        files.append(str(written(tmp_path / name, **values)))
    program = f"""
import resource
from stratigraph.errors import ConfigError
from stratigraph.study import load_config
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 300 * 2**20,) * 2)
for file in {files!r}:
    try:
        load_config(file)
        print(file, "was taken")
    except ConfigError as error:
        print(str(error)[:300].replace(chr(10), " "))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    words = ("runs, more than 1,000", "snapshots:", "a study file has at most", "YAML")
    told = done.stdout.splitlines()
    assert len(told) == len(LARGE), done.stdout
    for name, one in zip(LARGE, told, strict=True):
        assert any(word in one for word in words), f"{name}: {one}"


@pytest.mark.parametrize(
    "text",
    [
        "{data: sprites, objective: vae}",
        "{data: sprites, objective: {vae: , beta_vae: {beta: [1, 4]}}, seed: [0, 1, 2]}",
        "{data: [sprites, dsprites], objective: [vae, sigma_vae], latents: [4, 8]}",
        "{data: {name: sprites, size: 32}, objective: vae, architecture: [convolutional, "
        "{encoder: [vit, {name: fully_connected, depth: [2, 4]}], decoder: [vit, convolutional]}, "
        "{name: fully_connected, depth: [3, 5]}]}",
        "{data: sprites, objective: {annealed_vae: {c_max: [5, 25], gamma: [10, 100]}}}",
    ],
)
def test_what_is_counted_is_what_is_built(text):
    value = parse_yaml(text, "grid")
    training = {"steps": 10, "reconstruction": "bernoulli"}
    if "sigma_vae" in text:
        training["reconstruction"] = "gaussian"
    assert grid_size(value) == len(list(grid_runs("grid", value, training, {})))


def test_no_option_allows_more_runs_than_any_study_has():
    value = {"name": "x", "training": {"steps": 1}}
    value["grid"] = {"data": "sprites", "objective": "vae", "seed": list(range(MOST_HELD + 1))}
    with pytest.raises(ConfigError, match=r"grid: 10,001 runs, more than 10,000; make it small"):
        parse_config(value, max_runs=10**9)


def test_limits_are_told(tmp_path):
    with pytest.raises(ConfigError, match=f"at most {MOST_SNAPSHOTS} steps of a run can be kept"):
        SnapshotSchedule(tuple(range(MOST_SNAPSHOTS + 1)))
    assert len(SnapshotSchedule.evenly_spaced(MOST_SNAPSHOTS, 10**6).steps) == MOST_SNAPSHOTS
    file = written(tmp_path, description="x" * MOST_BYTES)
    with pytest.raises(ConfigError, match="a study file has at most 65,536"):
        load_config(file)
