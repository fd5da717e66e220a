"""What a plan counts is what a study then holds; what it times is positive and adds up."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from stratigraph.cli.main import main
from stratigraph.cost.pairs import drawn_blocks
from stratigraph.cost.plan import StudyPlan, _calibrate, _key, _Kind, plan_study
from stratigraph.cost.results import Measured, scaled
from stratigraph.engine import LocalEngine
from stratigraph.stages.compare import in_blocks_order
from stratigraph.study import Selection


@pytest.fixture(scope="module")
def plan(tiny_study) -> StudyPlan:
    return plan_study(tiny_study.config, LocalEngine(1))


def test_counts_are_those_of_the_study(plan, tiny_study):
    assert plan.runs == 4
    assert plan.steps == 4 * 12
    assert plan.snapshots == sum(len(run.steps) for run in tiny_study.runs.values())
    labels = tiny_study.labels("debiased_cka")
    assert plan.representations == len(labels)
    assert plan.pairs["debiased_cka"] == len(labels) * (len(labels) + 1) // 2
    # Pairs with a constant representation are asked for, and undefined.
    asked = np.isfinite(tiny_study.similarity("procrustes_similarity").values)
    assert plan.pairs["procrustes_similarity"] >= (asked.sum() + len(labels)) // 2


def test_its_disk_is_about_what_the_study_takes(plan, tiny_study):
    kept = [
        path.stat().st_size
        for kind in ("snapshots", "representations")
        for run in tiny_study.runs.values()
        for path in (run.path / kind).rglob("*")
        if path.is_file()
    ]
    matrices = 2 * 8 * plan.representations**2
    written = [
        path.stat().st_size
        for kind in ("figures", "report")
        for path in (tiny_study.path / kind).iterdir()
    ]
    assert plan.disk == pytest.approx(sum(kept) + matrices + sum(written), rel=0.05)


def test_times_add_up(plan):
    names = [stage.name for stage in plan.stages]
    assert names == [
        "start", "train", "extract", "observe", "score latents", "compare by debiased_cka",
        "intervals of debiased_cka",
        "compare by procrustes_similarity", "assess", "report",
    ]  # fmt: skip
    assert all(stage.seconds > 0 for stage in plan.stages)
    assert plan.seconds(1) == pytest.approx(sum(stage.seconds for stage in plan.stages))
    # Findings and report are of one process, whatever there is beside it.
    assert plan.seconds(10**6) >= plan.longest + sum(stage.seconds for stage in plan.stages[-2:])
    # More workers than runs are of no use to training: a run is trained by one.
    assert plan.seconds(10**6) >= plan.longest


@pytest.mark.parametrize("names", [("all",), ("to_final",), ("within_run", "final")])
def test_drawn_blocks_stand_for_all_pairs(tiny_study, names):
    labels = pd.concat([tiny_study.labels("debiased_cka")] * 3, ignore_index=True)
    labels["run"] += (labels.index // (len(labels) // 3)).astype(str)
    wanted = Selection(labels, names)
    drawn = drawn_blocks(in_blocks_order(labels), wanted)
    found = [next(drawn) for _ in range(400)]
    total = np.mean([weight * asked.sum() for _, asked, weight in found])
    assert total == pytest.approx(wanted.unordered(), rel=0.1)
    for rows, asked, _ in found[:50]:
        assert asked.any()
        assert not (asked & ~wanted.block(rows, rows)).any()


def test_two_stand_ins_make_a_line():
    one = Measured(pairs=100, seeds=2, assess=1.0, report=5.0, bytes=1000)
    two = Measured(pairs=300, seeds=2, assess=2.0, report=8.0, bytes=1500)
    found = scaled([one, two], pairs=1100, seeds=5, count=10)
    assert found == Measured(1100, 5, 2 * (1.0 + 1000 / 200), 5.0 + 9 * 3.0, 1000 + 9 * 500)
    assert scaled([one], pairs=100, seeds=2, count=1) == one


def test_runs_that_freeze_are_a_kind_of_their_own(tiny_study, tmp_path):
    run = tiny_study.config.runs[0]
    freezes = replace(run, freezing={"every": 10, "patience": 1})
    assert _key(run) != _key(freezes)
    found = _calibrate(_Kind(freezes, tiny_study.config, tmp_path))
    assert found["step"] > 0


def test_the_command_tells_it_and_writes_nothing(tiny_file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    stand_in = Measured(pairs=100, seeds=2, assess=1.0, report=5.0, bytes=1000)  # made above
    monkeypatch.setattr(sys.modules["stratigraph.cost.results"], "measure_results",
                        lambda task: stand_in)  # fmt: skip
    with pytest.raises(SystemExit) as stopped:
        main(["plan", str(tiny_file), "--workers", "1", "--on", "8", "--json"])
    assert not stopped.value.code
    told = json.loads(capsys.readouterr().out)
    assert told["runs"] == 4
    assert set(told["seconds"]) == {"1", "8"}
    assert list(tmp_path.iterdir()) == []
