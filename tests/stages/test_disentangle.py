"""Disentanglement scores of studies: kept of every run, and told wherever a study is read."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import stratigraph as sg
from stratigraph.cli.main import app
from stratigraph.engine import LocalEngine
from stratigraph.errors import ConfigError, InputError, IntegrityError
from stratigraph.latents import information
from stratigraph.latents.scores import SCORES, MIGSettings, disentanglement_scores
from stratigraph.latents.scores.udr import udr
from stratigraph.records import MANIFEST, read_json
from stratigraph.report import report_path
from stratigraph.report.data import ReportData
from stratigraph.report.learning_data import disentanglement
from stratigraph.stages import Progress, export_study, run_stage, score_latents, verify_study
from stratigraph.stages.agreement import keep_agreement
from stratigraph.stages.score import score_run
from stratigraph.stages.task import task_of
from stratigraph.study import observed_path, probe_indices, representations_path, scores_path
from stratigraph.study.layout import udr_path
from stratigraph.study.parse import parse_config

QUICK = {"mig", "sap", "modularity", "irs"}
AT_LAST = {"dci", "dci_completeness", "dci_informativeness", "factor_vae", "beta_vae"}


@pytest.fixture
def copied(tiny_study, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(tiny_study.path, folder)
    return sg.load_study(folder)


def score(study):
    return score_latents(study, LocalEngine(1), Progress(quiet=True))


def test_every_run_has_its_scores(tiny_study):
    table = tiny_study.disentanglement()
    assert set(table["run"]) == set(tiny_study.runs)
    assert set(table["step"]) == {0, 2, 5, 12}
    assert set(table.loc[table["step"] == 12, "score"]) == QUICK | AT_LAST
    assert set(table.loc[table["step"] == 5, "score"]) == QUICK
    assert set(table["n"]) == {24}
    known = table[table["value"].notna()]
    assert set(known["score"]) >= QUICK
    assert known["value"].between(-0.5, 1).all()
    assert (table["value"].notna() | (table["reason"] != "")).all()


def test_they_are_those_of_the_means_on_the_probes(tiny_study):
    run = next(iter(tiny_study.runs.values()))
    mean = np.load(representations_path(run.path, 12) / "posterior.npy")[0]
    dataset = run.dataset()
    factors = dataset.factors(probe_indices(run.config, tiny_study.config.probes))
    found = disentanglement_scores(mean, factors, categorical=[0])  # the shape
    table = tiny_study.disentanglement()
    own = table[(table["run"] == run.run_id) & (table["step"] == 12)].set_index("score")
    for name, one in found.items():
        np.testing.assert_equal(own.loc[name, "value"], one.score)
    of = [f"of_{name}" for name in dataset.factor_names]
    np.testing.assert_allclose(own.loc["sap", of].astype(float), found["sap"].by_factor)
    np.testing.assert_allclose(
        own.loc["dci_completeness", of].astype(float), found["dci"].by_factor
    )
    assert own.loc["dci", of].isna().all()


def test_the_record_says_with_which_settings(tiny_study):
    run = next(iter(tiny_study.runs.values()))
    about = read_json(scores_path(run.path) / MANIFEST)["about"]
    assert about["settings"]["mig"] == {"bins": 20}
    assert about["settings"]["factor_vae"]["batch"] == 64
    assert set(about["settings"]) == set(SCORES)
    assert about["reason"] == ""


def test_a_study_of_before_gains_them_when_it_is_assessed(copied):
    expected = copied.disentanglement()
    for run in copied.runs.values():
        shutil.rmtree(scores_path(run.path))
    assert copied.disentanglement().empty
    weights = {p: p.stat().st_mtime_ns for p in copied.path.rglob("*.safetensors")}
    tables = {p: p.stat().st_mtime_ns for p in copied.path.rglob("layers.parquet")}
    run_stage("assess", copied, LocalEngine(1))
    pd.testing.assert_frame_equal(copied.disentanglement(), expected)
    assert {p: p.stat().st_mtime_ns for p in weights} == weights
    assert {p: p.stat().st_mtime_ns for p in tables} == tables


def test_nothing_is_scored_twice_but_what_changed(copied, monkeypatch):
    assert score(copied) == 0
    run = next(iter(copied.runs.values()))
    shutil.rmtree(scores_path(run.path))
    assert score(copied) == 1
    # Another default is another estimator.
    other = dataclasses.replace(SCORES["mig"], settings=lambda: MIGSettings(bins=7))
    monkeypatch.setitem(SCORES, "mig", other)
    assert score(copied) == 4


def test_a_network_without_means_is_passed_over_with_its_reason(copied):
    run = next(iter(copied.runs.values()))
    for step in run.steps:
        (representations_path(run.path, step) / "posterior.npy").unlink()
    score_run(task_of("score", copied, run, (0, 12), scores_path(run.path), {}))
    about = read_json(scores_path(run.path) / MANIFEST)["about"]
    assert about["reason"] == "no posterior with a mean was kept of it"
    assert run.run_id not in set(copied.disentanglement()["run"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"objective": {"name": "classification"}}, "it is a classifier, without latents"),
        ({"data": {"name": "DATA"}}, "fewer than 2 factors of"),
    ],
)
def test_runs_without_factors_or_latents_say_why(copied, tmp_path, change, reason):
    if "data" in change:
        np.save(tmp_path / "plain.npy", np.zeros((40, 32, 32), dtype=np.uint8))
        change = {"data": {"name": str(tmp_path / "plain.npy")}}
    run = next(iter(copied.runs.values()))
    config = {**run.config.to_dict(), **change}
    task = task_of("score", copied, run, (0, 12), scores_path(run.path), {})
    fewer = dataclasses.replace(copied.config.probes, count=4)
    score_run(dataclasses.replace(task, config=config, probes=fewer))
    assert read_json(scores_path(run.path) / MANIFEST)["about"]["reason"].startswith(reason)


def test_damage_is_found(copied):
    run = next(iter(copied.runs.values()))
    file = scores_path(run.path) / "scores.parquet"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    (damage,) = verify_study(copied.path).damages
    assert damage.path == scores_path(run.path)
    with pytest.raises(IntegrityError):
        copied.disentanglement()


def test_the_numbers_of_the_figure_are_means_over_seeds(tiny_study):
    table = disentanglement(ReportData(tiny_study))
    one = table[(table["score"] == "mig") & (table["step"] == 12)].iloc[0]
    assert one["runs"] == 2
    assert one["n"] == 24
    every = tiny_study.disentanglement()
    first = [run for run, of in tiny_study.runs.items() if of.config.objective["beta"] == 1]
    own = every[every["run"].isin(first) & (every["score"] == "mig") & (every["step"] == 12)]
    assert one["mean"] == pytest.approx(own["value"].mean())


def test_the_report_shows_them_with_source_and_settings(tiny_study):
    page = report_path(tiny_study).read_text()
    assert "estimated from 24 probes" in page
    assert "FactorVAE: Kim &amp; Mnih 2018 (votes 10000, tested 5000, batch 64" in page
    assert (tiny_study.path / "figures" / "disentanglement.webp").is_file()
    assert (tiny_study.path / "figures" / "disentanglement-over-training.webp").is_file()
    assert (tiny_study.path / "figures" / "gains.webp").is_file()


def test_they_are_exported_and_shown(tiny_study, tmp_path):
    export_study(tiny_study, tmp_path / "out")
    pd.testing.assert_frame_equal(
        sg.load_study(tmp_path / "out").agreement(), tiny_study.agreement()
    )
    exported = pd.read_parquet(tmp_path / "out" / "scores.parquet")
    assert len(exported) == len(tiny_study.disentanglement())
    run = next(iter(tiny_study.runs))
    shown = CliRunner().invoke(app, ["show", str(tiny_study.path), run])
    assert "latents    mig 0." in shown.output
    assert "(of 24 probes, step 12)" in shown.output
    facts = json.loads(
        CliRunner().invoke(app, ["show", str(tiny_study.path), run, "--json"]).output
    )
    assert set(facts["disentanglement"]["scores"]) == QUICK | AT_LAST


def test_replicates_are_compared_with_each_other(tiny_study, copied):
    table = tiny_study.agreement()
    assert set(table["run"]) == set(tiny_study.runs)
    assert set(table["step"]) == {0, 2, 5, 12}
    assert set(table["others"]) == {1}
    first = [run for run, of in tiny_study.runs.items() if of.config.objective["beta"] == 1]
    expected = udr({
        run: np.load(representations_path(tiny_study.runs[run].path, 12) / "posterior.npy")
        for run in first
    })  # fmt: skip
    own = table[table["step"] == 12].set_index("run")["value"]
    for run in first:
        assert own[run] == expected[run].score
    assert not keep_agreement(copied)
    shutil.rmtree(udr_path(copied.path))
    assert copied.agreement().empty
    assert keep_agreement(copied)
    pd.testing.assert_frame_equal(copied.agreement(), table)


def test_slow_scores_of_every_step_where_the_study_asks(copied):
    run = next(iter(copied.runs.values()))
    asked = dataclasses.replace(copied, config=dataclasses.replace(copied.config, scores="every"))
    for other in list(copied.runs.values())[1:]:
        shutil.rmtree(other.path)
    one = dataclasses.replace(asked, runs={run.run_id: run})
    assert score(one) == 1
    table = one.disentanglement()
    assert set(table.loc[table["step"] == 2, "score"]) == QUICK | AT_LAST
    assert score(one) == 0
    with pytest.raises(ConfigError, match="scores: 'all' is not known"):
        parse_config({"name": "s", "grid": {"data": "sprites", "objective": "vae"},
                      "training": {"steps": 2}, "scores": "all"})  # fmt: skip


def test_information_is_kept_of_every_latent_and_step(tiny_study):
    run = next(iter(tiny_study.runs.values()))
    table = pd.read_parquet(observed_path(run.path) / "latents.parquet")
    mean, log_var = np.load(representations_path(run.path, 12) / "posterior.npy")
    own = table[table["step"] == 12]
    np.testing.assert_array_equal(own["information"], information(mean, log_var).nats)
    assert (table["information"] <= table["kl"] + 1e-9).all()


def test_mean_and_variance_of_two_runs_are_compared_as_one(tiny_study):
    first, second = list(tiny_study.runs)[:2]
    mean, log_var = np.load(representations_path(tiny_study.runs[first].path, 12) / "posterior.npy")
    held = tiny_study.posterior(first)
    np.testing.assert_allclose(held.mean, mean)
    np.testing.assert_allclose(held.variance, np.exp(log_var), rtol=1e-6)
    early = tiny_study.posterior(first, 0)
    assert sg.stochastic_shape_distance(held, held) == pytest.approx(0, abs=1e-5)
    assert sg.stochastic_shape_distance(held, early) > 0
    assert sg.stochastic_shape_distance(held, tiny_study.posterior(second)) > 0
    with pytest.raises(InputError, match="has no representations of step 3; it has snapshots at 0"):
        tiny_study.posterior(first, 3)
