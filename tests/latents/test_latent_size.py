"""FONDUE's search, on dimensions that are known."""

from __future__ import annotations

import math

import pytest

from stratigraph.errors import InputError
from stratigraph.latents import latent_size


def used(number):
    """A network that uses `number` latents: each further one adds a dimension to the sample."""
    return lambda p: (float(min(p, number)), float(p))


@pytest.mark.parametrize("number", [1, 2, 3, 7, 8, 13, 100])
@pytest.mark.parametrize("start", [1, 3, 8, 40])
def test_it_finds_the_number_that_is_used(number, start):
    found = latent_size(used(number), start, threshold=0.5)
    assert found.latents == number
    assert not found.bounded
    tried = [trial.latents for trial in found.trials]
    assert len(set(tried)) == len(tried)  # each is trained once
    assert len(tried) <= 2 * math.ceil(math.log2(max(number, start))) + 2


def test_the_order_of_trials_doubles_and_then_bisects():
    found = latent_size(used(11), 3, threshold=0.5)
    assert [trial.latents for trial in found.trials] == [3, 6, 12, 9, 10, 11]
    assert [trial.agree for trial in found.trials] == [True, True, False, True, True, True]
    assert [trial.gap for trial in found.trials] == [0, 0, 1, 0, 0, 0]


def test_the_threshold_counts():
    assert latent_size(used(5), 4, threshold=2).latents == 7
    assert latent_size(used(5), 4, threshold=0).latents == 5


def test_no_more_are_tried_than_allowed():
    found = latent_size(used(1000), 3, threshold=0.5, most=20)
    assert found.latents == 20
    assert found.bounded
    assert max(trial.latents for trial in found.trials) == 20
    assert latent_size(used(1000), 50, threshold=0.5, most=20).latents == 20
    assert not latent_size(used(19), 3, threshold=0.5, most=20).bounded


def test_nothing_that_agrees_is_zero_latents():
    assert latent_size(lambda p: (0.0, 3.0), 4, threshold=0.5).latents == 0


def test_means_that_coincide_do_not_agree():
    found = latent_size(lambda p: (math.nan, 1.0) if p > 2 else (1.0, 1.0), 4, threshold=0.5)
    assert found.latents == 2
    assert math.isnan(found.trials[0].gap)


def test_trials_are_told_as_they_are_made():
    told = []
    found = latent_size(used(5), 4, 0.5, told=told.append)
    assert tuple(told) == found.trials


@pytest.mark.parametrize(
    ("start", "threshold", "most", "said"),
    [
        (0, 1, 9, "start: expected a whole number ≥ 1, got 0"),
        (2.5, 1, 9, "start"),
        (2, 1, True, "most: expected"),
        (2, -1, 9, "threshold: expected a number ≥ 0, got -1"),
        (2, math.nan, 9, "threshold"),
    ],
)
def test_bad_numbers_are_refused(start, threshold, most, said):
    with pytest.raises(InputError, match=said):
        latent_size(used(3), start, threshold, most)
