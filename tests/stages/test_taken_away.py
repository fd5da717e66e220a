"""Somebody moves, removes or kills in the middle of a run: one clear word, and no bit is lost."""

from __future__ import annotations

import os
import shutil
import signal
from functools import partial
from pathlib import Path

import pytest

from stratigraph.cli.main import main
from stratigraph.durable import holding, make_folder
from stratigraph.engine import LocalEngine
from stratigraph.errors import StorageError, StratigraphError
from stratigraph.records import write_file
from stratigraph.stages import open_study, run_stage
from stratigraph.stages.state import StateFile
from stratigraph.study import load_study

from .test_resume import results

SNAPSHOT = "snapshots/000000002"
FOLDERS = [("study", True), ("run", False), ("run", True)]


@pytest.fixture
def one(tiny_file, tmp_path) -> Path:
    """The file of a study of one run of the small study's."""
    path = tmp_path / "one.yaml"
    text = tiny_file.read_text().replace("seed: [0, 1]", "seed: [0]")
    path.write_text(text.replace("beta: [1, 4]", "beta: [1]"))
    return path


@pytest.fixture
def at_step_seven(monkeypatch):
    """Do something once, when a run has come to its seventh step."""

    def once(act) -> None:
        beat, done = StateFile.beat, []

        def beating(self, step, loss):
            if step == 7 and not done:
                done.append(step)
                act(self.path.parent)
            self.last = 0.0  # it beats at each step
            beat(self, step, loss)

        monkeypatch.setattr(StateFile, "beat", beating)

    return once


def finished(folder: Path, tiny_study) -> None:
    """A later command goes on, and leaves what an undisturbed run would have."""
    study = load_study(folder)
    for stage in ("train", "extract"):
        run_stage(stage, study, LocalEngine(1))
    for run in study.runs.values():
        assert run.state["state"] == "done"
        assert _trained(run.path) == _trained(tiny_study.runs[run.run_id].path)
        assert (run.path / "observed" / "tables" / "manifest.json").is_file()


def _trained(run: Path) -> dict[str, str]:
    return {
        name: digest
        for name, digest in results(run).items()
        if name.startswith(("snapshots", "metrics"))
    }


@pytest.mark.parametrize(
    ("what", "replaced"),
    [
        ("study", False),
        *(pytest.param(*one, marks=pytest.mark.full) for one in FOLDERS),
    ],
)
def test_a_folder_that_is_renamed(one, tmp_path, tiny_study, at_step_seven, capsys, what, replaced):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"

    def rename(run: Path) -> None:
        folder = out if what == "study" else run
        folder.rename(elsewhere)
        if replaced:
            folder.mkdir()

    at_step_seven(rename)
    with pytest.raises(SystemExit) as ended:
        main(["run", str(one), "--out", str(out), "--workers", "1", "--quiet"])
    told = capsys.readouterr().err
    assert ended.value.code == 6
    assert told.count("\n") == 1
    assert "is not there any more, or is another: it was moved, removed or replaced" in told
    if what == "run":
        place = out / "runs" / next(iter(open_study(one, out).runs))
        assert not list(place.glob("*")) if replaced else not place.exists()
        shutil.rmtree(place, ignore_errors=True)
        elsewhere.rename(place)
        finished(out, tiny_study)
        return
    assert list(out.iterdir()) == [] if replaced else not out.exists()
    assert not list(elsewhere.rglob(".new-*"))
    finished(elsewhere, tiny_study)


@pytest.mark.parametrize(
    "gone",
    [
        SNAPSHOT,
        *(
            pytest.param(name, marks=pytest.mark.full)
            for name in (f"{SNAPSHOT}/weights.safetensors", "config.json")
        ),
    ],
)
def test_a_file_that_is_deleted(one, tmp_path, tiny_study, at_step_seven, capsys, gone):
    out = tmp_path / "out"

    def delete(run: Path) -> None:
        path = run / gone
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    at_step_seven(delete)
    with pytest.raises(SystemExit) as ended:
        main(["run", str(one), "--out", str(out), "--workers", "1", "--quiet"])
    told = capsys.readouterr().err
    if gone == SNAPSHOT:
        assert ended.value.code == 6
        assert f"{SNAPSHOT} is gone: it was removed" in told
    if gone == f"{SNAPSHOT}/weights.safetensors":  # its manifest stands: it is damage
        assert ended.value.code == 3
        assert "weights.safetensors: missing" in told
        assert "verify STUDY --repair" in told
        with pytest.raises(SystemExit) as ended:
            main(["verify", str(out), "--repair", "--workers", "1"])
        assert ended.value.code == 0
    finished(out, tiny_study)


def test_what_is_held_is_not_made_anew(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    with holding(folder):
        write_file(folder / "b" / "c", b"x")
        folder.rename(tmp_path / "b")
        for act in (partial(write_file, folder / "c", b"x"), partial(make_folder, folder / "d")):
            with pytest.raises(StorageError, match="it was moved, removed or replaced"):
                act()
    assert not folder.exists()
    write_file(folder / "c", b"x")  # nobody holds it any more
    with pytest.raises(StratigraphError), holding(tmp_path / "none"):
        pass


def test_a_hang_up_in_mid_training_changes_no_bit(one, tmp_path, tiny_study, at_step_seven, capsys):
    at_step_seven(lambda run: os.kill(os.getpid(), signal.SIGHUP))
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever started the tests
    try:
        with pytest.raises(SystemExit) as ended:
            main(["train", str(one), "--out", str(tmp_path / "out"), "--workers", "1", "--quiet"])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert ended.value.code == 130
    assert "the same command resumes from here" in capsys.readouterr().err
    (run,) = load_study(tmp_path / "out").runs.values()
    assert run.state["state"] == "stopped"
    assert 6 < run.state["step"] < 9
    finished(tmp_path / "out", tiny_study)


@pytest.mark.full
def test_killed_workers_change_no_bit(tiny_file, tmp_path, tiny_study, monkeypatch):
    """Each of four runs loses its process once, by SIGKILL, after a checkpoint in mid-training."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    import dies_once

    monkeypatch.setattr("stratigraph.stages.train.run_task", dies_once.run_task)
    study = open_study(tiny_file, tmp_path / "out")
    run_stage("train", study, LocalEngine(2))
    assert len(list((study.path / "runs").glob("*.died"))) == 4
    for died in (study.path / "runs").glob("*.died"):
        died.unlink()
    finished(study.path, tiny_study)
