"""A study that is done is left as it is: nothing is read anew, written, or started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from stratigraph.cli.main import main
from stratigraph.engine import LocalEngine
from stratigraph.records import verified, write_json
from stratigraph.stages import STAGES as BY_NAME, run_stage, run_study
from stratigraph.stages.current import (
    find_files,
    find_finished,
    is_current,
    is_finished,
    noted_headline,
)
from stratigraph.study import load_study, representations_path, similarity_path
from stratigraph.study.layout import CURRENT, REPLICATES, STATE, page_path

STAGES = tuple(BY_NAME)


def _state(folder: Path) -> dict[Path, tuple[int, int, bytes]]:
    """Every file's inode, time and bytes: a file that was written again is another."""
    return {
        path: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def done(tiny_study, tmp_path, without_ink):
    """A study that is done, in a folder of its own, where a copy's times are others."""
    shutil.copytree(tiny_study.path, tmp_path / "done")
    return run_study(tmp_path / "done", engine=LocalEngine(1))


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("something was done of which nothing was left to do")


@pytest.mark.parametrize(
    ("engine", "source"), [("local", "folder"), ("ray", "folder"), ("ray", "file")]
)
def test_running_it_again_writes_nothing(done, tiny_file, engine, source, monkeypatch, capsys):
    before = _state(done.path)
    for name, stage in BY_NAME.items():
        monkeypatch.setitem(BY_NAME, name, replace(stage, make=refuse))
    monkeypatch.setattr("stratigraph.engine.ray._connect", refuse)
    monkeypatch.setattr(LocalEngine, "map", refuse)
    for module in ("tables", "matrix"):  # no byte of a matrix is read
        monkeypatch.setattr(f"stratigraph.study.{module}.verified", refuse)
    with pytest.raises(SystemExit, match="0"):
        where = (
            [str(done.path)] if source == "folder" else [str(tiny_file), "--out", str(done.path)]
        )
        main(["run", *where, "--engine", engine])
    told = capsys.readouterr()
    assert "nothing was left to do" in told.out + told.err
    assert "None of the 4 runs learned" in told.out
    assert _state(done.path) == before
    for stage in STAGES:
        run_stage(stage, done, refuse)
    for stage in STAGES[:-1]:
        with pytest.raises(SystemExit, match="0"):
            main([stage, str(done.path), "--engine", engine])
    assert _state(done.path) == before


OPENED = """
import sys
from stratigraph.cli.main import main
try:
    main(sys.argv[1:])
finally:
    print([name for name in ("torch", "pandas", "xarray") if name in sys.modules])
"""


def test_a_finished_study_is_told_of_without_what_computes(done, tiny_file):
    before, told = _state(done.path), []
    for command in (["run", done.path], ["run", tiny_file, "--out", done.path],
                    ["report", done.path]):  # fmt: skip
        started = [sys.executable, "-c", OPENED, *map(str, command)]
        told.append(subprocess.run(started, capture_output=True, text=True, check=True))
    first, *headline, report, imported = told[0].stdout.splitlines()
    assert (first, report, imported) == ("nothing was left to do",
                                         f"report: {page_path(done.path)}", "[]")  # fmt: skip
    assert headline[:-3] == noted_headline(done)
    assert headline[-3:] == [
        "", f"picture: {done.path / 'figures' / 'answer.webp'}",
        f"page: `stratigraph serve {done.path}`, then http://127.0.0.1:8000/ in a browser",
    ]  # fmt: skip
    assert told[1].stdout == told[0].stdout
    assert told[2].stdout.splitlines() == [*headline, report, imported]
    assert told[2].stderr == "report: nothing was left to do\n"
    assert _state(done.path) == before


def test_what_is_not_certainly_finished_has_to_be_opened(done, tiny_file, tmp_path, monkeypatch):
    other = tmp_path / "other.yaml"
    other.write_text(tiny_file.read_text() + "\n# and more")
    run = next(iter(done.runs.values())).path
    sure = (done.path, noted_headline(done))
    assert find_finished(done.path) == find_finished(tiny_file, done.path) == sure
    assert find_finished(other, done.path) is None
    assert find_finished(done.path, tmp_path) is None
    assert find_finished(tmp_path / "missing.yaml", done.path) is None
    write_json(run / STATE, {"state": "failed", "step": 5, "reason": "a full disk"})
    assert find_finished(done.path) is None
    write_json(run / STATE, {"state": "done", "step": 12})
    assert find_finished(done.path) == sure
    with monkeypatch.context() as patch:
        patch.setattr("stratigraph.stages.current._own_code", lambda: "another")
        assert find_finished(done.path) is None
    os.utime(done.path / "findings.json", (1, 1))
    assert find_finished(done.path) is None


@pytest.mark.parametrize(
    ("place", "stages"),
    [
        (
            "runs/*/snapshots/000000005/weights.safetensors",
            ("train", "extract", "assess", "report"),
        ),
        ("runs/*/representations/000000005/z_mean.npy", STAGES[1:]),
        ("similarity/debiased_cka/values.npy", STAGES[2:]),
        ("findings.json", STAGES[3:]),
        ("report/index.html", STAGES[4:]),
    ],
)
def test_what_was_touched_is_looked_at_again(done, place, stages):
    path = next(done.path.glob(place))
    os.utime(path, (1, 1))
    files = find_files(done.path)
    assert [stage for stage in STAGES if not is_current(done, [stage], files)] == list(stages)


def test_what_a_disk_would_not_remove_goes_at_the_next_turn(done):
    """What was replaced, blocks of a comparison, and the checkpoint of a run that is done."""
    run = next(iter(done.runs.values())).path
    left = {
        run / ".new-0123456789ab-metrics": "train",
        run / "checkpoint": "train",
        run / "representations" / ".new-0123456789ab-000000005": "extract",
        run / "observed" / ".new-old-tables": "extract",
        done.path / "similarity" / ".new-0123456789ab-.scratch-debiased_cka": "compare",
        done.path / ".new-0123456789ab-findings.json": "assess",
        done.path / ".new-0123456789ab-figures": "report",
    }
    for path, stage in left.items():
        path.mkdir()
        files = find_files(done.path)
        assert [one for one in STAGES if not is_current(done, [one], files)] == [stage]
        path.rmdir()
    for path in left:
        path.mkdir()
    run_study(done.path, engine=LocalEngine(1))
    assert not any(path.exists() for path in left)
    assert is_finished(done)


def test_what_changed_is_made_again(done):
    (done.path / "report" / "index.html").write_text("changed")
    assert not is_finished(done)
    run_study(done.path, engine=LocalEngine(1))
    verified(done.path / "report")
    assert is_finished(done)


def test_representations_may_go_once_they_were_compared(done):
    before = _state(similarity_path(done.path, "debiased_cka"))
    for run in done.runs.values():
        for step in run.steps:
            shutil.rmtree(representations_path(run.path, step))
    assert is_finished(done)
    run_study(done.path, engine=LocalEngine(1))
    assert _state(similarity_path(done.path, "debiased_cka")) == before
    assert not representations_path(run.path, step).exists()


def test_representations_that_are_needed_again_are_read_again(done):
    """A matrix of what happens to be there would be a smaller one, without a word."""
    before = _state(similarity_path(done.path, "debiased_cka"))
    run = next(iter(done.runs.values()))
    shutil.rmtree(representations_path(run.path, 5))
    shutil.rmtree(similarity_path(done.path, "debiased_cka"))
    run_study(done.path, engine=LocalEngine(1))
    after = _state(similarity_path(done.path, "debiased_cka"))
    assert {path: facts[2] for path, facts in after.items()} == {
        path: facts[2] for path, facts in before.items()
    }


def test_another_study_file_is_not_current(done, tiny_file, tmp_path):
    text = tiny_file.read_text().replace("  - debiased_cka\n", "  - debiased_cka\n  - linear_cka\n")
    (tmp_path / "more.yaml").write_text(text)
    again = run_study(tmp_path / "more.yaml", done.path, engine=LocalEngine(1))
    assert "linear_cka" in again.measures()
    assert is_finished(load_study(done.path))


@pytest.mark.full
def test_the_published_way_is_judged_when_it_is_asked_for(done):
    run_stage("assess", done, LocalEngine(1), published=True)
    assert {row["way"] for row in done.findings} == {"corrected", "published"}
    before = _state(done.path)
    run_stage("assess", done, LocalEngine(1), published=True)
    run_stage("assess", done, LocalEngine(1))
    assert _state(done.path) == before


def test_figures_are_drawn_in_what_is_asked_for(done):
    run_stage("report", done, LocalEngine(1), formats=["svg"])
    before = _state(done.path)
    run_stage("report", done, LocalEngine(1), formats=["svg"])
    assert _state(done.path) == before
    assert list((done.path / "figures").glob("*.svg"))


def test_a_damaged_note_is_no_note(done):
    for content in (b"", b"{}", b"not JSON"):
        (done.path / CURRENT).write_bytes(content)
        assert not is_finished(done)
    run_study(done.path, engine=LocalEngine(1))
    assert is_finished(done)


def test_what_others_wrote_meanwhile_was_not_read(tiny_study, tmp_path, monkeypatch):
    """Training may go on beside extraction: its new snapshots are no part of what was extracted."""
    folder = tmp_path / "study"
    shutil.copytree(tiny_study.path, folder)
    (folder / CURRENT).unlink()
    run = next(iter(load_study(folder).runs.values()))
    late = run.path / "snapshots" / "000000005"
    late.rename(tmp_path / "late")
    shutil.rmtree(representations_path(run.path, 5))

    def extract(study, *rest):
        (tmp_path / "late").rename(late)  # as another process would, while this one is at work
        return 0

    monkeypatch.setattr("stratigraph.stages.read.extract_study", extract)
    run_stage("extract", load_study(folder), LocalEngine(1))
    monkeypatch.undo()
    study = load_study(folder)
    assert not is_current(study, ["extract"], find_files(folder))
    run_stage("extract", study, LocalEngine(1))
    assert representations_path(run.path, 5).is_dir()


def test_an_explicit_extraction_brings_back_what_may_go(done):
    run = next(iter(done.runs.values()))
    shutil.rmtree(representations_path(run.path, 5))
    run_stage("extract", done, LocalEngine(1))
    assert representations_path(run.path, 5).is_dir()


def test_other_code_is_not_what_it_was_made_by(done, monkeypatch):
    monkeypatch.setattr("stratigraph.stages.current._own_code", lambda: "another")
    assert not is_finished(done)


def test_a_study_with_more_replicates_is_not_finished(done):
    assert find_finished(done.path) is not None
    write_json(done.path / REPLICATES, {"format": 1, "replicates": 3})
    assert find_finished(done.path) is None
