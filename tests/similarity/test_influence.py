"""Influence of probes: closed forms are the definition's, and a turned sign is turned."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic import gaussian

import stratigraph as sg
from stratigraph.errors import InputError
from stratigraph.similarity.influence import fewest_to_turn, probe_influence
from stratigraph.similarity.left_out import hsic_of_subsets, hsic_without_each
from stratigraph.similarity.measure import UndefinedWarning

N = 40
X = gaussian(N, 5)
Y = X @ gaussian(5, 60, 1) + 2 * gaussian(N, 60, 2)  # more units than probes
SCORES = {"debiased_cka": sg.debiased_cka, "linear_cka": sg.linear_cka}


@pytest.mark.parametrize("measure", SCORES)
def test_influence_is_what_the_score_loses_without_each_probe(measure):
    score = SCORES[measure]
    expected = [score(X, Y) - score(np.delete(X, i, 0), np.delete(Y, i, 0)) for i in range(N)]
    np.testing.assert_allclose(sg.probe_influence(X, Y, measure), expected, atol=1e-12)


@pytest.mark.parametrize("measure", SCORES)
def test_influence_is_blind_to_what_the_score_is_blind_to(measure):
    found = probe_influence(X, Y, measure)
    turn = np.linalg.qr(gaussian(5, 5, 3))[0]
    np.testing.assert_allclose(
        probe_influence(1e-9 * X @ turn, 1e3 * Y + 1e4, measure), found, atol=1e-8
    )
    np.testing.assert_allclose(probe_influence(Y, X, measure), found, atol=1e-12)
    order = np.random.default_rng(4).permutation(N)
    np.testing.assert_allclose(
        probe_influence(X[order], Y[order], measure), found[order], atol=1e-12
    )
    np.testing.assert_allclose(probe_influence(X, X, measure), 0, atol=1e-12)


@pytest.mark.parametrize("debiased", [True, False])
def test_subsets_are_those_probes_alone(debiased):
    kernels = [one @ one.T for one in (X, Y)]
    if debiased:
        for kernel in kernels:
            np.fill_diagonal(kernel, 0)
    k, m = kernels
    kept = np.random.default_rng(0).random((N, 6)) < 0.6
    found = [hsic_of_subsets(a, b, kept, debiased) for a, b in ((k, m), (k, k), (m, m))]
    score = SCORES["debiased_cka" if debiased else "linear_cka"]
    expected = [score(X[one], Y[one]) for one in kept.T]
    np.testing.assert_allclose(found[0] / np.sqrt(found[1] * found[2]), expected, atol=1e-12)
    whole, less = hsic_without_each(k, m, debiased)
    each = np.c_[np.ones((N, 1), bool), ~np.eye(N, dtype=bool)]
    np.testing.assert_allclose([whole, *less], hsic_of_subsets(k, m, each, debiased), rtol=1e-9)


def test_a_probe_without_which_nothing_is_left_has_no_influence_to_tell():
    one_off = np.zeros((8, 2))
    one_off[3, 0] = 1
    found = probe_influence(one_off, gaussian(8, 3), "linear_cka")
    assert np.flatnonzero(np.isnan(found)).tolist() == [3]
    with pytest.warns(UndefinedWarning, match="linear_cka is NaN for x, which is constant"):
        assert np.isnan(probe_influence(np.ones((8, 2)), gaussian(8, 3), "linear_cka")).all()


def test_what_has_no_closed_form_is_refused():
    with pytest.raises(InputError, match="expected debiased_cka or linear_cka"):
        probe_influence(X, Y, "procrustes_similarity")
    with pytest.raises(InputError, match="got 40 and 39 rows"):
        probe_influence(X, Y[:-1])
    with pytest.raises(InputError, match="at least 5 probes"):
        probe_influence(X[:4], Y[:4])


def mean_of(numbers):
    """A statistic that is linear but for its denominator: n subsets at once."""
    return lambda kept: np.array([numbers[one].mean() for one in kept.T])


@pytest.mark.parametrize("sign", [1, -1])
def test_the_fewest_that_turn_a_mean_are_found(sign):
    numbers = sign * np.r_[np.full(95, -0.1), np.full(5, 4.0)]  # mean .105; without three -.018
    influence = numbers.mean() - np.array([np.delete(numbers, i).mean() for i in range(100)])
    found = fewest_to_turn(float(numbers.mean()), influence, mean_of(numbers))
    assert set(found.probes) <= {95, 96, 97, 98, 99} and len(found.probes) == 3
    assert np.sign(found.value) == -sign
    assert found.predicted == 3
    # One fewer does not.
    assert sign * np.delete(numbers, found.probes[:2]).mean() > 0


def test_what_no_half_of_the_probes_turns_is_said_to_be_so():
    found = fewest_to_turn(1.0, np.full(20, 0.01), mean_of(np.ones(20)))
    assert not len(found.probes) and np.isnan(found.value) and found.predicted == 0
    assert not len(fewest_to_turn(float("nan"), np.zeros(20), mean_of(np.ones(20))).probes)


def test_cka_that_hangs_on_few_probes_is_turned_by_them():
    x, y = gaussian(60, 4, 7), gaussian(60, 4, 8)
    x[:2] += 30
    y[:2] += 30  # two far probes make strangers alike
    kernels = []
    for one in (x, y):
        kernel = one @ one.T
        np.fill_diagonal(kernel, 0)
        kernels.append(kernel)
    k, m = kernels
    floor = 0.5

    def less(kept):
        xy, xx, yy = (hsic_of_subsets(a, b, kept) for a, b in ((k, m), (k, k), (m, m)))
        return xy / np.sqrt(xx * yy) - floor

    found = fewest_to_turn(sg.debiased_cka(x, y) - floor, probe_influence(x, y), less)
    assert set(found.probes) < {0, 1}  # one far probe is not near to any other
    rest = [np.delete(one, found.probes, 0) for one in (x, y)]
    assert found.value + floor == pytest.approx(sg.debiased_cka(*rest), abs=1e-9)
