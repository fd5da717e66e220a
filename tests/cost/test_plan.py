"""What a plan counts is what a study then holds; what it times is positive and adds up."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from stratigraph.cli.main import main
from stratigraph.cost import findings
from stratigraph.cost.calibrate import Kind, _stand_in, calibrate, find_kinds
from stratigraph.cost.figures import count_panels
from stratigraph.cost.findings import Judging, judge_sample
from stratigraph.cost.pairs import drawn_blocks
from stratigraph.cost.plan import StudyPlan, plan_study
from stratigraph.engine import LocalEngine
from stratigraph.pairs.by_vectors import count_products
from stratigraph.similarity.catalog import find_measure
from stratigraph.similarity.cka import linear_cka
from stratigraph.stages.compare import ask_in_order, in_blocks_order
from stratigraph.study import Selection, claim_pairs


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
        "intervals of debiased_cka", "influence on debiased_cka",
        "compare by procrustes_similarity", "assess", "report", "report's tables",
    ]  # fmt: skip
    assert all(stage.seconds > 0 for stage in plan.stages)
    assert plan.seconds(1) == pytest.approx(sum(stage.seconds for stage in plan.stages))
    # Findings are of one process, whatever there is beside it.
    assert plan.seconds(10**6) >= plan.longest + plan.stages[-3].seconds
    # More workers than runs are of no use to training: a run is trained by one.
    assert plan.seconds(10**6) >= plan.longest


@pytest.mark.parametrize("names", [("all",), ("to_final",), ("within_run", "final")])
def test_drawn_blocks_stand_for_all_pairs(tiny_study, names):
    labels = pd.concat([tiny_study.labels("debiased_cka")] * 3, ignore_index=True)
    labels["run"] += (labels.index // (len(labels) // 3)).astype(str)
    wanted = Selection(labels, names)
    drawn = drawn_blocks(in_blocks_order(labels, names), wanted)
    found = [next(drawn) for _ in range(400)]
    total = np.mean([weight * asked.sum() for _, asked, weight in found])
    assert total == pytest.approx(wanted.unordered(), rel=0.1)
    for rows, asked, _ in found[:50]:
        assert asked.any()
        assert not (asked & ~wanted.block(rows, rows)).any()


def test_a_study_of_pairs_within_runs_multiplies_few_others():
    keys = [(r, s, layer) for r in range(40) for s in range(10) for layer in "abcdefgh"]
    labels = pd.DataFrame(keys, columns=["run", "step", "layer"]).assign(probes="p")
    cka, every = find_measure("debiased_cka"), len(keys) ** 2
    counted = {}
    for names in (("all",), ("within_run", "final")):
        order = in_blocks_order(labels, names)
        asked = ask_in_order(Selection(labels, names), order)
        counted[names] = count_products(cka, 500, len(order), asked)
    assert every / 2 < counted["all",] < every  # each pair once, in whole blocks
    assert counted["within_run", "final"] < every / 4


def test_a_stand_in_for_a_last_state_is_another_representation_with_the_spectrum_said(tmp_path):
    rng = np.random.default_rng(0)
    stored = rng.standard_normal((31, 8)).astype(np.float32)
    for layer in ("encoder.conv1", "decoder.dense1"):
        np.save(tmp_path / f"{layer}.npy", stored)
    made = _stand_in(tmp_path, ["encoder.conv1", "decoder.dense1"], tmp_path / "last")
    before = np.linalg.svd(stored[:-1], compute_uv=False)
    encoder, decoder = (
        np.linalg.svd(np.load(made / f"{layer}.npy")[:-1], compute_uv=False)
        for layer in ("encoder.conv1", "decoder.dense1")
    )
    assert encoder == pytest.approx(before, rel=1e-5)
    assert decoder == pytest.approx(before**2 / before[0], rel=1e-4)
    assert linear_cka(stored[:-1], np.load(made / "encoder.conv1.npy")[:-1]) < 0.9


def test_findings_of_a_large_study_are_timed_on_some_of_its_runs(tiny_study, monkeypatch):
    own = tiny_study.labels("debiased_cka")
    first = own[own["run"] == own["run"].iloc[0]]
    objective = {"name": "beta_vae"}
    runs = [
        replace(tiny_study.config.runs[0], objective={**objective, "beta": beta}, seed=seed)
        for beta in (1, 2, 4, 8)
        for seed in (0, 1)
    ]
    labels = pd.concat(
        [first.assign(run=run.run_id, strength=run.strength, seed=run.seed) for run in runs],
        ignore_index=True,
    )
    task = Judging(labels, runs, ["debiased_cka", "procrustes_similarity"], 24)
    pairs = len(claim_pairs(labels))
    assert findings._some(task, pairs) == runs
    monkeypatch.setattr(findings, "ENOUGH", pairs // 8)
    some = findings._some(task, pairs)
    assert [(run.strength, run.seed) for run in some] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    counted, seconds = judge_sample(task)
    assert counted == pairs
    assert seconds > 0


def test_panels_are_about_those_of_the_report(tiny_study):
    maps, panels = count_panels(tiny_study.config.runs, 2)
    assert maps == len(list((tiny_study.path / "figures").glob("heat-*.webp")))
    assert panels == 2 * 3 + 4 + 24


def test_runs_that_freeze_are_a_kind_of_their_own(tiny_study, tmp_path):
    run = tiny_study.config.runs[0]
    freezes = replace(run, freezing={"every": 10, "patience": 1})
    assert len(find_kinds([run, freezes])) == 2
    found = calibrate(Kind(freezes, tiny_study.config, tmp_path))
    assert found["step"] > 0


def test_the_command_tells_it_and_writes_nothing(tiny_file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stratigraph.cost.plan.judge_sample", lambda task: (100, 1.0))
    monkeypatch.setattr("stratigraph.cost.plan.draw_sample", lambda task: (1.0, 1.0, 1000, 1000))
    with pytest.raises(SystemExit) as stopped:
        main(["plan", str(tiny_file), "--workers", "1", "--on", "8", "--json"])
    assert not stopped.value.code
    told = json.loads(capsys.readouterr().out)
    assert told["runs"] == 4
    assert set(told["seconds"]) == {"1", "8"}
    assert list(tmp_path.iterdir()) == []
