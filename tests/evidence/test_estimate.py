"""Intervals over seeds and probes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from stratigraph.evidence.estimate import estimate, from_replicates


@dataclass(frozen=True)
class Table:
    """Numbers by seed and probe."""

    values: dict[int, np.ndarray]

    @property
    def seeds(self) -> list[int]:
        return sorted(self.values)

    @property
    def runs(self) -> int:
        return len(self.values)

    def without_seed(self, seed: int) -> Table:
        return Table({k: v for k, v in self.values.items() if k != seed})


def mean_without_groups(table: Table) -> np.ndarray:
    """The mean, then the mean without each column."""
    y = np.array(list(table.values.values()))
    if y.ndim == 1:
        y = y[:, None]
    if y.shape[1] == 1:
        return np.array([y.mean()])
    return np.r_[y.mean(), [np.delete(y, g, axis=1).mean() for g in range(y.shape[1])]]


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=12), st.floats(-1, 1))
@settings(deadline=None)
def test_a_mean_over_seeds_has_the_interval_and_p_of_a_t_test(values, null):
    if np.ptp(values) < 1e-6:
        return
    found = estimate(
        Table({i: np.array([v]) for i, v in enumerate(values)}), mean_without_groups, null
    )
    expected = stats.ttest_1samp(values, null)
    low, high = expected.confidence_interval(0.95)
    assert found.value == pytest.approx(np.mean(values))
    assert found.p == pytest.approx(expected.pvalue, abs=1e-9)
    assert (found.lower, found.upper) == pytest.approx((low, high))
    assert found.freedom == pytest.approx(len(values) - 1)


def test_the_variance_of_a_crossed_mean_is_that_of_its_parts():
    """Without noise of both together, v = s²_seeds/S + s²_probes/G exactly."""
    rng = np.random.default_rng(0)
    rows, columns = rng.standard_normal(6), rng.standard_normal(9)
    y = rows[:, None] + columns[None, :]
    found = estimate(Table(dict(enumerate(y))), mean_without_groups)
    assert found.error_seeds == pytest.approx(rows.std(ddof=1) / np.sqrt(6))
    assert found.error_probes == pytest.approx(columns.std(ddof=1) / np.sqrt(9))
    half = (found.upper - found.lower) / 2 / stats.t.ppf(0.975, found.freedom)
    assert half**2 == pytest.approx(found.error_seeds**2 + found.error_probes**2)


def test_what_is_of_both_together_is_counted_once():
    rng = np.random.default_rng(1)
    errors = []
    for _ in range(100):
        y = rng.standard_normal((12, 20))
        found = estimate(Table(dict(enumerate(y))), mean_without_groups)
        errors.append((found.upper - found.lower) / 2 / stats.t.ppf(0.975, found.freedom))
    # σ²/(SG) is the truth; the sum of both parts alone would be twice that.
    assert np.mean(np.square(errors)) == pytest.approx(1 / 240, rel=0.5)


def test_one_seed_has_an_interval_over_probes_alone():
    y = np.random.default_rng(2).standard_normal(10)
    found = estimate(Table({0: y}), mean_without_groups)
    assert found.seeds == 1
    assert math.isnan(found.error_seeds)
    assert found.upper - found.lower == pytest.approx(
        2 * stats.t.ppf(0.975, 9) * y.std(ddof=1) / np.sqrt(10)
    )


def test_an_undefined_replicate_leaves_no_interval():
    found = from_replicates(np.array([1.0]), np.array([[1.0], [np.nan]]), null=0.0, runs=2)
    assert found.value == 1.0
    assert math.isnan(found.p)
    assert math.isnan(found.lower)


def test_replicates_that_never_differ_leave_no_interval():
    """A saturated rank correlation is not certain: it cannot see its error."""
    same = from_replicates(np.array([1.0]), np.ones((3, 1)), null=0.0, runs=3)
    assert math.isnan(same.p)
    assert math.isnan(same.upper)


def test_a_seed_that_has_no_part_is_no_replicate():
    with_extra = Table({0: np.array([0.1]), 1: np.array([0.2]), 2: np.array([np.nan])})

    def of_the_defined(table: Table) -> np.ndarray:
        return np.array([np.nanmean([v[0] for v in table.values.values()])])

    found = estimate(with_extra, of_the_defined)
    alone = estimate(Table({0: np.array([0.1]), 1: np.array([0.2])}), of_the_defined)
    assert found.seeds == alone.seeds == 2
    assert (found.lower, found.upper, found.p) == (alone.lower, alone.upper, alone.p)
