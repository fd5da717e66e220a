"""Distances between representations with noise: the laws of a metric, and what they reduce to."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy

from stratigraph.errors import InputError
from stratigraph.similarity.catalog import MEASURES
from stratigraph.similarity.measure import UndefinedWarning
from stratigraph.similarity.stochastic_shape import (
    Gaussians,
    _descend,
    _roots,
    _stacked,
    _starts,
    stochastic_shape_distance,
)
from stratigraph.testing.laws import value

SIZE = 40


def drawn(p: int, seed: int) -> Gaussians:
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=(SIZE, 3)) @ rng.normal(size=(3, p)) + rng.normal(size=(SIZE, p)) / 2
    return Gaussians(mean, np.exp(rng.normal(size=(SIZE, p)) - 1))


def covariances(x: Gaussians) -> np.ndarray:
    return x.variance[:, :, None] * np.eye(x.variance.shape[1])


def turned(x: Gaussians, seed: int, offset: float = 0.0) -> Gaussians:
    p = x.mean.shape[1]
    turn = scipy.stats.ortho_group.rvs(p, random_state=seed)
    return Gaussians(x.mean @ turn + offset, turn.T @ covariances(x) @ turn)


X, Y, Z = drawn(4, 0), drawn(4, 1), drawn(3, 2)


def wasserstein(x: Gaussians, y: Gaussians, turn: np.ndarray, weight: float) -> float:
    """The sum for one Q, from matrix roots as the definition has them."""
    total = 0.0
    means = [side.mean - side.mean.mean(0) for side in (x, y)]
    for m, v, s, t in zip(*means, covariances(x), covariances(y), strict=True):
        t = turn.T @ t @ turn
        root = scipy.linalg.sqrtm(s)
        bures = np.trace(s) + np.trace(t) - 2 * np.trace(scipy.linalg.sqrtm(root @ t @ root)).real
        total += weight * np.sum((m - v @ turn) ** 2) + (2 - weight) * bures
    return total


@pytest.mark.parametrize("weight", [0.0, 0.7, 1.0])
def test_the_sum_is_that_of_the_definition(weight):
    left, right = (_stacked(*_roots(side, "x"), 4, weight) for side in (X, Y))
    for start in _starts(left, right):
        found, turn = _descend(left, right, start, 500)
        assert found == pytest.approx(wasserstein(X, Y, turn, weight), rel=1e-6)


def test_steps_never_raise_the_sum():
    left, right = (_stacked(*_roots(side, "x"), 4, 1.0) for side in (X, Y))
    start = list(_starts(left, right))[-1]
    sums = [_descend(left, right, start, steps)[0] for steps in range(1, 30)]
    assert np.all(np.diff(sums) <= 1e-12 * sums[0])
    assert sums[-1] < 0.95 * sums[0]


def test_no_drawn_rotation_is_better():
    found = stochastic_shape_distance(X, Y)
    turns = scipy.stats.ortho_group.rvs(4, size=8, random_state=0)
    left, right = (_stacked(*_roots(side, "x"), 4, 1.0) for side in (X, Y))
    reached = [_descend(left, right, turn, 500)[0] for turn in turns]
    assert found**2 == pytest.approx(min(reached), rel=1e-7)


def test_it_is_a_metric():
    for a, b in itertools.combinations((X, Y, Z), 2):
        there, back = stochastic_shape_distance(a, b), stochastic_shape_distance(b, a)
        assert there == pytest.approx(back, rel=1e-12)
        assert there > 1
    for side in (X, Z):
        assert stochastic_shape_distance(side, side) == pytest.approx(0, abs=1e-6)
    for a, b, c in itertools.permutations((X, Y, Z)):
        legs = stochastic_shape_distance(a, b) + stochastic_shape_distance(b, c)
        assert stochastic_shape_distance(a, c) <= legs * (1 + 1e-9)


def test_a_rotation_an_offset_and_the_order_of_probes_do_not_count():
    found = stochastic_shape_distance(X, Y)
    assert stochastic_shape_distance(turned(X, 3, 1e4), Y) == pytest.approx(found, rel=1e-6)
    assert stochastic_shape_distance(turned(X, 3), turned(Y, 4)) == pytest.approx(found, rel=1e-6)
    assert stochastic_shape_distance(X, turned(X, 5)) == pytest.approx(0, abs=1e-5)
    order = np.random.default_rng(0).permutation(SIZE)
    mixed = (Gaussians(side.mean[order], side.variance[order]) for side in (X, Y))
    assert stochastic_shape_distance(*mixed) == pytest.approx(found, rel=1e-6)


def test_a_scale_of_both_is_the_distances():
    for scale in (1e-20, 1e20):
        scaled = (Gaussians(scale * side.mean, scale**2 * side.variance) for side in (X, Y))
        expected = scale * stochastic_shape_distance(X, Y)
        assert stochastic_shape_distance(*scaled) == pytest.approx(expected, rel=1e-9)


def test_without_noise_it_is_the_size_and_shape_distance():
    expected = value(MEASURES["size_and_shape_distance"], X.mean, Z.mean)
    still = (Gaussians(side.mean, np.zeros_like(side.variance)) for side in (X, Z))
    assert stochastic_shape_distance(*still) == pytest.approx(expected, rel=1e-9)
    only_means = stochastic_shape_distance(X, Z, weight=2)
    assert only_means == pytest.approx(math.sqrt(2) * expected, rel=1e-9)


def test_noise_alone_tells_two_apart():
    noisy = Gaussians(X.mean, 4 * X.variance)
    # Bures of Σ and 4Σ is tr Σ.
    assert stochastic_shape_distance(X, noisy) ** 2 == pytest.approx(X.variance.sum(), rel=1e-6)
    assert stochastic_shape_distance(X, noisy, weight=2) == pytest.approx(0, abs=1e-6)


def test_what_has_no_distance():
    still = Gaussians(np.ones((SIZE, 4)), np.zeros((SIZE, 4)))
    with pytest.warns(UndefinedWarning, match="NaN for y, which is constant, and without noise"):
        assert math.isnan(stochastic_shape_distance(X, still))
    for given, weight, message in (
        (X.mean, 1, r"y: expected Gaussians\(mean, variance\), got a ndarray"),
        (Gaussians(X.mean, -X.variance), 1, "y.variance: expected none below 0, got -"),
        (Gaussians(X.mean, X.variance[:, :2]), 1, r"y.variance: expected \(40, 4\), or covarianc"),
        (Gaussians(X.mean, -covariances(X)), 1, "y.variance: expected covariances, symmetric and"),
        (Gaussians(X.mean * np.nan, X.variance), 1, "y.mean: expected finite values"),
        (Gaussians(X.mean[:9], X.variance[:9]), 1, "expected the same probes .* got 40 and 9"),
        (Y, 3, "weight: expected a number from 0 to 2, got 3"),
    ):
        with pytest.raises(InputError, match=message):
            stochastic_shape_distance(X, given, weight)
