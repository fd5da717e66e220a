"""Splits and probes: disjoint, complete, repeatable, spread over the factors."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from stratigraph.data import draw_paper_probes, draw_probes, load_dataset, split
from stratigraph.errors import InputError

SPRITES = load_dataset("sprites", size=32, cache=False)


@settings(deadline=None, max_examples=15)
@given(fraction=st.floats(0.01, 0.99), seed=st.integers(0, 2**64 - 1))
def test_parts_are_disjoint_and_cover_what_is_distinct(fraction, seed):
    parts = split(SPRITES, fraction, seed)
    assert parts.train.dtype == parts.validation.dtype == np.int64
    together = np.concatenate([parts.train, parts.validation])
    np.testing.assert_array_equal(np.sort(together), SPRITES.distinct())
    assert len(parts.validation) == round(fraction * 718_848)
    assert (np.diff(parts.train) > 0).all()


def test_the_same_seed_gives_the_same_parts():
    first, again, other = (split(SPRITES, 0.1, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.validation, again.validation)
    assert not np.array_equal(first.validation, other.validation)


def test_validation_is_no_corner_of_the_factor_space():
    factors = SPRITES.factors(split(SPRITES).validation)
    for column, size in enumerate(SPRITES.factor_sizes):
        values = size - 1 if SPRITES.factor_names[column] == "orientation" else size
        counts = np.bincount(factors[:, column], minlength=values)
        np.testing.assert_allclose(counts / len(factors), 1 / values, rtol=0.15)


def test_no_image_stands_on_both_sides():
    parts = split(SPRITES, 0.5)
    turned = SPRITES.factors(np.concatenate([parts.train, parts.validation]))[:, 2]
    assert turned.max() == 38
    everything = split(SPRITES, 0.5, drop_duplicates=False)
    assert len(everything.train) + len(everything.validation) == len(SPRITES)


def test_nothing_held_out():
    parts = split(SPRITES, 0.0)
    assert len(parts.validation) == 0
    assert len(parts.train) == 718_848


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan"), True])
def test_a_fraction_out_of_range(fraction):
    with pytest.raises(InputError, match="expected a fraction from 0 to below 1"):
        split(SPRITES, fraction)


def test_an_empty_part():
    with pytest.raises(InputError, match=r"each part needs at least one image"):
        split(SPRITES, 1e-9)


@pytest.mark.parametrize("seed", [-1, 2**64, True, 1.5])
def test_seeds_that_are_none(seed):
    with pytest.raises(InputError, match=r"expected an integer from 0 to 2\*\*64 - 1"):
        split(SPRITES, 0.1, seed)


def test_probes_are_held_out_distinct_and_nested():
    parts = split(SPRITES)
    probes = draw_probes(SPRITES, parts, 1000, seed=7)
    assert len(np.unique(probes)) == 1000
    assert np.isin(probes, parts.validation).all()
    np.testing.assert_array_equal(draw_probes(SPRITES, parts, 100, seed=7), probes[:100])
    assert not np.array_equal(draw_probes(SPRITES, parts, 1000, seed=8), probes)
    trained = draw_probes(SPRITES, parts, 1000, held_out=False)
    assert np.isin(trained, parts.train).all()


def test_more_probes_than_images():
    parts = split(SPRITES, 0.0)
    with pytest.raises(
        InputError, match=r"5 probes requested from the validation part of sprites, whi"
    ):
        draw_probes(SPRITES, parts, 5)


@pytest.mark.parametrize("count", [0, -3, 2.5, True])
def test_counts_that_are_none(count):
    with pytest.raises(InputError, match="at least 1"):
        draw_probes(SPRITES, split(SPRITES), count)


def test_the_protocol_of_the_paper():
    probes = draw_paper_probes(SPRITES, 10_000)
    assert probes.dtype == np.int64
    assert len(np.unique(probes)) == len(probes)
    # 10,000 draws from 737,280 meet n²/2N = 68 times.
    assert 9_900 < len(probes) < 9_970
    np.testing.assert_array_equal(probes, draw_paper_probes(SPRITES, 10_000))
