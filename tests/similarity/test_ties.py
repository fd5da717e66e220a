"""Neighbours of probes that are equally far: no score depends on the order in which they come."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from synthetic import gaussian, rotation

from stratigraph.pairs.by_vectors import OutOfCore
from stratigraph.pairs.matrix import explain, similarity_matrix
from stratigraph.pairs.stored import compare_stored
from stratigraph.similarity.catalog import find_measure
from stratigraph.similarity.measure import UndefinedWarning, score
from stratigraph.similarity.neighbours import _places
from stratigraph.similarity.reduction import reduce_units

N, K = 200, 10
CHANCE = K / (N - 1)
BOTH = pytest.mark.parametrize("name", ["mutual_knn", "cknna"])


def of(name, x, y):
    return score(find_measure(name), x, y)


def codes(kind, seed, n=N):
    rng = np.random.default_rng(seed)
    if kind == "one-hot":
        return np.eye(3)[rng.integers(0, 3, n)]
    if kind == "bits":
        return rng.integers(0, 2, (n, 4)).astype(float)
    dead = np.maximum(rng.normal(size=(n, 3)) - 0.5, 0)  # most rows hold a zero, many are zero
    dead[rng.random(n) < 0.6] = 0
    return dead


@BOTH
@pytest.mark.parametrize("kinds", [("one-hot", "one-hot"), ("bits", "dead"), ("dead", "dead")])
def test_independent_codes_with_ties_score_chance(name, kinds):
    found = [of(name, codes(kinds[0], s), codes(kinds[1], s + 900)) for s in range(12)]
    if name == "mutual_knn" or "one-hot" in kinds:
        assert np.mean(found) == pytest.approx(CHANCE, abs=0.01)
    assert -0.01 < np.mean(found) < CHANCE + 0.01  # a kernel of neighbours that are unlike: less


@BOTH
def test_over_all_pairings_of_the_probes_the_mean_is_chance(name):
    """For mutual kNN k/(n − 1), ties or not, and below for CKNNA: m of each by its definition."""
    n = 40
    sides = x, y = codes("one-hot", 1, n), gaussian(n, 5)
    orders = [np.random.default_rng(s).permutation(n) for s in range(150)]
    found = [of(name, x, y[order]) for order in orders]
    shares = []
    for side in sides:
        kernel = (side - side.mean(0)) @ (side - side.mean(0)).T
        places = _places(torch.from_numpy(kernel), K, single=False).numpy()
        kernel = kernel if name == "cknna" else np.ones_like(kernel)
        mean_square = (places * kernel).sum() ** 2 / (places * kernel**2).sum() / (n * (n - 1))
        assert mean_square <= K / (n - 1) + 1e-12
        shares.append(np.sqrt(mean_square))
    assert abs(np.mean(found) - np.prod(shares)) < 4 * np.std(found) / np.sqrt(150)
    assert np.prod(shares) == pytest.approx(K / (n - 1), rel=1e-9 if name == "mutual_knn" else 0.3)


@BOTH
@pytest.mark.parametrize("kind", ["one-hot", "bits", "dead"])
@settings(max_examples=4, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_the_probes_changes_no_score(name, kind, seed):
    x, y = codes(kind, seed, 60), codes("bits", seed + 1, 60)
    order = np.random.default_rng(seed).permutation(60)
    assert of(name, x[order], y[order]) == pytest.approx(of(name, x, y), abs=1e-9)
    turned = x @ rotation(x.shape[1]) + 2
    assert of(name, turned, y) == pytest.approx(of(name, x, y), abs=1e-9)
    assert of(name, x, turned) == pytest.approx(1, abs=1e-9)


def test_shares_by_hand():
    """Five probes on a line and k = 1: the ends have one neighbour, the others two halves."""
    from stratigraph.similarity.neighbours import neighbour_measure

    line, n = np.arange(5.0)[:, None], 5
    w = np.zeros((n, n))
    for i in range(n):
        near = [j for j in (i - 1, i + 1) if 0 <= j < n]
        w[i, near] = 1 / len(near)
    other = np.array([[0.0], [1], [10], [11.5], [30]])
    v = np.zeros((n, n))
    v[[0, 1, 2, 3, 4], [1, 0, 3, 2, 3]] = 1
    off = ~np.eye(n, dtype=bool)
    chance = 1 / (n - 1)
    expected = chance + (1 - chance) * np.corrcoef(w[off], v[off])[0, 1]
    assert score(neighbour_measure(1), line, other) == pytest.approx(expected, abs=1e-12)


@BOTH
def test_equally_far_probes_have_no_neighbours(name):
    with pytest.warns(UndefinedWarning, match=f"{name} is NaN for x, which is equidistant"):
        assert np.isnan(of(name, np.eye(20), gaussian(20, 3)))
    with pytest.warns(UndefinedWarning):
        found = similarity_matrix({"even": np.eye(20), "x": gaussian(20, 3)}, measure=name)
    assert np.isnan(found.values).tolist() == [[True, True], [True, False]]
    assert "equidistant" in json.loads(found.attrs["reasons"])["even"]


@BOTH
def test_ties_survive_stored_coordinates(name, tmp_path):
    """Reductions are float32, and of wide layers rotated: ties are ties to that precision."""
    layers = {
        "bits": codes("bits", 1, 60),
        "wide": codes("bits", 2, 60) @ np.repeat(np.eye(4), 20, 1),
        "one-hot": codes("one-hot", 3, 60),
    }
    for key, value in layers.items():
        np.save(tmp_path / f"{key}.npy", reduce_units(value).coordinates)
    found = compare_stored([tmp_path / f"{key}.npy" for key in layers], name).values
    np.testing.assert_allclose(found, similarity_matrix(layers, measure=name), atol=1e-5)


@BOTH
def test_memory_is_planned_for_whole_matrices(name):
    measure = find_measure(name)
    n, count = 300, 7
    vector = measure.embed(torch.from_numpy(gaussian(n, 4))).parts[0]
    assert explain(n, [4000] * count, measure=name).memory == 4 * len(vector) * count
    assert explain(n, [4000] * count, measure=name, memory=4 * n * n).strategy == OutOfCore()


def test_half_matrices_of_the_others_are_planned_for():
    vector = find_measure("debiased_cka").embed(torch.from_numpy(gaussian(300, 4))).parts[0]
    assert explain(300, [4000]).memory == pytest.approx(4 * len(vector), rel=0.01)
