"""Power: against simulation and the noncentral t, and what is said of how many decide."""

import math

import numpy as np
import pytest
import scipy

from stratigraph.evidence.estimate import estimate_from, raise_error
from stratigraph.evidence.needs import known_of
from stratigraph.evidence.power import Known, find_need, power, predicted_power

M = 0.05


def simulated(truths, spread, n, level, trials=40_000):
    rng = np.random.default_rng(0)
    y = np.array(truths)[:, None] + spread * rng.standard_normal((trials, len(truths), n))
    mean, error = y.mean(2), y.std(2, ddof=1) / math.sqrt(n)
    lower = (mean - error * scipy.stats.t.isf(level / 2, n - 1)).min(1)
    upper = (mean + error * scipy.stats.t.isf(level / 2 / len(truths), n - 1)).min(1)
    return ((lower > M) | (upper < -M) | ((lower > -M) & (upper < M))).mean()


@pytest.mark.parametrize(
    ("truths", "spread", "n"),
    [([0.1], 0.1, 4), ([0.1], 0.1, 20), ([-0.2], 0.1, 6), ([0.01], 0.04, 4), ([0.01], 0.04, 8),
     ([0.1, 0.12, 0.2], 0.1, 10), ([0.0, 0.01, 0.2], 0.05, 12), ([-0.2, 0.1], 0.1, 6)],
)  # fmt: skip
def test_power_is_what_simulation_says(truths, spread, n):
    parts = [Known(truth, spread / 2, 0.0, 3.0, 4) for truth in truths]
    found = power(parts, np.array([n]), -M, M, 0.05)[0]
    assert found == pytest.approx(simulated(truths, spread, n, 0.05), abs=0.01)


def test_of_a_threshold_it_is_that_of_the_noncentral_t():
    found = power([Known(0.1, 0.05, 0.0, 3.0, 4)], np.array([8]), 0.0, 0.0, 0.05)[0]
    shift, far = 0.1 / (0.1 / math.sqrt(8)), scipy.stats.t.isf(0.025, 7)
    exact = scipy.stats.nct.sf(far, 7, shift) + scipy.stats.nct.cdf(-far, 7, shift)
    assert found == pytest.approx(exact, abs=1e-4)


def test_it_grows_with_replicates_and_effects_and_falls_with_the_level():
    known = Known(0.1, 0.05, 0.0, 3.0, 4)
    counts = np.arange(2, 60)
    assert (np.diff(power([known], counts, -M, M, 0.05)) > 0).all()
    assert (power([known], counts, -M, M, 0.01) < power([known], counts, -M, M, 0.05)).all()


def test_the_fewest_replicates_have_the_power():
    known = Known(0.1, 0.05, 0.0, 3.0, 4)
    need = find_need([known], -M, M, 0.05)
    below, above = power([known], np.array([need.replicates - 1, need.replicates]), -M, M, 0.05)
    assert below < 0.8 <= above
    assert need.low < need.replicates
    assert need.high is None or need.high > need.replicates
    assert need.why == ""


def test_a_range_holds_the_number_that_the_truth_needs():
    """The truth needs n; of 40 first looks the ranges have it in about 32."""
    rng = np.random.default_rng(0)
    truth = find_need([Known(0.2, 0.1 / 2, 0.0, 3.0, 4)], -M, M, 0.05).replicates
    held = 0
    for _ in range(40):
        y = 0.2 + 0.1 * rng.standard_normal(6)
        known = Known(y.mean(), y.std(ddof=1) / math.sqrt(6), 0.0, 5.0, 6)
        need = find_need([known], -M, M, 0.05)
        held += (need.low or math.inf) <= truth <= (need.high or math.inf)
    assert 27 <= held <= 38


def test_what_no_number_decides_is_said_with_its_reason():
    assert find_need([Known(0.1, 0.05, 0.05, 3.0, 4)], -M, M, 0.05).why == "probes"
    on_it = find_need([Known(0.0501, 0.05, 0.0, 3.0, 4)], -M, M, 0.05)
    assert (on_it.replicates, on_it.why) == (None, "boundary")
    assert 0 < on_it.never < 1
    assert find_need([Known(0.1, math.nan, 0.0, math.nan, 1)], -M, M, 0.05).why == "one replicate"
    assert find_need([Known(math.nan, 0.1, 0.0, 3.0, 4)], -M, M, 0.05).why == "undefined"


def test_a_total_error_is_split():
    known = Known.split(0.1, 0.05, 0.04**2, 10.0, 4)
    assert known.error == pytest.approx(0.03)
    assert math.hypot(known.error, known.rest) == pytest.approx(0.05)
    # Satterthwaite's of both together is that of the total.
    both = 0.05**4 / (known.error**4 / known.freedom + known.rest**4 / 19)
    assert both == pytest.approx(10.0)
    assert Known.split(0.1, 0.05, 0.0, 7.0, 4) == Known(0.1, 0.05, 0.0, 7.0, 4)


def test_the_least_error_of_ranks_falls_with_runs():
    config, stream = np.zeros(6), np.arange(6)
    draws = np.random.default_rng(0).standard_normal((6, 1))
    found = estimate_from(np.array([0.4]), 0.4 + 1e-3 * draws, config, stream, correlation=True)
    (known,) = known_of(raise_error(found, 0.5))
    assert (known.error, known.rest) == (pytest.approx(0.5), 0.0)


def test_the_last_look_is_predicted():
    """Two of eight replicates are to come; the truth is about the estimate by its error."""
    rng = np.random.default_rng(0)
    value, error, now, last = 0.09, 0.02, 6, 8
    found = predicted_power([Known(value, error, 0.0, 5.0, now)], last, -M, M, 0.05)
    sigma = error * math.sqrt(now) * np.sqrt(5 / rng.chisquare(5, 40_000))
    truth = value + sigma / math.sqrt(now) * rng.standard_normal(40_000)
    more = truth[:, None] + sigma[:, None] * rng.standard_normal((40_000, last - now))
    mean = (now * value + more.sum(1)) / last
    squares = (
        (now - 1) * now * error**2
        + ((more - more.mean(1, keepdims=True)) ** 2).sum(1)
        + now * (last - now) / last * (more.mean(1) - value) ** 2
    )
    seen = np.sqrt(squares / (last - 1) / last)
    reach = seen * scipy.stats.t.isf(0.025, last - 1)
    decides = (mean - reach > M) | (mean + reach < -M) | ((mean - reach > -M) & (mean + reach < M))
    assert found == pytest.approx(decides.mean(), abs=0.015)
    assert predicted_power([Known(0.05, error, 0.0, 5.0, now)], last, -M, M, 0.05) < 0.1
    assert math.isnan(predicted_power([Known(0.1, math.nan, 0.0, 3.0, 4)], 8, -M, M, 0.05))
