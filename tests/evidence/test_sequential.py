"""What stands after each look: repeated p, and verdicts that stay."""

import math

import numpy as np
import pytest
import scipy
from hypothesis import given, settings, strategies as st

from stratigraph.evidence.boundaries import thresholds
from stratigraph.evidence.sequential import Looks, Standing, follow, repeated_p

COUNTS = (4, 6, 8, 12)


@pytest.mark.parametrize("alpha", [0.9, 0.3, 0.05, 0.05 / 6, 1e-4])
def test_the_repeated_p_of_a_threshold_is_its_level(alpha):
    for now, threshold in enumerate(thresholds(COUNTS, alpha)):
        assert repeated_p(COUNTS, now, float(threshold)) == pytest.approx(alpha, rel=3e-3)


def test_the_repeated_p_of_one_look_is_p():
    assert repeated_p((5,), 0, 0.03) == pytest.approx(0.03)


def test_the_ends():
    assert repeated_p(COUNTS, 1, 1.0) == 1
    assert repeated_p(COUNTS, 3, 0.999) == 1
    assert math.isnan(repeated_p(COUNTS, 1, math.nan))
    assert 0 < repeated_p(COUNTS, 1, 0.0) < 1e-6
    assert repeated_p(COUNTS, 0, 1e-300) == repeated_p(COUNTS, 0, 0.0)


@given(st.integers(0, 3), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_it_grows_with_p_and_is_no_less(now, one, other):
    low, high = sorted((one, other))
    assert repeated_p(COUNTS, now, low) <= repeated_p(COUNTS, now, high)
    if low > 1e-6:
        assert repeated_p(COUNTS, now, low) >= low * (1 - 2e-3)


LOOK = st.tuples(
    st.one_of(st.floats(0, 1), st.just(math.nan)),
    st.sampled_from(["supported", "contradicted", "negligible"]),
)


@given(st.lists(LOOK, min_size=4, max_size=4), st.integers(0, 3))
@settings(max_examples=50, deadline=None)
def test_p_only_falls_and_what_is_settled_stays(history, when):
    before: dict[str, Standing] = {}
    settled = ""
    for now, (p, verdict) in enumerate(history):
        found = follow(Looks(COUNTS, now, before), {"a": p}, {"a": verdict})["a"]
        if before and not math.isnan(before["a"].p):
            assert found.p <= before["a"].p
        if settled:
            assert (found.verdict, found.settled) == (settled, True)
        if now == when and not math.isnan(found.p):
            found = Standing(found.p, found.verdict, found.replicates, True)
            settled = found.verdict
        before = {"a": found}


def test_the_verdict_is_of_the_look_that_decided():
    first = follow(
        Looks(COUNTS, 0, {}), {"a": 1e-6, "b": 0.5}, {"a": "supported", "b": "negligible"}
    )
    second = follow(
        Looks(COUNTS, 1, first), {"a": 0.2, "b": 0.01}, {"a": "negligible", "b": "contradicted"}
    )
    assert (second["a"].verdict, second["a"].replicates) == ("supported", 4)
    assert (second["b"].verdict, second["b"].replicates) == ("contradicted", 6)
    assert second["a"].p == first["a"].p < second["b"].p < first["b"].p


def test_repeated_p_keep_the_error_over_all_looks():
    """Of 20,000 sequences of nothing, at every level."""
    y = np.random.default_rng(1).standard_normal((20_000, 12))
    p = []
    for n in COUNTS:
        t = y[:, :n].mean(1) / (y[:, :n].std(1, ddof=1) / math.sqrt(n))
        p.append(2 * scipy.stats.t.sf(abs(t), n - 1))
    for alpha in (0.01, 0.05, 0.3):
        crossed = (np.column_stack(p) < thresholds(COUNTS, alpha)).any(1).mean()
        assert crossed == pytest.approx(alpha, abs=4 * math.sqrt(alpha / 20_000))
