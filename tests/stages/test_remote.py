"""A study at a URL: the same bytes as in a folder, whoever goes on with it, wherever."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stratigraph.cli.main import main
from stratigraph.engine import LocalEngine
from stratigraph.errors import BusyError, DataError
from stratigraph.home import find_home, load_study
from stratigraph.records import write_json
from stratigraph.remote.home import work_place
from stratigraph.remote.inventory import create_next, read_newest
from stratigraph.remote.store import open_store
from stratigraph.report import report_path
from stratigraph.stages import open_study, run_stage, run_study
from stratigraph.stages.train import TrainTask, run_task

SOURCE = Path(__file__).parents[2] / "src"
STUDY = """
name: remote
grid:
  data: {name: sprites, size: 32, cache: false}
  architecture: convolutional
  objective:
    beta_vae: {beta: 1}
  latents: 3
  seed: [0]
training: {steps: 6, batch_size: 8, validation_images: 8, log_every: 2, validation: 0.001}
snapshots: {kind: explicit, steps: [0, 2, 6]}
probes: {count: 8}
activations: {layers: [input, z_mean, decoder.dense1]}
measures: [debiased_cka]
"""
STAGES = ("train", "extract", "compare")


@pytest.fixture(scope="module")
def study_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("remote") / "remote.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def whole(study_file) -> dict[str, bytes]:
    """What the study leaves in a folder, undisturbed."""
    study = open_study(study_file, study_file.parent / "whole")
    for stage in STAGES:
        run_stage(stage, study, LocalEngine(1))
    return results(study.path)


def results(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for place in ("runs", "similarity", "jackknife", "probes")
        for path in sorted((folder / place).rglob("*"))
        if path.is_file()
        and path.name not in ("state.json", "config.json", "current.json", ".lock")
    }


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Go to another machine: one that has no working copy of anything."""
    machines = iter(range(10))

    def go() -> None:
        monkeypatch.setenv("STRATIGRAPH_WORK", str(tmp_path / f"machine-{next(machines)}"))

    return go


def call(capsys, *arguments: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    shown = capsys.readouterr()
    return stopped.value.code or 0, shown.out + shown.err


def test_it_is_what_a_folder_holds_and_every_command_reads_it(
    study_file, store_url, whole, elsewhere, capsys
):
    workers = 2 if store_url.startswith("s3") else 1  # two: in processes of their own
    study = open_study(study_file, store_url)
    run_stage("train", study, LocalEngine(workers))
    elsewhere()
    for stage in STAGES:
        run_stage(stage, open_study(store_url), LocalEngine(1))
    elsewhere()
    assert results(load_study(store_url).path) == whole
    elsewhere()
    code, told = call(capsys, "list", store_url)
    assert code == 0
    assert "done   6/6   3" in told
    run_id = next(iter(study.runs))
    code, told = call(capsys, "show", store_url, run_id[:4])
    assert code == 0
    assert "snapshots  0, 2, 6" in told
    assert "latents    mig " in told
    # Weights were not fetched for that.
    assert not (work_place(store_url) / "runs" / run_id / "snapshots").exists()
    code, told = call(capsys, "verify", store_url)
    assert code == 0
    assert "all as they were written" in told
    code, told = call(capsys, "compare", store_url, "--quiet", "--explain", "--workers", 1)
    assert code == 0
    assert "debiased_cka" in told


def test_damage_is_told_and_repaired(study_file, store_url, whole, elsewhere, capsys):
    if store_url.startswith("s3"):
        pytest.skip("the same code on the other stores")
    run_stage("train", open_study(study_file, store_url), LocalEngine(1))
    store = open_store(store_url)
    run = store.names("runs")[0]

    def damage(step: int) -> None:
        folder = f"runs/{run}/snapshots/{step:09d}"
        (version,) = store.names(folder)
        store.put(f"{folder}/{version}/weights.safetensors", b"no weights")

    damage(2)
    code, told = call(capsys, "verify", store_url)
    assert code == 3
    assert f"damaged     {store_url}/runs/{run}/snapshots/000000002" in told
    code, told = call(capsys, "verify", store_url, "--repair")  # the working copy has it whole
    assert code == 0, told
    assert "repaired" in told
    assert call(capsys, "verify", store_url)[0] == 0
    damage(2)
    elsewhere()  # nobody has it whole
    code, told = call(capsys, "list", store_url)
    assert code == 0
    code, told = call(capsys, "report", store_url)
    assert code == 3
    assert "damaged; its bytes are not those" in told
    code, told = call(capsys, "verify", store_url, "--repair", "--json")
    assert code == 3
    assert [d["repaired"] for d in json.loads(told)["damaged"]] == [False]
    for stage in STAGES:
        run_stage(stage, open_study(store_url), LocalEngine(1))
    elsewhere()
    assert call(capsys, "verify", store_url)[0] == 0
    assert results(load_study(store_url).path) == whole


def test_another_machine_goes_on_where_one_was_stopped(
    study_file, store_url, whole, elsewhere, monkeypatch
):
    if store_url.startswith("s3"):
        pytest.skip("the same code on the other stores")
    module = importlib.import_module("stratigraph.stages.trainer")
    for steps in (3, 1):
        elsewhere()
        asked = iter([False] * steps + [True] + [False] * 99)
        monkeypatch.setattr(module, "stopping", lambda asked=asked: next(asked))
        study = open_study(study_file, store_url)
        run_stage("train", study, LocalEngine(1))
        assert next(iter(study.runs.values())).state["state"] == "stopped"
    monkeypatch.setattr(module, "stopping", lambda: False)
    elsewhere()
    begun = []
    real = module.load_checkpoint
    monkeypatch.setattr(module, "load_checkpoint", lambda *a: begun.append(real(*a)) or begun[-1])
    for stage in STAGES:
        run_stage(stage, open_study(store_url), LocalEngine(1))
    assert begun == [4]
    elsewhere()
    assert results(load_study(store_url).path) == whole


@pytest.mark.parametrize(
    ("number", "when", "same_machine"),
    [
        pytest.param(5, "before", True, marks=pytest.mark.full),
        pytest.param(4, "after", False, marks=pytest.mark.full),
        *(
            pytest.param(number, when, same, marks=pytest.mark.crash)
            for number in range(1, 9)
            for when in ("before", "after")
            for same in (True, False)
        ),
    ],
)
def test_killed_at_a_commit(study_file, tmp_path, whole, elsewhere, number, when, same_machine):
    url = f"file://{tmp_path}/store"
    elsewhere()
    script = Path(__file__).with_name("killed.py")
    killed = subprocess.run(
        [sys.executable, script, study_file, url, str(number), when],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    if not same_machine:
        elsewhere()
    for stage in STAGES:
        run_stage(stage, open_study(study_file, url), LocalEngine(1))
    elsewhere()
    assert results(load_study(url).path) == whole


def test_killed_before_the_study_s_file_was_published(study_file, tmp_path, elsewhere, monkeypatch):
    url = f"file://{tmp_path}/store"
    elsewhere()

    def die(*rest):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("stratigraph.remote.publication.create_next", die)
        with pytest.raises(KeyboardInterrupt):
            open_study(study_file, url)
    with pytest.raises(DataError, match="there is no study here"):
        load_study(url)
    open_study(study_file, url)
    elsewhere()
    assert len(load_study(url).runs) == 1


def test_a_second_driver_of_this_machine_is_told_who_trains(study_file, store_url, elsewhere):
    elsewhere()
    study = open_study(study_file, store_url)
    (run,) = study.runs.values()
    with (
        find_home(study.path).writing_run(run.path),
        pytest.raises(BusyError, match=rf"being written by pid {os.getpid()} on "),
    ):
        run_stage("train", open_study(study_file, store_url), LocalEngine(1))
    run_stage("train", open_study(study_file, store_url), LocalEngine(1))


def test_a_driver_that_was_overtaken_by_another_machine_goes_on_from_there(
    study_file, tmp_path, whole, elsewhere, monkeypatch
):
    """Both train the run; the slower is told at its next publication, and no step is lost."""
    url = f"file://{tmp_path}/store"
    module = importlib.import_module("stratigraph.stages.trainer")
    elsewhere()
    slower = open_study(study_file, url)
    (run,) = slower.runs.values()
    real, overtaken = module.save_snapshot, []

    def save(directory, step, *rest):
        real(directory, step, *rest)
        if step == 2 and not overtaken:
            overtaken.append(step)
            elsewhere()
            run_stage("train", open_study(study_file, url), LocalEngine(1))

    monkeypatch.setattr(module, "save_snapshot", save)
    with pytest.raises(BusyError, match=r"continued by pid \d+ on .*, which got as far as"):
        run_stage("train", slower, LocalEngine(1))
    assert overtaken == [2]
    elsewhere()
    assert next(iter(load_study(url).runs.values())).steps == [0, 2, 6]
    for stage in STAGES:
        run_stage(stage, slower, LocalEngine(1))
    assert results(slower.path) == whole
    assert run.steps == [0, 2, 6]


def test_what_was_finished_and_not_published_is_published(study_file, tmp_path, whole, elsewhere):
    url = f"file://{tmp_path}/store"
    elsewhere()
    study = open_study(study_file, url)
    run_stage("train", study, LocalEngine(1))
    # As if the process had been killed between the last record and its publication.
    (run,) = study.runs.values()
    store, ledger = open_store(url), f"runs/{run.run_id}/ledger"
    newest = read_newest(store, ledger)
    entries = {p: v for p, v in newest.entries.items() if not p.endswith("000006")}
    create_next(store, ledger, newest, entries)
    base = study.path / ".remote" / f"runs-{run.run_id}-ledger.json"
    write_json(base, {"entries": entries})
    run_stage("train", open_study(url), LocalEngine(1))
    elsewhere()
    assert next(iter(load_study(url).runs.values())).steps == [0, 2, 6]


def test_a_node_that_never_saw_the_study(study_file, store_url, whole, elsewhere, tmp_path):
    """It is sent a task, trains, and publishes; whoever sent it fetches the run."""
    if store_url.startswith("s3"):
        pytest.skip("the same code on the other stores")
    study = open_study(study_file, store_url)
    (run,) = study.runs.values()
    there = tmp_path / "node" / study.path.name / "runs" / run.run_id
    task = TrainTask(there, run.config.to_dict(), "cpu", False, store_url)
    assert task.progress() is None
    assert run_task(task)["state"] == "done"
    assert task.progress() == 6
    assert not run.steps
    find_home(study.path).fetch()
    assert run.steps == [0, 2, 6]
    for stage in STAGES:
        run_stage(stage, study, LocalEngine(1))
    assert results(study.path) == whole


def test_what_cannot_be(study_file, elsewhere, tmp_path, capsys):
    elsewhere()
    with pytest.raises(DataError, match=r"file://.*/nothing: there is no study here"):
        load_study(f"file://{tmp_path}/nothing")
    code, told = call(capsys, "list", "nowhere://x")
    assert code == 2
    assert told.startswith("stratigraph: nowhere://x: this store cannot be used here")
    work = Path(os.environ["STRATIGRAPH_WORK"])
    for command in ("list", "report"):
        code, told = call(capsys, command, f"FILE://{tmp_path}/nowhere")
        assert (code, told) == (3, f"stratigraph: file://{tmp_path}/nowhere: there is no study "
                                   "here (study.yaml is missing).\n")  # fmt: skip
    assert not work.exists()
    code, told = call(capsys, "verify", f"file://{tmp_path}/nothing")
    assert code == 3


def test_a_url_is_the_same_in_capitals_and_with_a_last_slash(
    study_file, elsewhere, tmp_path, capsys
):
    elsewhere()
    study = open_study(study_file, f"FILE://{tmp_path}/store/")
    run_stage("train", study, LocalEngine(1))
    assert study.path == work_place(f"file://{tmp_path}/store")
    for url in (
        f"FILE://{tmp_path}/store",
        f"File://{tmp_path}/store/",
        f"file://{tmp_path}/store",
    ):
        for more in ((), ("--repair",)):
            code, told = call(capsys, "verify", url, *more)
            assert (code, "all as they were written" in told) == (0, True), told
        assert call(capsys, "list", url)[0] == 0
    code, told = call(capsys, "verify", f"FILE://{tmp_path}/nowhere")
    assert (code, told) == (3, f"stratigraph: file://{tmp_path}/nowhere: there is no study here "
                               "(study.yaml is missing).\n")  # fmt: skip


def test_a_whole_study_by_python_and_as_json(study_file, elsewhere, tmp_path, capsys, without_ink):
    elsewhere()
    url = f"file://{tmp_path}/store"
    done = run_study(study_file, url, engine=LocalEngine(1))
    assert done.findings
    code, told = call(capsys, "--work", tmp_path / "third", "train", url, "--workers", 1, "--quiet",
                      "--json")  # fmt: skip
    facts = json.loads(told)
    assert code == facts["exit_code"] == 0
    assert facts["study"] == url
    assert facts["states"] == {"done": 1}
    assert facts["not_done"] == []
    folder = Path(facts["folder"])
    assert folder.parent == tmp_path / "third"
    assert report_path(load_study(folder)).read_bytes() == report_path(done).read_bytes()


def test_on_other_machines_a_study_at_a_url_is_trained_and_here_it_is_read(
    study_file, tmp_path, whole, elsewhere, monkeypatch
):
    class OtherMachines(LocalEngine):
        name = "ray"

        def map(self, function, tasks, **more):
            assert function is run_task
            return super().map(function, tasks, **more)

    monkeypatch.setattr("stratigraph.stages.run.LocalEngine", lambda: LocalEngine(1))
    elsewhere()
    study = open_study(study_file, f"file://{tmp_path}/store")
    for stage in STAGES:
        run_stage(stage, study, OtherMachines(1))
    assert results(study.path) == whole


def test_a_study_that_runs_is_listed_as_what_it_last_published(
    study_file, tmp_path, elsewhere, monkeypatch, capsys
):
    url = f"file://{tmp_path}/store"
    module = importlib.import_module("stratigraph.stages.trainer")
    real, told = module.save_snapshot, []

    def save(directory, step, *rest):
        real(directory, step, *rest)
        if step == 2:
            elsewhere()
            told.append(call(capsys, "list", url)[1])
            with monkeypatch.context() as later:
                later.setattr("stratigraph.remote.home.time.time", lambda: 1e12)
                told.append(call(capsys, "list", url)[1])

    monkeypatch.setattr(module, "save_snapshot", save)
    elsewhere()
    run_stage("train", open_study(study_file, url), LocalEngine(1))
    assert re.search(rf"running +0/6 +1 .*\(pid {os.getpid()} on ", told[0])
    assert re.search(r"interrupted +0/6 +1 .*\(the next `stratigraph run` resumes\)", told[1])


LOCAL = """
import sys
from stratigraph.cli.main import main
for arguments in (["train", sys.argv[1], "--out"], ["extract"], ["compare"], ["list"], ["verify"]):
    try:
        more = ["--workers", "1", "--quiet"] if arguments[0] not in ("list", "verify") else []
        main([*arguments, sys.argv[2], *more])
    except SystemExit as stopped:
        assert not stopped.code
print(sorted(name for name in sys.modules if name.startswith(("stratigraph.remote", "obstore"))))
"""


def test_a_study_in_a_folder_loads_nothing_of_stores(study_file, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LOCAL, study_file, tmp_path / "out"],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert not (tmp_path / "out" / ".remote").exists()
