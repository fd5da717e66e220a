"""Opening a study that somebody else made runs none of its code, and says what it would take."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import stratigraph as sg
from stratigraph import plugins
from stratigraph.cli.main import main
from stratigraph.engine import LocalEngine
from stratigraph.errors import ConfigError, UntrustedError
from stratigraph.plugins import load_plugin
from stratigraph.records import write_json, write_text
from stratigraph.stages import open_study, run_stage
from stratigraph.study import load_config
from stratigraph.trust import trusted_folder

SOURCE = Path(__file__).parents[1] / "src"
MODULE = """
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

Path({trace!r}).touch()


@dataclass(frozen=True)
class Squared:
    weight: float
    strength: ClassVar[str | None] = "weight"

    def regulariser(self, posterior, step):
        return self.weight * posterior.mean.square().sum(dim=1).mean()
"""
STUDY = """
name: {name}
grid:
  data: {{name: sprites, size: 32, cache: false}}
  objective: {{"{name}_part:Squared": {{weight: [2, 3]}}}}
  latents: 2
training: {{steps: 2, batch_size: 4, validation_images: 8}}
probes: {{count: 12}}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory):
    """A trained study of a module beside its file; the module leaves a trace when it is run."""
    project = tmp_path_factory.mktemp("project")
    trace = project / "was-run"
    (project / "theirs_part.py").write_text(MODULE.format(trace=str(trace)))
    (project / "theirs.yaml").write_text(STUDY.format(name="theirs"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STRATIGRAPH_STATE", str(project / "state"))
        study = open_study(project / "theirs.yaml", project / "out")
        run_stage("train", study, LocalEngine(1))
    forget("theirs_part", project)
    trace.unlink()
    return project


def forget(module: str, folder: Path) -> None:
    sys.modules.pop(module, None)
    sys.path[:] = [entry for entry in sys.path if entry != str(folder)]


@pytest.fixture
def strangers(trained, tmp_path, monkeypatch):
    """That study as somebody else got it: nothing is known of it here, and it brings its module."""
    monkeypatch.setenv("STRATIGRAPH_STATE", str(tmp_path / "state"))
    shutil.copytree(trained / "out", tmp_path / "out")
    shutil.copy(trained / "theirs_part.py", tmp_path / "out")
    (trained / "was-run").unlink(missing_ok=True)
    yield tmp_path / "out"
    forget("theirs_part", trained)


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(one) for one in arguments])
    return stopped.value.code or 0


@pytest.mark.parametrize("path", [None, "", "{out}", ".:{out}"], ids=repr)
def test_no_way_of_looking_runs_what_a_study_brings(strangers, trained, path):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    if path is not None:
        environment["PYTHONPATH"] = f"{SOURCE}:" + path.format(out=strangers)
    done = subprocess.run(
        [sys.executable, "-m", "stratigraph", "list", "."],
        cwd=strangers, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("done") == 2
    assert "theirs_part:Squared weight=2" in done.stdout
    assert not (trained / "was-run").exists()


def test_it_opens_for_reading_and_asks_for_what_needs_more(
    strangers, trained, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(strangers)
    monkeypatch.syspath_prepend("")
    assert call("list", ".") == 0
    run = capsys.readouterr().out.splitlines()[1].split()[0]
    assert call("show", ".", run) == 0
    assert '"theirs_part:Squared"' in capsys.readouterr().out
    assert call("verify", ".") == 0
    assert "2 of 2 runs at their end" in capsys.readouterr().out
    study = sg.load_study(".")
    assert sorted(one.config.strength for one in study.runs.values()) == [2, 3]
    assert all(len(one.metrics) and one.steps == [0, 2] for one in study.runs.values())
    with pytest.raises(UntrustedError, match="names the module theirs_part"):
        study.run(run).model()
    before = {path: path.stat().st_mtime_ns for path in strangers.rglob("*")}
    for command in (
        "run",
        "train",
        "extract",
        "compare",
        "assess",
        "report",
        "plan",
        "latent-size",
    ):
        assert call(command, strangers) == 4, command
        told = capsys.readouterr().err
        assert f"the study {strangers} names the module theirs_part (not on Python's path)" in told
        assert "add --trust" in told
    assert {path: path.stat().st_mtime_ns for path in strangers.rglob("*")} == before
    assert not (trained / "was-run").exists()

    # Trusted, and still nothing of the folder itself is run.
    assert call("train", strangers, "--trust") == 2
    assert "never in the folder of a study" in capsys.readouterr().err
    assert not (trained / "was-run").exists()
    monkeypatch.syspath_prepend(str(trained))
    assert call("train", strangers, "--trust", "--workers", "1", "--quiet") == 0
    assert (trained / "was-run").exists()
    assert sg.load_study(strangers, trust=True).run(run).model().training


def test_ones_own_study_is_known_wherever_it_is_moved(trained, tmp_path, monkeypatch):
    """By its study file: the module is found beside the file that it was made of."""
    monkeypatch.setenv("STRATIGRAPH_STATE", str(trained / "state"))
    shutil.copytree(trained / "out", tmp_path / "moved")
    study = sg.load_study(tmp_path / "moved")
    assert next(iter(study.runs.values())).model() is not None
    assert (trained / "was-run").exists()
    text = (tmp_path / "moved" / "study.yaml").read_text()
    write_text(tmp_path / "moved" / "study.yaml", text.replace("count: 12", "count: 11"))
    with pytest.raises(UntrustedError):
        next(iter(sg.load_study(tmp_path / "moved").runs.values())).model()
    forget("theirs_part", trained)


def test_a_folder_above_a_study_leads_to_nothing_in_it(tmp_path, monkeypatch):
    """``results.study.module`` is in reach of every program that is started above it."""
    inside = tmp_path / "results" / "study"
    inside.mkdir(parents=True)
    (inside / "evil.py").write_text("raise RuntimeError('it was run')\nNAME = 1\n")
    plugins.forbid_folder(inside)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="is in the folder of a study"):
        load_plugin("objective", "results.study.evil:NAME")
    monkeypatch.syspath_prepend(str(inside))
    with pytest.raises(ConfigError, match="no module is called 'evil'"):
        load_plugin("objective", "evil:NAME")
    assert str(inside) in sys.path  # of the program it is as it was


def test_a_recorded_study_cannot_bring_a_run_that_names_a_module(tmp_path):
    """Its runs are what its folder says; none of them has a module to import."""
    write_text(tmp_path / "study.yaml", "name: forged\nrecorded: true\n")
    config = {
        "data": {"name": "sprites"},
        "objective": {"name": "forged_part:Squared", "weight": 2},
        "steps": 3,
    }
    write_json(tmp_path / "runs" / "aa" / "config.json", {"run_id": "aa", "config": config})
    for trust in (False, True):
        study = sg.load_study(tmp_path, trust=trust)
        assert [one.config.strength for one in study.runs.values()] == [2]
    assert "forged_part" not in sys.modules


def test_a_file_that_is_given_is_noted_with_where_it_came_from(tmp_path, monkeypatch):
    monkeypatch.setenv("STRATIGRAPH_STATE", str(tmp_path / "state"))
    project = tmp_path / "project"
    project.mkdir()
    (project / "ours_part.py").write_text(MODULE.format(trace=str(tmp_path / "trace")))
    (project / "ours.yaml").write_text(STUDY.format(name="ours"))
    text = load_config(project / "ours.yaml").text
    assert trusted_folder(text) is None
    open_study(project / "ours.yaml", tmp_path / "out")
    assert trusted_folder(text) == project
    forget("ours_part", project)


def test_what_is_recorded_and_given_is_ones_own(tmp_path, monkeypatch):
    """`sg.record` notes the measures that its caller names; `sg.train` runs what it is given."""
    import torch

    monkeypatch.setenv("STRATIGRAPH_STATE", str(tmp_path / "state"))
    project = tmp_path / "project"
    project.mkdir()
    (project / "mine_part.py").write_text(
        MODULE.format(trace=str(tmp_path / "trace"))
        + "from stratigraph.similarity.cka import DEBIASED_CKA as SCORE\n"
    )
    monkeypatch.syspath_prepend(str(project))
    model = torch.nn.Sequential(torch.nn.Linear(3, 2))
    sg.record(model, torch.randn(9, 3), tmp_path / "out", measures=["mine_part:SCORE"]).close()
    study = sg.load_study(tmp_path / "out")
    assert study.config.plugins() == ["mine_part:SCORE"]
    assert trusted_folder(study.config.text) == project

    config = {"data": {"name": "sprites", "size": 32, "cache": False}, "steps": 1, "batch_size": 2}
    objective = {"name": "mine_part:Squared", "weight": 1}
    run = sg.train({**config, "objective": objective, "validation_images": 2}, tmp_path / "run")
    assert run.config.strength == 1
    forget("mine_part", project)


@pytest.mark.parametrize("own_first", [True, False])
def test_trust_is_of_a_study_and_not_of_a_name(own_first, strangers, trained, tmp_path):
    """One's own study that names the same module is trusted, in whatever order both are opened."""
    project = tmp_path / "mine"
    project.mkdir()
    (project / "theirs_part.py").write_text(MODULE.format(trace=str(tmp_path / "mine-was-run")))
    (project / "theirs.yaml").write_text(STUDY.format(name="theirs").replace("[2, 3]", "[2, 4]"))
    if not own_first:
        theirs = sg.load_study(strangers)
    open_study(project / "theirs.yaml", tmp_path / "own")
    if own_first:
        theirs = sg.load_study(strangers)
    own = sg.load_study(tmp_path / "own")
    own.require_plugins()
    for run in own.runs.values():
        run.config.require_plugins()
    for run in theirs.runs.values():
        with pytest.raises(UntrustedError):
            run.model()
    forget("theirs_part", project)


@pytest.mark.parametrize(
    ("start", "planted"),
    [
        (["-P", "-m", "stratigraph"], "loky"),
        pytest.param(["-m", "stratigraph"], "typer", marks=pytest.mark.full),
    ],
)
def test_no_library_is_taken_from_the_current_folder(start, planted, trained, tmp_path):
    """Neither here nor in a worker: a study's file may be called like one of them."""
    folder = tmp_path / "out"
    shutil.copytree(trained / "out", folder)
    (folder / f"{planted}.py").write_text(f"open({str(tmp_path / 'was-run')!r}, 'w')\n")
    environment = {
        **os.environ, "PYTHONPATH": f":{SOURCE}:", "STRATIGRAPH_STATE": str(trained / "state")
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, *start, "extract", ".", "--workers", "2", "--quiet"],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "was-run").exists()


def test_a_file_within_a_study_brings_no_module(tmp_path):
    """An export's or a study's own file, and any below: what lies there is not looked into."""
    for place in ("export", "fresh", "begun", "begun/sub"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "lying_part.py").write_text("raise RuntimeError('it was run')")
    text = STUDY.format(name="lying")
    (tmp_path / "export" / "labels.parquet").touch()
    (tmp_path / "export" / "study.yaml").write_text(text)
    write_text(tmp_path / "fresh" / "study.yaml", text)
    write_text(tmp_path / "begun" / "study.yaml", text)
    (tmp_path / "begun" / "runs").mkdir()
    (tmp_path / "begun" / "sub" / "other.yaml").write_text(text)
    for file in (
        "export/study.yaml",
        "fresh/study.yaml",
        "begun/study.yaml",
        "begun/sub/other.yaml",
    ):
        with pytest.raises(ConfigError, match="no module is called 'lying_part'"):
            load_config(tmp_path / file)
