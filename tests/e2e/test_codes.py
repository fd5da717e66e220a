"""A study of VQ-VAEs from its file to its report: what it has, and what it says that it has not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stratigraph.cost.plan import plan_study
from stratigraph.engine import LocalEngine
from stratigraph.errors import InputError
from stratigraph.report.data import ReportData
from stratigraph.report.image_data import samples, traversal
from stratigraph.stages import run_study
from stratigraph.study import load_config, observed_path, probe_images, representations_path
from stratigraph.web.query import Query
from stratigraph.web.views import latents as views
from stratigraph.web.watch import Watched

STUDY = """
name: codes
grid:
  data: {name: sprites, size: 32, cache: false}
  architecture: {name: fully_connected, width: 32}
  objective: {vq_vae: {codes: [4, 16], dimensions: 2}}
  latents: 3
  seed: [0, 1]
training: {steps: 6, batch_size: 8, learning_rate: 1e-3, validation_images: 16, log_every: 3}
snapshots: {kind: explicit, steps: [0, 3, 6]}
probes: {count: 16}
measures: [debiased_cka, procrustes_similarity]
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("codes") / "codes.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def study(file, blank_figures):
    with blank_figures():
        return run_study(file, file.parent / "out", engine=LocalEngine(1))


@pytest.fixture(scope="module")
def run(study):
    return next(iter(study.runs.values()))


def test_codes_are_read_where_mean_and_variance_would_be(study, run):
    layers = set(study.labels("debiased_cka")["layer"])
    assert {"z_encoded", "z_quantised"} <= layers
    assert not layers & {"z_mean", "z_log_var", "z_sample"}
    assert not (representations_path(run.path, 6) / "posterior.npy").exists()
    assert len(pd.read_parquet(observed_path(run.path) / "latents.parquet")) == 0
    model, images = run.model(), probe_images(run.config, study.config.probes)
    quantised = model(images).posterior
    codes = pd.read_parquet(observed_path(run.path) / "codes.parquet")
    last = codes[codes["step"] == 6]
    shares = [np.unique(own, return_counts=True)[1] / 16 for own in quantised.chosen.T.numpy()]
    entropies = [-(share * np.log(share)).sum() for share in shares]
    np.testing.assert_allclose(last["information"], entropies, atol=1e-9)
    np.testing.assert_allclose(last["perplexity"], np.exp(entropies))
    book = model.z_quantised.vectors
    distances = ((quantised.encoded[:, :, None] - book) ** 2).sum(3)
    assert np.array_equal(quantised.chosen, distances.argmin(2))


def test_every_claim_has_a_verdict_or_says_what_is_missing(study):
    findings = {row["key"]: row for row in study.findings}
    assert findings["encoder_first"]["of_all_runs"]
    for name in ("collapse_tracked", "collapse_warning"):
        assert findings[name]["verdict"] == "not asked"
        assert "networks of codes and classifiers have none" in findings[name]["why"]
    for row in findings.values():
        assert row["verdict"] != "not asked" or (row["why"] and not row["estimates"])
    assert findings["latents_exception"]["of_all_runs"]


def test_losses_are_logged_with_the_perplexity(run):
    table = run.metrics
    assert np.isfinite(table["loss"]).all()
    assert (table["perplexity"] >= 1).all()
    assert (table["perplexity"] <= 4).all()
    assert table["kl"].to_numpy() == pytest.approx(3 * np.log(4))


def test_the_report_has_reconstructions_and_says_why_no_more(study, run):
    page = (study.path / "report" / "index.html").read_text()
    assert "Networks of codes have no prior to draw from" in page
    names = {path.name for path in (study.path / "figures").iterdir()}
    assert any(name.startswith("reconstructions-") for name in names)
    assert not any(name.startswith(("samples-", "traversal-")) for name in names)
    with pytest.raises(InputError, match="is a network of codes, which has no Gaussian latents"):
        traversal(run, None, None)
    configurations = ReportData(study).configurations
    with pytest.raises(InputError, match="the study has no VAE for"):
        samples(configurations, configurations[0].data, 2)


def test_the_page_says_why_its_latents_are_not_shown(study, run):
    watched, query = Watched(study.path), Query({"run": run.run_id})
    for view in (views.latents, views.posterior, views.traversal, views.decode):
        with pytest.raises(InputError, match=f"run {run.run_id} has codes, and no mean or var"):
            view(watched, query)


@pytest.mark.full
def test_a_plan_tells_codes_apart(file, without_ink):
    config = load_config(file)
    plan = plan_study(config, LocalEngine(1))
    assert (plan.runs, plan.snapshots) == (4, 12)
