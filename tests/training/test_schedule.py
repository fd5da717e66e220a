"""Which steps are kept: increasing, the last always, the first when asked."""

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from stratigraph.errors import ConfigError
from stratigraph.training import SnapshotSchedule

counts = st.integers(3, 60)
lasts = st.integers(1, 10**9)


def check(steps, last, count, start):
    assert all(type(step) is int for step in steps)
    assert all(a < b for a, b in pairwise(steps))
    assert steps[0] >= 0
    assert steps[-1] == last
    assert len(steps) <= count
    assert not start or steps[0] == 0


@given(counts, lasts, st.data(), st.booleans())
def test_log_spaced(count, last, data, start):
    first = data.draw(st.integers(1, last))
    steps = SnapshotSchedule.log_spaced(count, last, first=first, start=start).steps
    check(steps, last, count, start)
    assert steps[1 if start else 0] == first
    assert start or steps[0] > 0


@given(counts, lasts, st.booleans())
def test_evenly_spaced(count, last, start):
    steps = SnapshotSchedule.evenly_spaced(count, last, start=start).steps
    check(steps, last, count, start)
    distance = last / (count - 1 if start else count)
    for before, after in pairwise(steps):
        assert abs(after - before - distance) <= 1
    if last >= count:
        assert len(steps) == count


@given(lasts, st.booleans())
def test_paper(last, start):
    check(SnapshotSchedule.paper(last, start=start).steps, last, 7 if start else 6, start)


@given(st.sets(st.integers(0, 1000), min_size=1), st.integers(0, 1000))
def test_explicit_keeps_what_is_given_and_the_last(steps, more):
    given_steps, last = sorted(steps), max(steps) + more
    kept = SnapshotSchedule.explicit(given_steps, last).steps
    assert kept == tuple(sorted({*steps, last}))


def test_known_schedules():
    assert SnapshotSchedule.log_spaced(8, 1000).steps == (0, 10, 22, 46, 100, 215, 464, 1000)
    assert SnapshotSchedule.log_spaced(3, 1000, first=10, start=False).steps == (10, 100, 1000)
    assert SnapshotSchedule.evenly_spaced(5, 100).steps == (0, 25, 50, 75, 100)
    assert SnapshotSchedule.evenly_spaced(4, 100, start=False).steps == (25, 50, 75, 100)
    published = (6_000, 72_000, 138_000, 204_000, 269_000, 300_000)
    assert SnapshotSchedule.paper(300_000).steps == published
    assert SnapshotSchedule.paper(300_000, start=True).steps == (0, *published)
    assert SnapshotSchedule.paper(3_000).steps == (60, 720, 1380, 2040, 2690, 3000)


LOG = "log spacing needs 1 ≤ first ≤ last and 2 steps besides step 0, got"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: SnapshotSchedule(()), "at least one step is needed, got none."),
        (lambda: SnapshotSchedule((0, -3)), "a step is a whole number ≥ 0, got -3."),
        (lambda: SnapshotSchedule((0, 2.0)), "a step is a whole number ≥ 0, got 2.0."),
        (lambda: SnapshotSchedule((False, 2)), "a step is a whole number ≥ 0, got False."),
        (lambda: SnapshotSchedule((4, 4)), "steps must increase, got 4 before 4; sort them and"),
        (lambda: SnapshotSchedule((0, 9, 4)), "steps must increase, got 9 before 4; sort them and"),
        (lambda: SnapshotSchedule.explicit([], 9), "at least one step is needed, got none."),
        (lambda: SnapshotSchedule.explicit([0, 10], 9), "step 10 comes after the last step of tra"),
        (lambda: SnapshotSchedule.log_spaced(2, 100), f"{LOG} first 10, last 100, count 2."),
        (lambda: SnapshotSchedule.log_spaced(5, 9), f"{LOG} first 10, last 9, count 5."),
        (lambda: SnapshotSchedule.log_spaced(5, 9, first=0), f"{LOG} first 0, last 9, count 5."),
        (
            lambda: SnapshotSchedule.log_spaced(1, 99, start=False),
            f"{LOG} first 10, last 99, count 1.",
        ),
        (
            lambda: SnapshotSchedule.evenly_spaced(1, 9),
            "even spacing needs a count of 2 or more, got 1.",
        ),
        (lambda: SnapshotSchedule.evenly_spaced(3, -5), "a step is a whole number ≥ 0, got -5."),
    ],
)
def test_errors_say_what_was_expected_and_what_came(make, text):
    with pytest.raises(ConfigError) as error:
        make()
    assert str(error.value).startswith(f"snapshots: {text}")
