"""Scores without a group of probes are the scores of the probes that are left."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from stratigraph.pairs.agreement import rank_agreement
from stratigraph.pairs.group_sums import pair_scores
from stratigraph.pairs.jackknife import jackknife_pairs
from stratigraph.similarity.cka import debiased_cka, linear_cka
from stratigraph.similarity.kernel_cka import deconfounded_cka
from stratigraph.similarity.reduction import reduce_units

DIRECT = {"debiased_cka": debiased_cka, "linear_cka": linear_cka}


def related(seed: int, n: int, offset: float = 0.0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 7)) + offset
    y = x[:, :3] @ rng.standard_normal((3, 5)) + rng.standard_normal((n, 5))
    return x, y


@given(
    st.integers(0, 1000), st.integers(24, 60), st.integers(2, 6), st.sampled_from(sorted(DIRECT))
)
@settings(max_examples=40, deadline=None)
def test_every_column_is_the_score_of_the_probes_that_are_left(seed, n, groups, measure):
    x, y = related(seed, n, offset=3.0)
    found = pair_scores([x, y], np.array([[0, 1]]), measure, groups)[0]
    group = np.arange(n) % groups
    score = DIRECT[measure]
    expected = [score(x, y)] + [score(x[group != g], y[group != g]) for g in range(groups)]
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_groups_of_different_sizes_and_a_representation_with_itself():
    x, _ = related(0, 23)
    found = pair_scores([x], np.array([[0, 0]]), "debiased_cka", 5)[0]
    np.testing.assert_allclose(found, 1.0, atol=1e-12)


def test_stored_representations_and_the_input_regressed_out(tmp_path):
    n, groups = 40, 4
    x, y = related(1, n)
    z = np.random.default_rng(2).standard_normal((n, 60)) + x[:, :1]
    files = []
    for name, matrix in (("x", x), ("y", y), ("z", z)):
        files.append(tmp_path / f"{name}.npy")
        np.save(files[-1], reduce_units(matrix.astype(np.float32), name).coordinates)
    pairs = np.array([[0, 1], [1, 2]])
    found = jackknife_pairs(files, pairs, "deconfounded_cka", confounder=2, groups=groups)
    group = np.arange(n) % groups
    for g in range(groups):
        kept = group != g
        assert found[0, 1 + g] == pytest.approx(
            deconfounded_cka(x[kept], y[kept], z[kept]), abs=1e-6
        )
    assert found[0, 0] == pytest.approx(deconfounded_cka(x, y, z), abs=1e-6)
    # Halves stand behind, in the measure's own form: both of a split are all of the probes.
    halves = jackknife_pairs(
        files, pairs, "deconfounded_cka", confounder=2, groups=groups, halves=3
    )
    np.testing.assert_array_equal(halves[:, : 1 + groups], found)
    assert halves.shape == (2, 1 + groups + 6)
    half = np.isin(group, np.random.default_rng(0).permutation(groups)[: groups // 2])
    for column, kept in enumerate((half, ~half)):
        assert halves[0, 1 + groups + column] == pytest.approx(
            deconfounded_cka(x[kept], y[kept], z[kept]), abs=1e-6
        )
    # Nothing is left of the input once it is regressed out of itself.
    assert np.isnan(found[1]).all()


def test_equidistant_probes_have_no_score():
    representations = [np.eye(12), np.random.default_rng(0).normal(size=(12, 3))]
    found = pair_scores(representations, np.array([[0, 1], [0, 0], [1, 1]]), groups=3)
    assert np.isnan(found[:2]).all()
    np.testing.assert_allclose(found[2], 1)


def test_no_pair_gives_an_empty_table(tmp_path):
    found = jackknife_pairs([], np.empty((0, 2), dtype=int), "debiased_cka", groups=3)
    assert found.shape == (0, 4)


def test_agreement_is_spearmans_of_the_halves_by_kind():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=30)
    halves = truth[:, None] + 0.5 * rng.normal(size=(30, 4))
    halves[0, 2] = np.nan  # without a score in one half: not ranked
    kinds = np.array(["a"] * 20 + ["b"] * 7 + ["c"] * 3)
    found = rank_agreement(halves, kinds).set_index("kind")
    assert list(found.index) == ["a", "b"]  # three pairs have no order to speak of
    assert found["pairs"].tolist() == [19, 7]
    splits = [stats.spearmanr(halves[1:20, c], halves[1:20, c + 1])[0] for c in (0, 2)]
    assert found.loc["a", "agreement"] == pytest.approx(np.mean(splits))
    assert found.loc["a", "lowest"] == pytest.approx(min(splits))
    assert np.isnan(rank_agreement(np.ones((5, 2)), np.zeros(5))["agreement"][0])
    assert rank_agreement(np.empty((0, 0)), np.empty(0)).empty
