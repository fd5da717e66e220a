"""Information of latents: cases whose answers are known, and what leaves it as it is."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy

from stratigraph.errors import InputError
from stratigraph.latents import information, information_of_codes, kl_by_latent


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def normal_quantiles(n):
    return scipy.stats.norm.ppf((np.arange(n) + 0.5) / n)


def of(mean, log_var):
    mean = np.asarray(mean, dtype=float)
    found = information(mean[:, None], np.broadcast_to(log_var, mean.shape)[:, None])
    return found.nats[0], found.error[0]


@pytest.mark.parametrize(("spread", "noise"), [(1.0, 0.1), (2.0, 0.5), (1.0, 1.0), (0.1, 1.0)])
def test_a_gaussian_channel(spread, noise):
    """z = x + noise, x normal: ½ log(1 + signal to noise)."""
    nats, error = of(spread * normal_quantiles(4000), 2 * math.log(noise))
    assert nats == pytest.approx(0.5 * math.log1p((spread / noise) ** 2), rel=1e-3)
    assert 0 < error < 0.02


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_dead_latent_carries_nothing_wherever_it_lies(value):
    nats, error = of(np.full(100, value), -1.5)
    assert (nats, error) == (0, 0)
    assert kl_by_latent(np.full((2, 1), value), np.full((2, 1), -1.5)) > 0.3  # by the prior it does


def test_clusters_carry_the_logarithm_of_their_number():
    nats, error = of(np.repeat([0.0, 40.0, 90.0, 200.0], 25), 0.0)
    assert nats == pytest.approx(math.log(4), abs=1e-7)
    assert error < 1e-9
    unlike, _ = of(np.repeat([0.0, 40.0], [25, 75]), 0.0)
    assert unlike == pytest.approx(-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)), abs=1e-7)
    n = 50  # every probe its own: no more than n probes can tell
    assert of(100.0 * np.arange(n), -10.0)[0] == pytest.approx(math.log(n), abs=1e-7)


def test_a_mixture_of_unlike_widths_by_numerical_integration():
    mean, sd = np.array([0.0, 1.0, 1.0, 2.5]), np.array([0.3, 1.0, 0.05, 2.0])

    def negative(z):
        q = scipy.stats.norm.pdf(z, mean, sd).mean()
        return -q * math.log(q)

    cuts = [-25, 0, 0.8, 1.0, 1.2, 3, 30]
    pieces = itertools.pairwise(cuts)
    whole = sum(scipy.integrate.quad(negative, a, b, epsabs=1e-12, limit=200)[0] for a, b in pieces)
    expected = whole - np.mean(0.5 * np.log(2 * math.pi * math.e * sd**2))
    assert of(mean, 2 * np.log(sd))[0] == pytest.approx(expected, abs=1e-6)
    # What is in the width alone counts as well.
    assert of(np.zeros(2), np.array([0.0, -8.0]))[0] > 0.5


def test_moving_and_scaling_leave_it_and_the_kl_term_is_above(rng):
    mean, log_var = rng.standard_normal((300, 4)), rng.normal(-2, 1, (300, 4))
    found = information(mean, log_var)
    moved = information(1e-9 * mean + 7, log_var + 2 * math.log(1e-9))
    np.testing.assert_allclose(moved.nats, found.nats, atol=1e-6)
    assert (found.nats <= kl_by_latent(mean, log_var)).all()
    assert (found.nats <= math.log(300)).all()


def test_its_error_is_that_of_other_probes(rng):
    """The spread of the estimate over draws of the probes."""
    draws = [of(rng.standard_normal(200), 2 * math.log(0.5)) for _ in range(60)]
    nats, errors = np.array(draws).T
    assert errors.mean() == pytest.approx(nats.std(), rel=0.35)


def test_extreme_widths_are_finite():
    mean = np.array([0.0, 1.0, 2.0, 3.0])
    for log_var in ([-40, -40, -40, -40], [-745, 0, 0, -745], [600, 0, -3, 2], [900, -900, 0, 0]):
        nats, error = of(mean, np.array(log_var, dtype=float))
        assert -1e-6 <= nats <= math.log(4) + 1e-6
        assert math.isfinite(error)


def test_codes_carry_their_entropy():
    chosen = np.column_stack(
        [np.tile([0, 1, 2, 3], 10), np.full(40, 5), np.repeat([1, 2], [10, 30])]
    )
    found = information_of_codes(chosen)
    three_quarters = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    np.testing.assert_allclose(found.nats, [math.log(4), 0, three_quarters], atol=1e-12)
    assert found.error[1] == 0
    assert found.error[2] > 0


def test_bad_posteriors_are_refused():
    with pytest.raises(InputError, match="log_var: expected finite numbers"):
        information(np.zeros((3, 1)), np.full((3, 1), np.nan))
    with pytest.raises(InputError, match="expected one shape"):
        information(np.zeros((3, 1)), np.zeros((3, 2)))
    with pytest.raises(InputError, match="n ≥ 2 probes"):
        information(np.zeros((1, 1)), np.zeros((1, 1)))
