"""Early warnings: told when they are so, with the numbers, and once until they worsen."""

import math

import numpy as np
import torch

from stratigraph.stages.signs import resumed_signs
from stratigraph.stages.state import StateFile
from stratigraph.training.signs import RECENT, Signs, constant_share


def told(losses):
    signs = Signs()
    return [text for step, loss in enumerate(losses) for text in signs.of_loss(step, loss)]


def test_a_training_that_learns_is_left_alone():
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(size=600)
        assert told(100 * np.exp(-np.arange(600) / 100) + 50 + 3 * noise) == []
        assert told(50 + 3 * noise) == []  # noise around a level is no sign


def test_divergence_is_told_once_with_its_numbers():
    falling, rising = np.linspace(100, 50, 100), np.linspace(50, 300, 200)
    (text,) = told([*falling, *rising])
    assert text.startswith("step 1")
    assert "divergence: the last 20 logged losses average" in text
    assert "lower the learning rate" in text
    signs = Signs()
    assert signs.of_loss(7, math.nan) == ["step 7: divergence: the loss is nan"]
    assert signs.of_loss(8, math.nan) == []
    assert len(signs.losses) <= RECENT


def test_collapse_is_told_when_it_worsens():
    signs = Signs()
    kl = np.array([2.0, 1.0, 0.001])
    assert signs.of_latents(0, np.zeros(3)) == []  # the untrained posterior
    (text,) = signs.of_latents(1100, kl)
    assert text.startswith(
        "step 1,100: collapse: 1 of 3 latents below 0.01 nats (KL 3 nats in total"
    )
    assert signs.of_latents(1200, kl) == []
    (text,) = signs.of_latents(1300, np.zeros(3))
    assert "3 of 3" in text
    assert "the decoder gets no information" in text


def test_dead_layers():
    signs = Signs()
    assert signs.of_layers(5, {"conv1": 0.1, "conv2": 0.62}) == []  # it has learnt nothing yet
    (text,) = signs.of_layers(5000, {"conv1": 0.1, "conv2": 0.62})
    assert text == "step 5,000: dead layer: 62% of the units of conv2 answer every probe alike"
    assert signs.of_layers(6000, {"conv2": 0.64}) == []
    assert len(signs.of_layers(7, {"conv2": 1.0})) == 1  # all of it, however early


def test_latents_without_information_are_told_of_where_their_kl_is_not():
    signs = Signs()
    signs.of_latents(2000, np.array([0.001, 1.0, 1.0]))  # one is told of by its KL
    assert signs.of_information(2000, np.array([0.001, 0.5, 0.5])) == []
    (text,) = signs.of_information(2100, np.array([0.001, 0.002, 0.5]))
    assert text.startswith("step 2,100: uninformative: 2 of 3 latents carry less than 0.01 nats")
    assert signs.of_information(2200, np.array([0.001, 0.002, 0.5])) == []
    fresh = Signs()
    assert fresh.of_information(0, np.zeros(3)) == fresh.of_information(20, np.zeros(3)) == []
    assert fresh.of_information(30, np.array([0.5, 0.0, 0.0])) == []
    (text,) = fresh.of_information(40, np.zeros(3))  # it was informative
    assert "uninformative: 1 of 3" in text


def test_a_healthy_beginning_is_no_collapse_and_a_later_one_is_told():
    signs, prior, learnt = Signs(), np.full(10, 0.001), np.linspace(1, 2, 10)
    assert signs.of_latents(10, prior) == []
    assert signs.of_latents(16, np.array([1.0, *prior[1:]])) == []  # one after another
    assert signs.of_latents(25, learnt) == []
    (text,) = signs.of_latents(40, prior)
    assert "10 of 10" in text
    assert signs.of_latents(63, learnt) == []
    assert len(signs.of_latents(100, prior)) == 1  # it came back, and went again
    # One that never learns is told after the beginning, and not before.
    never = Signs()
    assert never.of_latents(999, prior) == []
    assert "10 of 10" in never.of_latents(1000, prior)[0]
    assert "10 of 10" in Signs().of_latents(60, prior, early=50)[0]


def test_what_was_told_is_taken_up_by_a_run_that_goes_on(tmp_path):
    first, state = Signs(), StateFile(tmp_path, 100)
    first.of_latents(2000, np.array([1, 0.001]))
    first.of_layers(2500, {"conv": 1.0})
    state.signs, state.told = first.texts, first.told
    state.end("stopped", 2500)
    rows = [{"step": step, "split": "training", "loss": 1.0} for step in (10, 2000)]
    signs = resumed_signs(tmp_path, rows)
    assert len(signs.texts) == 1
    assert signs.of_latents(2100, np.array([1, 0.001])) == []
    assert len(signs.of_layers(2500, {"conv": 1.0})) == 1  # what came later is forgotten


def test_a_unit_is_a_channel_or_a_column():
    x = torch.zeros(6, 4, 3, 3)
    assert constant_share(x) == 1
    x[2, 1, 0, 0] = 1  # one position of one channel answers one probe
    assert constant_share(x) == 0.75
    assert constant_share(x + 1e4) == 0.75
    tokens = torch.zeros(6, 3, 4)
    tokens[1, 2, 0] = 1
    assert constant_share(tokens) == 0.75
    matrix = torch.ones(6, 4)
    matrix[0, :2] = 2
    assert constant_share(matrix) == 0.5


def test_a_codebook_of_which_little_is_used_is_told():
    signs = Signs()
    one = np.zeros((64, 10), dtype=int)
    assert signs.of_codes(500, one, 128) == []  # it has learnt nothing yet
    (text,) = signs.of_codes(5000, one, 128)
    assert text.startswith("step 5,000: unused codes: 1 of 128 are chosen by 640 positions (perp")
    assert "(perplexity 1)" in text
    assert signs.of_codes(6000, one, 128) == []
    every = np.arange(640).reshape(64, 10) % 128
    assert Signs().of_codes(5000, every, 128) == []
    # Of more codes than there are positions, no more than those can be chosen.
    assert Signs().of_codes(5000, np.arange(640).reshape(64, 10), 4096) == []
