"""The jackknife over probes and what is known of chance: closed forms and coverage."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from synthetic import gaussian

import stratigraph as sg
from stratigraph.errors import InputError
from stratigraph.similarity.cka import debiased_cka
from stratigraph.similarity.measure import UndefinedWarning
from stratigraph.similarity.uncertainty import cka_interval, cka_null, permutation_bound

X = gaussian(30, 5)
Y = X @ gaussian(5, 4, 1) + gaussian(30, 4, 2)


def test_jackknife_equals_leaving_out_one_by_one():
    scores = np.array([debiased_cka(np.delete(X, i, 0), np.delete(Y, i, 0)) for i in range(30)])
    found = cka_interval(X + 1e4, Y * 1e-9)
    assert found.value == pytest.approx(debiased_cka(X, Y), abs=1e-9)
    expected = math.sqrt(29 / 30 * np.sum((scores - scores.mean()) ** 2))
    assert found.error == pytest.approx(expected, rel=1e-6)
    assert found.lower < found.value < found.upper


def test_jackknife_covers():
    whole, noise = gaussian(20_000, 6, 1), gaussian(20_000, 8, 3)
    other = whole @ gaussian(6, 8, 2) + 2 * noise
    truth = debiased_cka(whole, other)
    rows = [np.random.default_rng(s).choice(20_000, 150, replace=False) for s in range(100)]
    found = [cka_interval(whole[r], other[r]) for r in rows]
    assert np.mean([f.lower <= truth <= f.upper for f in found]) > 0.88


def test_the_former_null_is_calibrates():
    with pytest.warns(DeprecationWarning, match=r"cka_null is called stratigraph\.calibrate now"):
        found = cka_null(X, Y, permutations=20, seed=7)
    beside = sg.calibrate(X, Y, null=20, seed=7)
    assert found.value == pytest.approx(beside["value"].item(), abs=1e-6)
    assert found.p_value == beside["p"].item()
    rng = np.random.default_rng(7)
    expected = [debiased_cka(X, Y[rng.permutation(30)]) for _ in range(20)]
    np.testing.assert_allclose(found.null, expected, atol=1e-10)
    assert found.p_value == pytest.approx(1 / 21)


def test_bad_arguments():
    with pytest.raises(InputError, match=r"needs at least 6 probes \(rows\), got 5"):
        cka_interval(X[:5], Y[:5])
    with pytest.raises(InputError, match="confidence"):
        cka_interval(X, Y, 95)
    with pytest.raises(InputError, match="got 30 and 29 rows"):
        cka_interval(X, Y[:29])
    with pytest.warns(UndefinedWarning):
        assert math.isnan(cka_interval(X, np.ones((30, 2))).value)


def test_equidistant_probes_have_no_interval():
    other = gaussian(8, 3)
    for a, b, name in ((np.eye(8), other, "x"), (other, np.eye(8), "y")):
        with pytest.warns(UndefinedWarning, match=f"NaN for {name}, which is equidistant"):
            assert math.isnan(cka_interval(a, b).value)


def test_an_interval_needs_a_kernel_without_each_probe():
    two_off = np.zeros((8, 3))
    two_off[[3, 5]] = 1  # without either, the other is as far from all that are left
    with pytest.warns(UndefinedWarning, match=r"nothing but rounding without probe [35]"):
        found = cka_interval(two_off, gaussian(8, 3))
    assert found.value == pytest.approx(debiased_cka(two_off, gaussian(8, 3)), abs=1e-12)
    assert math.isnan(found.lower)


def test_the_permutation_variance_is_exact_for_every_permutation():
    """All 720 permutations of 6 probes: mean 0 and variance 2 / (n (n − 3)), for any kernels."""
    rng = np.random.default_rng(0)
    n = 6
    for p, q in ((2, 9), (1, 1), (30, 4)):
        x, y = rng.standard_normal((n, p)) ** 3, rng.standard_normal((n, q))
        scores = [debiased_cka(x, y[list(order)]) for order in permutations(range(n))]
        assert np.mean(scores) == pytest.approx(0, abs=1e-12)
        assert np.var(scores) == pytest.approx(2 / (n * (n - 3)))
        for c in (0.1, 0.3, 0.5):
            assert np.mean(np.array(scores) >= c) <= permutation_bound(c, n) + 1e-12


def test_the_bound_says_nothing_of_a_score_below_zero():
    assert permutation_bound(-0.1, 50) == permutation_bound(0.0, 50) == 1.0
    assert permutation_bound(0.5, 500) < 1e-4
    assert np.isnan(permutation_bound(np.nan, 50))
    with pytest.raises(InputError, match="at least 4"):
        permutation_bound(0.5, 3)
