"""The numbers of the figures of how a study learned."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from stratigraph.evidence.settling import areas
from stratigraph.report import learning_data as learning
from stratigraph.report.data import ReportData
from stratigraph.report.heat_data import comparisons
from stratigraph.report.image_data import samples
from stratigraph.report.map_data import map_of_models


@pytest.fixture(scope="module")
def data(tiny_study):
    return ReportData(tiny_study)


def test_an_interval_over_seeds_is_students():
    values = [1.0, 2.0, 4.0]
    table = pd.DataFrame(
        {"key": ["a"] * 4 + ["b"], "v": [1.0, 2.0, 3.0, 5.0, 7.0], "seed": [0, 1, 2, 2, 0]}
    )  # the two runs of seed 2 are one replicate, of mean 4
    found = learning.over_seeds(table, ["key"], "v").set_index("key")
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert tuple(found.loc["a", ["low", "high"]]) == pytest.approx((low, high))
    assert found["runs"].tolist() == [4, 1]
    assert found.loc["b", "mean"] == 7.0
    assert np.isnan(found.loc["b", "low"])  # one run has no interval


def test_layer_pairs_are_those_of_the_matrix(tiny_study, data):
    table = learning.layer_pairs(data, data.evidence, "debiased_cka")
    assert set(table["pair"]) == {"input and sample", "mean and sample"}
    matrix = tiny_study.similarity("debiased_cka").values
    labels = tiny_study.labels("debiased_cka")
    c = data.configurations[0]
    expected = []
    for run in c.runs:
        own = labels[(labels["run"] == run.run_id) & (labels["step"] == 5)]
        place = {layer: index for index, layer in own["layer"].items()}
        expected.append(matrix[place["z_mean"], place["z_sample"]])
    row = table[
        (table["configuration"] == c.label)
        & (table["step"] == 5)
        & (table["pair"] == "mean and sample")
    ]
    assert row["mean"].item() == pytest.approx(np.mean(expected))
    assert row["runs"].item() == 2


def test_similarity_to_the_input_is_a_column_of_the_matrix(tiny_study, data):
    table = learning.to_input(data, data.scored["debiased_cka"])
    matrix = tiny_study.similarity("debiased_cka").values
    labels = tiny_study.labels("debiased_cka")
    values = []
    for run in tiny_study.runs:
        own = labels[(labels["run"] == run) & (labels["step"] == 12)]
        place = {layer: index for index, layer in own["layer"].items()}
        values.append(matrix[place["input"], place["encoder.conv2"]])
    row = table[(table["layer"] == "encoder.conv2") & (table["step"] == 12)]
    assert row["mean"].item() == pytest.approx(np.mean(values))
    assert "input" not in set(table["layer"])


def test_settling_is_the_mean_of_the_areas(data):
    table = learning.find_settling(data, data.evidence, "debiased_cka")
    rows, area, _ = areas(data.evidence.to_final["debiased_cka"])
    own = area[(rows["layer_x"] == "decoder.output").to_numpy(), 0]
    row = table[(table["layer"] == "decoder.output") & (table["kind"] == "similarity")]
    assert row["mean"].item() == pytest.approx(own.mean())
    assert row["runs"].item() == 4


def test_regimes_count_every_latent(data):
    table = learning.regimes(data, data.evidence)
    sums = table.groupby(["configuration", "step"])["mean"].sum()
    assert sums.to_numpy() == pytest.approx(10)


def test_maps_between_configurations_pair_different_seeds(data):
    found = comparisons(data, data.scored["debiased_cka"])
    (one,) = found
    assert one.title.startswith("strengths: beta_vae, beta = 1 (rows)")
    assert one.heat.pairs == 2  # seed 0 with seed 1, and 1 with 0; never one seed with itself


def test_the_map_of_models_keeps_the_distances_of_layer_matrices(data):
    (found,) = map_of_models(data, data.scored["debiased_cka"])
    assert len(found.points) == 16
    assert 0 < found.explained[1] <= found.explained[0] <= 1
    assert found.points["x"].mean() == pytest.approx(0, abs=1e-9)


def test_samples_are_the_same_draws_for_every_network(data):
    c = data.configurations[0]
    grid = samples(data.configurations, c.data, 5)
    assert grid.images.shape == (2, 5, 32, 32, 1)
    assert ((grid.images >= 0) & (grid.images <= 1)).all()
    again = samples(data.configurations, c.data, 5)
    np.testing.assert_array_equal(grid.images, again.images)
