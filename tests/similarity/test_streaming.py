"""Minibatch-unbiased CKA: its expectation, its intervals, its memory, and the peers' traps."""

from __future__ import annotations

import numpy as np
import pytest
import textbook
from synthetic import gaussian, layers

from stratigraph.errors import InputError
from stratigraph.similarity.cka import debiased_cka
from stratigraph.similarity.streaming import GROUPS, shuffled_batches, stream_cka


def test_one_batch_is_debiased_cka():
    a = layers(80, (7, 120))
    found = stream_cka([a])
    expected = [[textbook.debiased_cka(x, y) for y in a.values()] for x in a.values()]
    np.testing.assert_allclose(found.values, expected, atol=1e-9)
    assert np.isnan(found.lower).all()
    assert (found.probes, found.batches, found.dropped) == (80, 1, 0)


def test_batches_sum_unbiased_estimates():
    a, b = layers(100, (7, 30)), layers(100, (9, 12, 5), seed=1)
    cut = [slice(0, 40), slice(40, 100)]
    found = stream_cka(
        ({k: v[c] for k, v in a.items()}, {k: v[c] for k, v in b.items()}) for c in cut
    )

    def hsic(x, y):
        total = 0.0
        for c in cut:
            k, m = (textbook.centred(v[c]) @ textbook.centred(v[c]).T for v in (x, y))
            total += len(k) * textbook.hsic_unbiased(k, m)
        return total

    for i, x in enumerate(a.values()):
        for j, y in enumerate(b.values()):
            expected = hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))
            assert found.values[i, j] == pytest.approx(expected, abs=1e-9)
    assert found.names_x == tuple(a)
    assert found.names_y == tuple(b)


def test_the_interval_covers_the_population():
    covered, trials = 0, 60
    whole = gaussian(20_000, 6, 1)
    mix, noise = gaussian(6, 8, 2), gaussian(20_000, 8, 3)
    whole_y = whole @ mix + 2 * noise
    truth = debiased_cka(whole, whole_y)
    for trial in range(trials):
        rows = np.random.default_rng(trial).choice(len(whole), 800, replace=False)
        found = stream_cka(shuffled_batches({"x": whole[rows], "y": whole_y[rows]}, size=40))
        covered += found.lower[0, 1] <= truth <= found.upper[0, 1]
    assert covered / trials > 0.85


def test_precision_stops_reading():
    a = {"x": gaussian(20_000, 5), "y": gaussian(20_000, 5) + gaussian(20_000, 5, 1)}
    read = []

    def watched():
        for batch in shuffled_batches(a, size=100):
            read.append(1)
            yield batch

    found = stream_cka(watched(), precision=0.03)
    assert found.width <= 0.03
    assert 16 <= len(read) < 200
    assert found.batches == len(read)


def test_memory_is_bounded_by_groups():
    from stratigraph.similarity.streaming import _Sums

    sums = _Sums()
    for seed in range(5 * GROUPS):
        sums.add({"x": gaussian(8, 3, seed), "y": gaussian(8, 2, seed + 1)}, None)
    assert len(sums.groups) <= GROUPS
    assert sum(sums.counts) == 5 * GROUPS


def test_a_last_batch_of_two_is_dropped_and_told():
    a = layers(102, (7, 30))
    found = stream_cka(shuffled_batches(a, size=50))
    assert (found.batches, found.dropped) == (2, 2)
    assert np.isfinite(found.values).all()
    with pytest.raises(InputError, match=r"at least one with 4 or more probes, got 3"):
        stream_cka([{"x": gaussian(3, 2)}])


@pytest.mark.parametrize("scale", [1e-20, 1e-3, 1e4, 1e20])
@pytest.mark.parametrize("offset", [0, 1e4])
def test_scale_and_offset_change_nothing(scale, offset):
    a = {name: x.astype(np.float64) for name, x in layers(90, (7, 30)).items()}
    expected = stream_cka(shuffled_batches(a, size=30)).values
    moved = {name: (x + offset) * scale for name, x in a.items()}
    found = stream_cka(shuffled_batches(moved, size=30)).values
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_sorted_data_need_the_shuffle_and_get_it():
    x = np.sort(gaussian(2_000, 1), axis=0) + 0.05 * gaussian(2_000, 4, 1)
    y = x @ gaussian(4, 3, 2) + 0.3 * gaussian(2_000, 3, 3)
    truth = debiased_cka(x, y)
    shuffled = stream_cka(shuffled_batches({"x": x, "y": y}, size=100)).values[0, 1]
    assert shuffled == pytest.approx(truth, abs=0.01)
    in_order = stream_cka({"x": x[i : i + 100], "y": y[i : i + 100]} for i in range(0, 2000, 100))
    assert abs(in_order.values[0, 1] - truth) > 0.03


def test_dead_layers_have_a_reason():
    found = stream_cka(shuffled_batches({"x": gaussian(60, 3), "dead": np.ones((60, 4))}, size=20))
    assert np.isnan(found.values[1]).all()
    assert found.values[0, 0] == pytest.approx(1)
    assert list(found.reasons) == ["dead"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batches_each_without_geometry_have_no_score(dtype):
    size = 300 if dtype == np.float32 else 8  # float32 has a way of its own from 2^16 entries
    even = (0.3 * np.eye(size)).astype(dtype)
    found = stream_cka({"even": even, "b": gaussian(size, 3, s)} for s in range(20))
    assert np.isnan(found.values[0]).all()
    assert found.values[1, 1] == pytest.approx(1)
    assert list(found.reasons) == ["even"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"precision": 0}, "precision: expected a positive half-width"),
        ({"confidence": 95}, "confidence: expected a number between 0 and 1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        stream_cka([{"x": gaussian(20, 3)}], **arguments)
    with pytest.raises(InputError, match="expected the layers"):
        stream_cka([{"x": gaussian(20, 3)}, {"y": gaussian(20, 3)}])


@pytest.mark.parametrize(("scale", "offset"), [(1, 0), (1, 0.5), (1, 50), (1e-20, 0), (1e15, 3)])
def test_wide_float32_batches_equal_float64(scale, offset):
    x, y = (np.maximum(gaussian(120, 9, s) @ gaussian(9, 900, 7), 0) + offset for s in (0, 1))
    single = {"x": (x * scale).astype(np.float32), "y": (y + x).astype(np.float32)}
    double = {name: value.astype(np.float64) for name, value in single.items()}
    found, expected = (stream_cka(shuffled_batches(a, size=120)) for a in (single, double))
    np.testing.assert_allclose(found.values, expected.values, atol=1e-6)


def test_batches_of_more_than_a_panel():
    a = {"x": gaussian(700, 3), "y": gaussian(700, 90) + gaussian(700, 3) @ gaussian(3, 90)}
    found = stream_cka([a])
    assert found.values[0, 1] == pytest.approx(debiased_cka(a["x"], a["y"]), abs=1e-9)
    alone = stream_cka([{"dead": np.ones((700, 3))}])
    assert np.isnan(alone.values).all()
    assert np.isnan(stream_cka([({"dead": np.ones((700, 3))}, a)]).values).all()
