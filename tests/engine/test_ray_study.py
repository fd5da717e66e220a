"""A study on Ray is the local engine's, byte for byte, whatever is killed in the middle of it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stratigraph.engine import LocalEngine
from stratigraph.errors import ConfigError
from stratigraph.pipeline import open_study, run_stage
from stratigraph.study import load_study

ray = pytest.importorskip("ray")

SOURCE = Path(__file__).parents[2] / "src"
STAGES = ("train", "extract", "compare")
TWELVE = """
name: twelve
grid:
  data: {name: sprites, size: 32, cache: false}
  objective:
    beta_vae: {beta: [1, 4, 8]}
    vae: {}
  latents: 4
  seed: [0, 1, 2]
training: {steps: 400, batch_size: 8, validation_images: 8, log_every: 100}
snapshots: {kind: even, count: 41}
probes: {count: 8}
activations: {layers: [input, z_mean, decoder.dense1]}
measures: [debiased_cka]
"""


def results(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for place in ("runs", "similarity", "probes")
        for path in sorted((folder / place).rglob("*"))
        if path.is_file() and path.name not in ("state.json", "config.json", ".lock")
    }


def test_a_small_study_is_the_local_one_s(tiny_study, tiny_file, tmp_path, ray_engine):
    study = open_study(tiny_file, tmp_path / "out")
    for stage in STAGES:
        run_stage(stage, study, ray_engine)
    wanted = {
        path: content
        for path, content in results(tiny_study.path).items()
        if "observed-" not in path and "representations-" not in path
    }
    assert results(study.path) == wanted
    assert [run.state["state"] for run in study.runs.values()] == ["done"] * 4


def test_a_study_at_a_url(tiny_study, tiny_file, tmp_path, monkeypatch, ray_engine):
    """Workers fetch and publish the runs; another machine then holds what a folder would."""
    url = f"file://{tmp_path}/store"
    monkeypatch.setenv("STRATIGRAPH_WORK", str(tmp_path / "here"))
    run_stage("train", open_study(tiny_file, url), ray_engine)
    monkeypatch.setenv("STRATIGRAPH_WORK", str(tmp_path / "there"))
    wanted = results(tiny_study.path)
    found = results(load_study(url).path)
    assert found == {path: wanted[path] for path in found}
    assert sum("/snapshots/" in path for path in found) == sum(
        "/snapshots/" in path for path in wanted
    )


def test_what_cannot_be(ray_engine):
    kind = type(ray_engine)
    with pytest.raises(ConfigError, match=r"cpus: expected a number of them for a task, got 0"):
        kind(cpus=0)
    with pytest.raises(ConfigError, match=r"a task asks for 64 cores and 0 GPUs, and the cluster"):
        kind(cpus=64)
    with pytest.raises(ConfigError, match=r"a task asks for 1 cores and 0\.5 GPUs"):
        kind(gpus=0.5)


def cluster_of(monkeypatch, *cores: int):
    """A cluster of this machine alone: a node for each number of cores."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", str(SOURCE))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cores[0]})
    for number in cores[1:]:
        cluster.add_node(num_cpus=number)
    cluster.wait_for_nodes()
    return cluster


DRIVER = """
import sys
from stratigraph.cli.main import main
main(["train", sys.argv[1], "--engine", "ray", "--address", sys.argv[2], "--quiet"])
"""


@pytest.mark.slow
def test_twelve_runs_with_workers_and_drivers_killed(tmp_path, monkeypatch):
    """20 workers and 5 drivers are killed; each run ends once, with the local engine's bytes."""
    file = tmp_path / "twelve.yaml"
    file.write_text(TWELVE)
    local = open_study(file, tmp_path / "local")
    run_stage("train", local, LocalEngine(2))

    cluster = cluster_of(monkeypatch, 2)
    study = open_study(file, tmp_path / "ray")
    shuffled, told = random.Random(0), tmp_path / "told"
    killed = {"workers": 0, "drivers": 0}
    over = threading.Event()

    def kill_workers() -> None:
        while not over.wait(0.3):
            running = [run.state for run in study.runs.values()]
            pids = [s["pid"] for s in running if s["state"] == "running" and s["step"] > 5]
            if pids and killed["workers"] < 20:
                try:
                    os.kill(shuffled.choice(pids), signal.SIGKILL)
                    killed["workers"] += 1
                except ProcessLookupError:
                    continue
                time.sleep(1.0)

    thread = threading.Thread(target=kill_workers)
    thread.start()
    try:
        deadline = time.monotonic() + 1500
        while True:
            assert time.monotonic() < deadline
            with told.open("w") as stream:
                driver = subprocess.Popen(
                    [sys.executable, "-c", DRIVER, study.path, cluster.address], stderr=stream
                )
            try:
                driver.wait(15 if killed["drivers"] < 5 else None)
                break
            except subprocess.TimeoutExpired:
                driver.kill()
                driver.wait()
                killed["drivers"] += 1
        assert driver.returncode == 0, told.read_text()
    finally:
        over.set()
        thread.join()
        cluster.shutdown()
    print(f"\nkilled: {killed}")
    assert killed == {"workers": 20, "drivers": 5}
    assert [run.state["state"] for run in load_study(study.path).runs.values()] == ["done"] * 12
    assert results(study.path) == results(local.path)


@pytest.mark.slow
def test_a_node_that_is_lost(tmp_path, monkeypatch):
    """Of three nodes one goes in the middle; the study ends, with the local engine's bytes."""
    file = tmp_path / "twelve.yaml"
    file.write_text(TWELVE.replace("seed: [0, 1, 2]", "seed: [0]"))
    local = open_study(file, tmp_path / "local")
    run_stage("train", local, LocalEngine(2))
    cluster = cluster_of(monkeypatch, 0, 1, 1)
    study = open_study(file, tmp_path / "ray")
    try:
        driver = subprocess.Popen(
            [sys.executable, "-c", DRIVER, study.path, cluster.address],
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 300
        while max(run.state["step"] for run in study.runs.values()) < 100:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        _, told = driver.communicate(timeout=600)
        assert driver.returncode == 0, told
    finally:
        cluster.shutdown()
    assert results(study.path) == results(local.path)
