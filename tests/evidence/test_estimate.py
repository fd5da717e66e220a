"""Intervals over runs and probes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from stratigraph.evidence.estimate import Estimate, Part, estimate_from, least_of, raise_error
from stratigraph.evidence.moderation import moderate


def of_mean(y: np.ndarray, config=None, stream=None, null: float = 0.0) -> Estimate:
    """The estimate of the mean over configurations of the mean over runs, y (r, g) or (r,)."""
    y = y[:, None] if y.ndim == 1 else y
    config = np.zeros(len(y)) if config is None else np.asarray(config)
    stream = np.arange(len(y)) if stream is None else np.asarray(stream)

    def statistic(kept: np.ndarray) -> np.ndarray:
        rows = np.mean([y[kept & (config == c)].mean(0) for c in np.unique(config)], axis=0)
        g = y.shape[1]
        return np.r_[rows.mean(), [np.delete(rows, i).mean() for i in range(g)] if g > 1 else []]

    keep = ~np.eye(len(y), dtype=bool)
    whole = statistic(np.ones(len(y), dtype=bool))
    single = min(np.unique(config, return_counts=True)[1]) < 2
    less = np.full((len(y), len(whole)), np.nan) if single else np.stack([*map(statistic, keep)])
    return estimate_from(whole, less, config, stream, null=null)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=12), st.floats(-1, 1))
@settings(deadline=None)
def test_a_mean_of_one_configuration_has_the_interval_and_p_of_a_t_test(values, null):
    if np.ptp(values) < 1e-6:
        return
    found = of_mean(np.array(values), null=null)
    expected = stats.ttest_1samp(values, null)
    low, high = expected.confidence_interval(0.95)
    assert found.value == pytest.approx(np.mean(values))
    assert found.p == pytest.approx(expected.pvalue, abs=1e-9)
    assert (found.lower, found.upper) == pytest.approx((low, high))
    assert found.freedom == pytest.approx(len(values) - 1)


def test_configurations_are_strata_whose_weights_stay():
    """Σ_c w_c² s_c²/n_c, with the degrees of freedom of Satterthwaite 1946, exactly."""
    rng = np.random.default_rng(0)
    sizes, config = (4, 3, 6), np.repeat([0, 1, 2], (4, 3, 6))
    y = rng.standard_normal(13) * (1 + config) + 5 * config
    found = of_mean(y, config)
    parts = np.array([y[config == c].var(ddof=1) / n / 9 for c, n in enumerate(sizes)])
    assert found.error == pytest.approx(np.sqrt(parts.sum()))
    freedom = parts.sum() ** 2 / (parts**2 / (np.array(sizes) - 1)).sum()
    assert found.freedom == pytest.approx(freedom)
    assert (found.replicates, found.configurations, found.runs) == (3, 3, 13)


def test_runs_that_share_streams_are_one_unit():
    """With one seed for all configurations it is the t test over seeds of their means."""
    rng = np.random.default_rng(1)
    table = rng.standard_normal((3, 5)) + 2 * rng.standard_normal(5)  # configurations × seeds
    found = of_mean(table.ravel(), np.repeat(range(3), 5), np.tile(range(5), 3))
    expected = stats.ttest_1samp(table.mean(0), 0.0)
    assert (found.lower, found.upper) == pytest.approx(expected.confidence_interval(0.95))
    assert found.freedom == pytest.approx(4)
    alone = of_mean(table.ravel(), np.repeat(range(3), 5))
    assert alone.error < found.error


def test_the_variance_of_a_crossed_mean_is_that_of_its_parts():
    """Without noise of both together, v = s²_runs/R + s²_probes/G exactly."""
    rng = np.random.default_rng(0)
    rows, columns = rng.standard_normal(6), rng.standard_normal(9)
    found = of_mean(rows[:, None] + columns[None, :])
    assert found.error_replicates == pytest.approx(rows.std(ddof=1) / np.sqrt(6))
    assert found.error_probes == pytest.approx(columns.std(ddof=1) / np.sqrt(9))
    assert found.error**2 == pytest.approx(found.error_replicates**2 + found.error_probes**2)


def test_what_is_of_both_together_is_counted_once():
    rng = np.random.default_rng(1)
    errors = [of_mean(rng.standard_normal((12, 20))).error for _ in range(60)]
    # σ²/(RG) is the truth; the sum of both parts alone would be twice that.
    assert np.mean(np.square(errors)) == pytest.approx(1 / 240, rel=0.5)


def test_one_run_has_an_interval_over_probes_alone():
    y = np.random.default_rng(2).standard_normal(10)
    found = of_mean(y[None])
    assert found.replicates == 1
    assert math.isnan(found.error_replicates)
    assert found.upper - found.lower == pytest.approx(
        2 * stats.t.ppf(0.975, 9) * y.std(ddof=1) / np.sqrt(10)
    )


def test_what_is_undefined_without_a_run_has_no_interval():
    less = np.array([[1.0], [np.nan]])
    found = estimate_from(np.array([1.0]), less, np.zeros(2), np.arange(2))
    assert found.value == 1.0
    assert math.isnan(found.p)
    assert math.isnan(found.lower)


def test_replicates_that_never_differ_leave_no_interval_unless_an_error_is_known():
    """A saturated rank correlation is not certain: it cannot see its error."""
    same = estimate_from(
        np.array([1.5]), np.full((3, 1), 1.5), np.zeros(3), np.arange(3), correlation=True
    )
    assert math.isnan(same.p)
    assert math.isnan(same.upper)
    raised = raise_error(same, 0.4)
    reach = 0.4 * stats.t.ppf(0.975, 2)
    assert (raised.lower, raised.upper) == pytest.approx(np.tanh([1.5 - reach, 1.5 + reach]))


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=9))
@settings(deadline=None)
def test_the_interval_of_a_correlation_stays_within_one(z):
    if np.ptp(z) < 1e-6:
        return
    whole = np.array([np.mean(z)])
    less = (np.sum(z) - np.array(z))[:, None] / (len(z) - 1)
    found = estimate_from(whole, less, np.zeros(len(z)), np.arange(len(z)), correlation=True)
    assert -1 <= found.lower <= found.value <= found.upper <= 1
    low, high = stats.ttest_1samp(z, 0.0).confidence_interval(0.95)
    assert (found.lower, found.upper) == pytest.approx(np.tanh([low, high]))


def test_a_correlation_that_rounds_to_one_has_no_interval():
    """Its z is lost: what is left of it in the value is no number to take an interval around."""
    z = np.array([40.0, 41.0, 42.0])
    less = (z.sum() - z)[:, None] / 2
    found = estimate_from(np.array([41.0]), less, np.zeros(3), np.arange(3), correlation=True)
    assert found.value == 1
    assert math.isnan(found.lower)
    assert math.isnan(found.p)


def test_one_sided_p_are_those_of_the_interval():
    found = of_mean(np.random.default_rng(3).standard_normal(7) + 1)
    for confidence in (0.8, 0.95, 0.99):
        lower, upper = found.interval(confidence)
        assert found.p_above(lower) == pytest.approx((1 - confidence) / 2)
        assert found.p_below(upper) == pytest.approx((1 - confidence) / 2)


def test_the_least_of_several_by_hand():
    """Lower bounds as they are (Berger 1982), upper bounds with their number corrected for."""
    parts = [Part(0.3, 0.1, 8.0), Part(0.5, 0.3, 5.0)]
    like = of_mean(np.array([0.1, 0.2]))
    found = least_of(parts, like)
    assert found.value == 0.3
    t = stats.t.ppf
    assert found.lower == pytest.approx(0.5 - 0.3 * t(0.975, 5))
    assert found.upper == pytest.approx(0.3 + 0.1 * t(1 - 0.025 / 2, 8))
    # Of being above: the least certain one's; of being below: the surest one's, for two.
    assert found.p_above(0.0) == pytest.approx(stats.t.sf(0.5 / 0.3, 5))
    assert found.p_below(0.6) == pytest.approx(2 * stats.t.sf(3, 8))
    alone = least_of(parts[:1], like)
    assert alone.interval(0.9) == pytest.approx((0.3 - 0.1 * t(0.95, 8), 0.3 + 0.1 * t(0.95, 8)))


def test_a_configuration_whose_error_is_unknown_leaves_no_bound():
    found = least_of([Part(0.3, 0.1, 8.0), Part(0.5, math.nan, math.nan)], of_mean(np.arange(3.0)))
    assert math.isnan(found.lower)
    assert math.isnan(found.p_above(0.0))


def test_moderated_variances_recover_what_they_were_drawn_from():
    """σ_c² = d_0 s_0²/χ²: with many configurations the prior is found (Smyth 2004)."""
    rng = np.random.default_rng(4)
    d0, s0, d = 6.0, 2.0, 3
    true = d0 * s0 / rng.chisquare(d0, 4000)
    seen = true * rng.chisquare(d, 4000) / d
    moderated, freedom = moderate(seen, np.full(4000, d))
    assert freedom[0] == pytest.approx(d0 + d, rel=0.15)
    assert np.mean((np.log(moderated) - np.log(true)) ** 2) < 0.5 * np.mean(
        (np.log(seen) - np.log(true)) ** 2
    )
    shrunk = (freedom[0] - d) / freedom[0]
    slope = np.polyfit(seen, moderated, 1)[0]
    assert slope == pytest.approx(1 - shrunk)


def test_variances_that_differ_by_chance_alone_are_pooled():
    # Of equal variances: less spread than chance has.
    moderated, freedom = moderate(np.array([1.0, 1.1, 0.9]), np.array([3, 3, 3]))
    assert moderated == pytest.approx(1.0)
    assert freedom == pytest.approx(9)
    alone, own = moderate(np.array([2.0]), np.array([4]))
    assert (alone[0], own[0]) == (2.0, 4.0)


def test_variances_that_share_their_luck_are_no_more_witnesses_than_one():
    variances, freedoms = np.array([1.0, 1.1, 0.9]), np.array([3, 3, 3])
    _, freedom = moderate(variances, freedoms, alike=1 / 3)
    assert freedom == pytest.approx(3)
    _, freedom = moderate(variances, freedoms, alike=0.01)
    assert freedom == pytest.approx(3)  # never less than one configuration has alone


def test_without_a_spread_anywhere_nothing_is_moderated():
    moderated, freedom = moderate(np.zeros(3), np.array([2, 2, 2]))
    assert (moderated == 0).all()
    assert replace(of_mean(np.arange(3.0)), freedom=1.0).freedom == 1.0
    assert freedom == pytest.approx(2)
