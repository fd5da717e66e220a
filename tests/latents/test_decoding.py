"""Linear decodability against ridge regression done the long way."""

from __future__ import annotations

import numpy as np
import pytest

from stratigraph.errors import InputError
from stratigraph.latents import decodability
from stratigraph.latents.decoding import PENALTIES


def the_long_way(x, y):
    """R² of ridge regression refitted without each probe, at the best penalty."""
    n = len(x)
    # The penalty is in multiples of the mean squared singular value of the probes that are shown.
    centred = x - x.mean(0)
    squares = np.linalg.svd(centred, compute_uv=False) ** 2
    best = np.inf
    for penalty in PENALTIES:
        error = 0.0
        for i in range(n):
            rest = np.arange(n) != i
            # An intercept that is not shrunk: the centre is of the probes that are left.
            mean, level = x[rest].mean(0), y[rest].mean()
            a = (x[rest] - mean).T @ (x[rest] - mean)
            a += penalty * squares.mean() * np.eye(x.shape[1])
            weights = np.linalg.solve(a, (x[rest] - mean).T @ (y[rest] - level))
            error += (y[i] - level - (x[i] - mean) @ weights) ** 2
        best = min(best, error)
    total = sum((y[i] - y[np.arange(n) != i].mean()) ** 2 for i in range(n))
    return 1 - best / total


def test_leaving_one_out_in_closed_form_is_leaving_one_out():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 6)) * [3, 2, 1, 1, 0.5, 0.1] + 5
    y = np.rint(4 * x[:, 0] + 6 * rng.standard_normal(40)).astype(int)
    found = decodability(x, y[:, None], ["position"])
    assert len(np.unique(y)) > 10
    assert found["position"] == pytest.approx(the_long_way(x, y.astype(float)), abs=1e-6)


def test_what_is_there_is_read_and_what_is_not_is_not():
    rng = np.random.default_rng(1)
    shape = rng.integers(0, 3, 200)
    place = rng.integers(0, 32, 200)
    x = np.eye(3)[shape] @ rng.standard_normal((3, 20)) + rng.standard_normal((200, 20)) * 0.01
    found = decodability(x, np.stack([shape, place], 1), ["shape", "x"])
    assert found["shape"] > 0.99
    assert found["x"] < 0.1


def test_a_factor_of_one_value_is_nan_and_a_constant_representation_reads_nothing():
    rng = np.random.default_rng(2)
    factors = np.stack([np.zeros(30, int), rng.integers(0, 5, 30)], 1)
    found = decodability(np.ones((30, 4)), factors, ["colour", "scale"])
    assert np.isnan(found["colour"])
    assert found["scale"] == pytest.approx(0, abs=0.05)


def test_rotations_and_scales_do_not_matter():
    rng = np.random.default_rng(3)
    x, values = rng.standard_normal((50, 8)), rng.integers(0, 20, (50, 1))
    turn = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    one = decodability(x, values, ["x"])["x"]
    assert decodability(1e6 * x @ turn + 7, values, ["x"])["x"] == pytest.approx(one, abs=1e-8)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"expected \(n, p\) and \(n, 2\)"):
        decodability(np.zeros((5, 2)), np.zeros((5, 1), int), ["a", "b"])
