"""Which runs learned, and which are replicates of which: planted numbers and a small study."""

from __future__ import annotations

import math
import shutil

import numpy as np
import pytest
import torch

from stratigraph.errors import ConfigError
from stratigraph.evidence.learned import judge_runs
from stratigraph.evidence.runs import COLUMNS, runs_of_findings, table_of_runs
from stratigraph.objectives import RECONSTRUCTIONS
from stratigraph.records import read_json, write_json
from stratigraph.stages import open_study, verify_study
from stratigraph.stages.export import export_study
from stratigraph.stages.floors import keep_floors
from stratigraph.stages.trainer import train_run
from stratigraph.study import load_study
from stratigraph.study.layout import FLOORS
from stratigraph.training import RunConfig, floor_key, floors_of, validation_indices

STUDY = """
name: bars
grid:
  - data: {path}
    architecture: {{name: fully_connected, width: 64, depth: 2}}
    objective:
      beta_vae: {{beta: [1, 10000]}}
      beta_tc_vae: {{beta: 1}}
    latents: 2
    seed: [0]
  - data: {path}
    architecture: {{name: fully_connected, width: 64, depth: 2}}
    objective: {{beta_vae: {{beta: 1}}}}
    latents: 2
    seed: {{replicates: 1}}
training: {{steps: {steps}, batch_size: 32, learning_rate: {rate}, validation: 0.2}}
snapshots: {{kind: explicit, steps: [{steps}]}}
probes: {{count: 8}}
"""


def test_half_of_the_gap_is_learned():
    errors = {"best": 100.0, "half": 150.0, "less": 151.0, "none": 200.0, "above": 210.0}
    best, found = judge_runs({**errors, "lost": math.inf}, floor=200.0, room=180.0)
    assert best == 100
    assert {run for run, (learned, _) in found.items() if learned} == {"best", "half"}
    assert found["half"] == (True, "")
    assert found["less"][1] == (
        "its held-out error, 151 nats, closes 49 % of the gap from the best constant answer (200) "
        "to the best run (100), less than half"
    )
    for run in ("none", "above"):
        assert "is not below that of the best constant answer (200)" in found[run][1]
    assert "not a finite number" in found["lost"][1]


@pytest.mark.parametrize("errors", [[199.0, 205.0], [200.0], [math.nan]])
def test_where_the_best_is_no_better_than_a_constant_none_learned(errors):
    runs = {str(i): error for i, error in enumerate(errors)}
    found = judge_runs(runs, floor=200.0, room=180.0)[1]
    assert not any(learned for learned, _ in found.values())
    assert all(why for _, why in found.values())


def _pictures(file):
    """Bars at one of eight places, not quite black on white."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 30, (400, 1, 32, 32), dtype=np.uint8)
    for image, place in zip(images, rng.integers(0, 8, 400), strict=True):
        image[0, :, 4 * place : 4 * place + 4] = 240
    np.save(file, images)
    return file


def test_the_floor_is_the_least_error_of_any_constant_image(tmp_path):
    file = _pictures(tmp_path / "bars.npy")
    config = RunConfig(data=str(file), objective="vae", steps=1, validation_images=60)
    dataset = config.dataset()
    floors = floors_of(config, dataset)
    images = dataset.tensor(validation_indices(config, dataset)).double()
    mean = images.mean(dim=0, keepdim=True).expand_as(images)
    constant = {"bernoulli": mean.logit(), "gaussian": mean}
    perfect = {"bernoulli": images.logit(eps=1e-12), "gaussian": images}
    for name, likelihood in RECONSTRUCTIONS.items():
        least = float(likelihood(constant[name], images))
        assert floors[name]["floor"] == pytest.approx(least, rel=1e-9)
        room = least - float(likelihood(perfect[name], images))
        assert floors[name]["room"] == pytest.approx(room, rel=1e-6)
        for other in (constant[name] + 0.01, constant[name] * 0.99):
            assert float(likelihood(other, images)) > least
    square = float((images - mean).square().sum()) / len(images)
    scale = torch.linspace(0.05, 1, 2000).double()
    errors = 1024 * (0.5 * math.log(2 * math.pi) + scale.log()) + square / (2 * scale**2)
    assert floors["scaled_gaussian"]["floor"] == pytest.approx(float(errors.min()), abs=1e-2)


def test_the_floor_of_a_classifier_is_how_often_values_occur(tmp_path):
    config = RunConfig(
        data={"name": "sprites", "size": 32, "cache": False}, objective="classification", steps=1
    )
    dataset = config.dataset()
    factors = dataset.factors(validation_indices(config, dataset))
    shares = [np.unique(one, return_counts=True)[1] / len(one) for one in factors.T]
    entropy = sum(float(-(p * np.log(p)).sum()) for p in shares)
    floors = floors_of(config, dataset)
    assert floors == {"factors": {"floor": pytest.approx(entropy), "room": pytest.approx(entropy)}}


def _trained(folder, rate, steps=60):
    path = _pictures(folder / "bars.npy")
    file = folder / "bars.yaml"
    file.write_text(STUDY.format(path=path, rate=rate, steps=steps))
    study = open_study(file, folder / "study")
    for run in study.runs.values():
        train_run(run.path, run.config)
    return study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return _trained(tmp_path_factory.mktemp("bars"), 5e-3)


def test_a_study_says_which_runs_learned(study):
    before = table_of_runs(study)
    assert list(before["learned"]) == [None] * 4
    assert before["why"].str.contains("not known: `stratigraph assess").all()
    keep_floors(study)
    table = table_of_runs(study)
    assert tuple(table.columns) == COLUMNS
    assert list(table["run"]) == list(study.runs)
    assert list(table["learned"]) == [True, False, True, True]  # of β 1, 10,000 and twice 1
    assert table["why"].ne("").tolist() == [False, True, False, False]
    assert table["best"].eq(table["error"].min()).all()
    assert (table["floor"] > table["best"]).all()
    # β-TC-VAE at β = 1 is the β-VAE, with the same streams bit for bit; a replicate is neither.
    assert table["config"].nunique() == 2
    assert list(table["duplicate_of"]) == ["", "", table["run"][0], ""]
    assert runs_of_findings(study) == [table["run"][0], table["run"][3]]
    assert table["error"][0] == table["error"][2] != table["error"][3]
    assert list(table["streams"]) == ["shared", "shared", "shared", "own"]


def test_floors_are_kept_once_and_are_of_the_study(study, tmp_path):
    keep_floors(study)
    file = study.path / FLOORS
    before = (file.read_bytes(), file.stat().st_mtime_ns)
    keep_floors(study)
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before
    found = verify_study(study.path)
    assert found.damages == []
    assert found.strange == []


def test_data_that_are_not_here_or_not_the_same_are_told(study, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(study.path, folder)
    (folder / FLOORS).unlink(missing_ok=True)
    for path in folder.glob("runs/*/config.json"):
        kept = read_json(path)
        write_json(path, {**kept, "conditions": {**kept["conditions"], "data": "others"}})
    copy = load_study(folder)
    keep_floors(copy)
    table = table_of_runs(copy)
    assert list(table["learned"]) == [None] * 4
    assert table["why"].str.contains("the data have changed since the run was trained").all()
    assert np.isfinite(table["error"]).all()
    held = read_json(folder / FLOORS)
    assert list(held["floors"]) == [floor_key(run.config) for run in copy.runs.values()][:1]


def test_a_study_that_learns_nothing_has_no_run_that_learned(tmp_path):
    study = _trained(tmp_path, 1e-9, steps=3)
    keep_floors(study)
    table = table_of_runs(study)
    assert list(table["learned"]) == [False] * 4
    assert table["why"].str.contains("no run of these data is below").all()


def test_a_newer_format_is_refused(study, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(study.path, folder)
    write_json(folder / FLOORS, {"format": 2, "floors": {}})
    with pytest.raises(ConfigError, match="written in format 2"):
        table_of_runs(load_study(folder))


def test_an_export_says_it_too(tiny_study, tmp_path):
    export_study(tiny_study, tmp_path / "out")
    table, exported = table_of_runs(tiny_study), table_of_runs(load_study(tmp_path / "out"))
    assert exported.drop(columns="learned").equals(table.drop(columns="learned"))
    assert list(exported["learned"]) == list(table["learned"])
