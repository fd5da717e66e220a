"""Boundaries of looks: known ones, the error that they spend, and how they grow."""

import numpy as np
import pytest
import scipy

from stratigraph.errors import ConfigError
from stratigraph.evidence import boundaries
from stratigraph.evidence.boundaries import spent, thresholds

LOOKS = (4, 6, 8, 12)


def test_boundaries_of_one_configuration_are_those_of_the_issue():
    # The issue gives p .00070, .00497, .0130, .0409; of 2,000,000 draws .000700, .00487, .01087
    # and .03395 crossed these first, where .000687, .00489, .01080 and .03363 may be spent.
    np.testing.assert_allclose(thresholds(LOOKS), [0.000700, 0.00497, 0.0130, 0.0409], rtol=0.02)
    # By our computation, the same to eight digits with twelve times as many nodes.
    golden = [0.00068689, 0.00501570, 0.01292935, 0.04064109]
    np.testing.assert_allclose(thresholds(LOOKS), golden, rtol=1e-5)


def test_with_many_degrees_of_freedom_they_are_those_of_the_normal_distribution():
    """Independently: the chance of staying inside, by the normal law of the looks' z."""
    looks = (60, 120, 180, 240)
    z = scipy.stats.norm.isf(thresholds(looks, 0.05, 2) / 2)
    share = np.array(looks) / looks[-1]
    law = np.sqrt(np.minimum.outer(share, share) / np.maximum.outer(share, share))
    for k in (2, 3, 4):
        inside = scipy.stats.multivariate_normal(cov=law[:k, :k]).cdf(z[:k], lower_limit=-z[:k])
        assert 1 - inside == pytest.approx(spent(looks, 0.05)[k - 1], rel=0.01)


def test_the_first_look_spends_what_it_may_and_one_look_spends_all():
    assert thresholds(LOOKS, 0.01)[0] == pytest.approx(spent(LOOKS, 0.01)[0])
    assert thresholds((7,), 0.03) == pytest.approx([0.03])
    assert spent(LOOKS, 0.03)[-1] == pytest.approx(0.03)


@pytest.mark.parametrize("looks", [(2, 3, 5), (4, 5, 6, 7, 8), LOOKS])
@pytest.mark.parametrize("strata", [1, 3])
def test_the_error_of_each_look_is_spent(looks, strata):
    """By simulation, at a level where 40,000 draws tell."""
    y = np.random.default_rng(0).standard_normal((40_000, strata, looks[-1]))
    going, error = np.ones(len(y), dtype=bool), []
    for n, threshold in zip(looks, thresholds(looks, 0.2, strata), strict=True):
        seen = y[:, :, :n]
        freedom = strata * (n - 1)
        scale = np.sqrt(seen.var(axis=2, ddof=1).mean(1) / (n * strata))
        crossed = going & (
            2 * scipy.stats.t.sf(np.abs(seen.mean((1, 2))) / scale, freedom) < threshold
        )
        error.append(crossed.mean())
        going &= ~crossed
    np.testing.assert_allclose(np.cumsum(error), spent(looks, 0.2), atol=4 * 0.4 / 200)


def test_they_grow_with_the_looks_the_level_and_the_strata():
    assert (np.diff(thresholds(LOOKS)) > 0).all()
    levels = [thresholds(LOOKS, alpha) for alpha in (0.05 / 6, 0.05 / 3, 0.05, 0.2)]
    assert (np.diff(levels, axis=0) > 0).all()
    strata = [thresholds(LOOKS, 0.05, count) for count in (1, 2, 6, 16)]
    assert (np.diff(strata, axis=0)[:, 1:] > 0).all()
    np.testing.assert_array_equal(thresholds(LOOKS, 0.05, 16), thresholds(LOOKS, 0.05, 99))


def test_more_nodes_change_nothing(monkeypatch):
    found = [thresholds(LOOKS, 0.05 / 6, strata) for strata in (1, 16)]
    monkeypatch.setattr(boundaries, "NODES", 400)
    monkeypatch.setattr(boundaries, "AROUND", 80)
    boundaries._thresholds.cache_clear()
    again = [thresholds(LOOKS, 0.05 / 6, strata) for strata in (1, 16)]
    boundaries._thresholds.cache_clear()
    np.testing.assert_allclose(again, found, rtol=2e-4)


@pytest.mark.parametrize("looks", [(), (1, 4), (4, 4), (6, 4), (4, 10**9)])
def test_looks_grow(looks):
    with pytest.raises(
        ConfigError,
        match="looks: expected increasing numbers of replicates from 2 to 1,000, such as",
    ):
        thresholds(looks)


def test_a_level_is_a_probability():
    with pytest.raises(ConfigError, match=r"between 0 and 1, got 1\.5"):
        thresholds(LOOKS, 1.5)
