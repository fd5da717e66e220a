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
from stratigraph.home import load_study
from stratigraph.stages import open_study, run_stage, run_study
from stratigraph.testing.engines import say_and_wait

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
        if path.is_file()
        and path.name not in ("state.json", "config.json", "current.json", ".lock")
    }


@pytest.mark.full
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


@pytest.mark.full
def test_a_map_goes_on_when_what_tasks_speak_to_dies(ray_engine, tmp_path):
    names = [tmp_path / f"heard-{number}" for number in range(4)]
    killed = []

    def hear(index, facts):
        if not killed:
            killed.append(index)
            ray.kill(ray_engine._the_board(), no_restart=False)
        names[index].touch()

    values = {o.index: o.value for o in ray_engine.map(say_and_wait, names, heard=hear)}
    assert values == {i: name.name for i, name in enumerate(names)}
    assert killed


@pytest.mark.full
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
    with pytest.raises(ConfigError, match=r"a task asks for 1 cores and 4 GPUs"):
        kind(workers=1, gpus=4)


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

    fallen: dict[str, int] = {}  # the step at which a run's last worker was killed

    def kill_workers() -> None:
        while not over.wait(0.3):
            # One that has kept a snapshot since: five deaths without would end its run, rightly.
            found = {
                run.run_id: run.state
                for run in study.runs.values()
                if run.state["state"] == "running"
                and run.state["step"] > fallen.get(run.run_id, -5) + 10
            }
            if found and killed["workers"] < 20:
                victim = shuffled.choice(sorted(found))
                try:
                    os.kill(found[victim]["pid"], signal.SIGKILL)
                except ProcessLookupError:
                    continue
                killed["workers"] += 1
                fallen[victim] = found[victim]["step"]

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


WHOLE = """
import sys, time
import ray
from stratigraph.cli.main import main
ray.init(address=sys.argv[3], namespace="stratigraph", log_to_driver=False)
deadline = time.monotonic() + 120
while ray.cluster_resources().get("CPU", 0) < 2:
    assert time.monotonic() < deadline
    time.sleep(0.2)
main(["run", sys.argv[1], "--out", sys.argv[2], "--engine", "ray", "--address", sys.argv[3],
      "--quiet"])
"""
NODE = 'mount --bind "$1" "$2" && exec "$3" start --address="$4" --num-cpus=1 --block'
READ = """
measures: [debiased_cka, {name: procrustes_similarity, pairs: [all]}]
ways: [corrected, published]
"""


def node_with_a_disk(disk: Path, place: Path, address: str) -> subprocess.Popen:
    """A node of one core that finds ``disk`` at ``place``, where others find something else."""
    program = Path(sys.executable).parent / "ray"
    command = ["unshare", "-m", "sh", "-c", NODE, "sh", disk, place, program, address]
    told = disk.with_suffix(".log")
    with told.open("w") as stream:
        node = subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True)
    deadline = time.monotonic() + 120
    while "block forever" not in told.read_text():
        assert node.poll() is None and time.monotonic() < deadline, told.read_text()
        time.sleep(0.1)
    return node


@pytest.mark.slow
def test_two_nodes_with_disks_of_their_own(tmp_path, monkeypatch, s3_url):
    """They see the store alone, and train; the driver does the rest, with the local bytes."""
    if subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("disks of their own take a mount namespace, which this user may not make")
    file = tmp_path / "two.yaml"
    text = TWELVE.replace("seed: [0, 1, 2]", "seed: [0]").replace("count: 41", "count: 3")
    text = text.replace("steps: 400", "steps: 20").replace("beta: [1, 4, 8]", "beta: 1")
    file.write_text(text.replace("measures: [debiased_cka]", READ))
    local = run_study(file, tmp_path / "local", engine=LocalEngine(2))

    work = tmp_path / "work"  # in each namespace another disk's
    work.mkdir()
    cluster = cluster_of(monkeypatch, 0)
    nodes, disks = [], [tmp_path / "disk-0", tmp_path / "disk-1"]
    try:
        for disk in disks:  # one after the other: two that start at once may choose one port
            disk.mkdir()
            nodes.append(node_with_a_disk(disk, work, cluster.address))
        driver = subprocess.run(
            [sys.executable, "-c", WHOLE, file, s3_url, cluster.address],
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert driver.returncode == 0, driver.stderr
    finally:
        for node in nodes:
            os.killpg(node.pid, signal.SIGTERM)
            node.wait()
        cluster.shutdown()
    there = load_study(s3_url)
    assert results(there.path) == results(local.path)
    assert there.findings == local.findings
    for disk in disks:
        assert list(disk.glob("*/runs/*/snapshots/*/manifest.json"))
        assert not list(disk.glob("*/runs/*/representations*/*/manifest.json"))


@pytest.mark.full
@pytest.mark.parametrize("answers", [True, False])
def test_an_address_without_a_cluster_is_told_at_once(tiny_file, tmp_path, answers):
    """Also where something else answers there; without Ray's own log, and no folder is begun."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        if not answers:
            listening.close()
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "stratigraph", "run", tiny_file, "--out", tmp_path / "out",
             "--engine", "ray", "--address", address],
            capture_output=True, text=True, check=False, timeout=120,
            env={"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"]},
        )  # fmt: skip
    assert done.returncode == 2
    assert time.monotonic() - began < 40  # ten seconds, and Python and Ray loaded on a busy machine
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "nothing answers at" in done.stderr or "no cluster answers at" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.full
@pytest.mark.parametrize("workers", [None, 2])
def test_more_than_the_cluster_has_is_told_at_once(ray_engine, workers):
    from stratigraph.engine.ray import RayEngine

    with pytest.raises(ConfigError, match=r"a task asks for 50 cores and 0 GPUs, and the cluster"):
        RayEngine("auto", workers, cpus=50)


@pytest.mark.full
def test_an_interrupt_is_heard_while_all_tasks_wait(ray_engine, tmp_path):
    """Others hold all cores: what waits for one is taken back."""
    gate = tmp_path / "gate"

    def hold(path: Path) -> None:
        while not path.exists():
            time.sleep(0.05)

    held = [ray.remote(hold).options(num_cpus=1).remote(gate) for _ in range(2)]
    while ray.available_resources().get("CPU", 0):
        time.sleep(0.05)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    began = time.monotonic()
    interrupt = threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT))
    try:
        interrupt.start()
        with pytest.raises(KeyboardInterrupt):
            list(ray_engine.map(abs, [1, 2, 3]))
        assert time.monotonic() - began < 15
    finally:
        interrupt.cancel()
        signal.signal(signal.SIGINT, before)
        gate.write_text("")
        ray.get(held)
    assert sorted(one.value for one in ray_engine.map(abs, [-1, -2])) == [1, 2]
