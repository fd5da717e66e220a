"""Intrinsic dimension on sets whose dimension is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from stratigraph.errors import InputError
from stratigraph.latents import levina_bickel, two_nn


def embedded(dimension: int, n: int = 1500, units: int = 30, seed: int = 0) -> np.ndarray:
    """Points spread evenly over a cube of a dimension, turned into more units."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((units, units)))[0][:dimension]
    return rng.uniform(size=(n, dimension)) @ turn


@pytest.mark.parametrize("estimator", [two_nn, levina_bickel])
@pytest.mark.parametrize("dimension", [1, 2, 4])
def test_the_dimension_of_a_flat_set(estimator, dimension):
    assert estimator(embedded(dimension)) == pytest.approx(dimension, rel=0.15)


@pytest.mark.parametrize("estimator", [two_nn, levina_bickel])
def test_the_dimension_of_a_sphere(estimator):
    points = np.random.default_rng(1).standard_normal((1500, 4))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    assert estimator(points) == pytest.approx(3, rel=0.12)


@given(st.floats(1e-6, 1e6), st.floats(-1e3, 1e3), st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_neither_scale_nor_offset_nor_rotation_matters(scale, offset, seed):
    x = embedded(3, n=80)
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((30, 30)))[0]
    for estimator in (two_nn, levina_bickel):
        assert estimator(scale * (x @ turn) + scale * offset) == pytest.approx(
            estimator(x), rel=1e-4
        )


def test_probes_that_coincide_count_once():
    x = embedded(2, n=300)
    for estimator in (two_nn, levina_bickel):
        assert estimator(np.concatenate([x, x[:50]])) == pytest.approx(estimator(x), rel=1e-9)


def test_too_few_distinct_probes_or_none_is_nan():
    assert np.isnan(two_nn(np.ones((50, 3))))
    assert np.isnan(two_nn(np.random.default_rng(0).standard_normal((8, 3))))
    assert np.isnan(levina_bickel(np.random.default_rng(0).standard_normal((20, 3))))


def test_maximum_likelihood_is_its_formula():
    x = np.random.default_rng(3).standard_normal((40, 3))
    distances = np.sort(np.linalg.norm(x[:, None] - x[None], axis=2), axis=1)[:, 1:6]
    inverse = np.log(distances[:, -1:] / distances[:, :-1]).mean(axis=1)
    assert levina_bickel(x, k=5) == pytest.approx(1 / inverse.mean(), rel=1e-9)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="finite"):
        two_nn(np.array([[np.nan, 1.0]]))
    with pytest.raises(InputError, match="k: expected"):
        levina_bickel(np.zeros((30, 2)), k=2)
