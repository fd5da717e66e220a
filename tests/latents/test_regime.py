"""The polarised regime, by its definition."""

from __future__ import annotations

import numpy as np
import pytest

from stratigraph.errors import InputError
from stratigraph.latents import kl_by_latent, regimes


def test_each_regime_by_its_definition():
    half = np.tile([0.0, 1.0], 50)
    variance = np.stack(
        [
            np.full(100, 1.0),  # the prior's
            np.full(100, 0.01),  # a precise code
            np.where(half == 0, 0.02, 1.0),  # one or the other: Var 0.24
            np.full(100, 0.5),  # steady, but neither
            np.full(100, 1.2),  # beyond the prior's margin
        ],
        axis=1,
    )
    assert regimes(np.log(variance)).tolist() == ["passive", "active", "mixed", "mixed", "mixed"]


def test_the_thresholds_are_inclusive_of_the_mean_and_strict_of_the_spread():
    steady = np.log(np.full((4, 1), 0.0999))
    assert regimes(steady).tolist() == ["active"]
    # Var of {m − a, m + a} is a²; at a² just below and above 0.1.
    for a, expected in ((np.sqrt(0.0999), "passive"), (np.sqrt(0.1001), "mixed")):
        variance = np.array([[1 - a], [1 + a]])
        assert regimes(np.log(variance)).tolist() == [expected]


def test_an_exploded_variance_is_mixed_and_never_raises():
    assert regimes(np.array([[1e4], [0.0]])).tolist() == ["mixed"]


def test_kl_is_that_of_normal_distributions():
    import torch
    from torch.distributions import Normal, kl_divergence

    rng = np.random.default_rng(0)
    mean, log_var = rng.standard_normal((2, 30, 4))
    expected = kl_divergence(
        Normal(torch.tensor(mean), torch.tensor(log_var).mul(0.5).exp()), Normal(0.0, 1.0)
    ).mean(0)
    np.testing.assert_allclose(kl_by_latent(mean, log_var), expected.numpy(), rtol=1e-12)


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((1, 3)), np.full((3, 2), np.nan)])
def test_bad_input_is_refused(bad):
    with pytest.raises(InputError, match="log_var"):
        regimes(bad)
