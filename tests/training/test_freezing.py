"""Freezing: who is frozen when, by given similarities; no backward pass below; the same resumed."""

import numpy as np
import pytest
import torch
from torch import nn

from stratigraph.errors import ConfigError
from stratigraph.training import Freezer, Freezing, RunConfig, trainable_layers

NAMES = ("0", "2", "4")


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 2))


class Planted:
    """Readings in which each layer turns by an angle of its own between two readings."""

    def __init__(self, angles):
        self.angles, self.count = dict(zip(NAMES, angles, strict=True)), 0

    def __call__(self):
        self.count += 1
        return {
            name: torch.tensor([np.cos(self.count * a), np.sin(self.count * a)])
            for name, a in self.angles.items()
        }


def freezer(angles=(0.0, 0.0, 0.0), **settings):
    model = network()
    settings = Freezing(**({"every": 10, "patience": 2, "threshold": 0.99} | settings))
    return model, Freezer(settings, trainable_layers(model, NAMES), Planted(angles))


def run(one, losses, start=0):
    for step, loss in enumerate(losses, start + 1):
        one.step(step, torch.tensor(float(loss)))


def noisy(level, n, seed=0):
    return level + np.random.default_rng(seed).normal(size=n)


def needs(model):
    return [model[int(name)].weight.requires_grad for name in NAMES]


def test_settled_layers_are_frozen_from_the_input_on():
    model, one = freezer((0.0, 0.0, 0.0))
    run(one, noisy(5, 29))
    assert one.frozen == 0  # one comparison so far
    run(one, noisy(5, 1), 29)
    assert one.frozen == 2  # never the last
    assert needs(model) == [False, False, True]
    assert one.told == [(30, 2)]


def test_a_layer_above_one_that_moves_is_not_frozen():
    model, one = freezer((0.5, 0.0, 0.0))
    run(one, noisy(5, 100))
    assert one.frozen == 0
    model, one = freezer((0.0, 0.5, 0.0))
    run(one, noisy(5, 100))
    assert needs(model) == [False, True, True]


def test_after():
    _, one = freezer(after=60)
    run(one, noisy(5, 59))
    assert one.frozen == 0
    run(one, noisy(5, 1), 59)
    assert one.frozen == 2


def test_layers_thaw_if_the_loss_stays_up_and_then_need_more_patience():
    model, one = freezer()
    run(one, noisy(5, 40))
    assert one.frozen == 2
    run(one, noisy(9, 10), 40)
    assert one.frozen == 2  # once is chance
    run(one, noisy(9, 10), 50)
    assert one.frozen == 0
    assert needs(model) == [True] * 3
    assert one.patience == 4
    run(one, noisy(9, 30), 60)
    assert one.told == [(30, 2), (60, 0), (90, 2)]


def test_noise_does_not_thaw():
    _, one = freezer(every=25)
    run(one, noisy(5, 3000))
    assert one.told == [(75, 2)]


def test_no_backward_pass_below_the_frozen_and_no_update_of_them():
    model, one = freezer(schedule=((2, 1),))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    x = torch.randn(8, 4)
    backward = []  # whether the backward pass of each step goes below the second layer
    model[0].register_forward_hook(lambda *given: backward.append(given[2].requires_grad))
    kept = None
    for step in range(1, 6):
        loss = model(x).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        one.step(step, loss)
        if step == 2:
            kept = model[0].weight.detach().clone()
    assert backward == [True, True, False, False, False]
    assert torch.equal(model[0].weight, kept)
    assert one.told == [(2, 1)]


def test_a_schedule_from_the_start_holds_before_the_first_update():
    model, one = freezer(schedule=((0, 1), (2, 2)))
    one.start(0)
    assert needs(model) == [False, True, True]
    run(one, [1.0] * 3)
    one.start(3)  # gone on: nothing is told twice
    assert one.told == [(0, 1), (2, 2)]
    with pytest.raises(ConfigError, match="the loss of each update is needed"):
        freezer()[1].step(1, None)


def test_layers_that_share_a_weight_are_frozen_together():
    model = network()
    extra = nn.Linear(5, 5)
    extra.weight = model[2].weight
    layers = {"0": model[0], "2": model[2], "extra": extra, "4": model[4]}
    one = Freezer(Freezing(schedule=((1, 2), (2, 3))), layers, None)
    one.step(1, None)
    assert (one.frozen, model[2].bias.requires_grad) == (1, True)
    one.step(2, None)
    assert (one.frozen, model[2].weight.requires_grad, model[2].bias.requires_grad) == (
        3, False, False,
    )  # fmt: skip
    model = network()
    model[4].weight = model[0].weight
    with pytest.raises(ConfigError, match="0, 2, 4 share weights, so none"):
        Freezer(Freezing(), trainable_layers(model, NAMES), None)


def test_what_the_caller_froze_is_not_thawed():
    model = network()
    model[2].bias.requires_grad_(False)
    one = Freezer(Freezing(schedule=((1, 2), (3, 0))), trainable_layers(model, NAMES), None)
    run(one, [1.0] * 4)
    assert one.told == [(1, 2), (3, 0)]
    assert model[2].weight.requires_grad
    assert not model[2].bias.requires_grad


def test_a_restored_freezer_goes_on_as_the_other():
    losses = np.concatenate([noisy(5, 47), noisy(9, 60, 1), noisy(4, 90, 2)])
    for cut in (13, 30, 55, 120):
        _, whole = freezer((0.0, 0.01, 0.0))
        run(whole, losses)
        _, first = freezer((0.0, 0.01, 0.0))
        run(first, losses[:cut])
        model, again = freezer((0.0, 0.01, 0.0))
        again.read.count = first.read.count
        again.restore(first.state())
        assert needs(model) == [index >= first.frozen for index in range(3)]
        run(again, losses[cut:], cut)
        assert again.told == whole.told
        for name, value in whole.state().items():
            assert torch.equal(value, again.state()[name]), name


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"every": 1}, "freezing: every: expected a whole number from 2"),
        ({"threshold": 1.5}, "freezing: threshold: expected a number from -1 to 1, got 1.5"),
        ({"patience": True}, "freezing: patience: expected a whole number"),
        ({"thresholds": 0.9}, "no setting is called 'thresholds'. Did you mean 'threshold'"),
        ({"schedule": [[5, 1], [5, 2]]}, "freezing: schedule: steps must increase"),
        ({"schedule": [5]}, r"freezing: schedule: expected \(step, layers\), got 5"),
        ("yes", "freezing: expected a mapping of settings, got 'yes'"),
    ],
)
def test_bad_settings(settings, text):
    with pytest.raises(ConfigError, match=text):
        RunConfig(data={"name": "sprites"}, objective={"name": "vae"}, steps=5, freezing=settings)


def test_runs_keep_their_names_and_defaults_are_the_same_run():
    def config(**more):
        return RunConfig(data={"name": "sprites"}, objective={"name": "vae"}, steps=5, **more)

    assert "freezing" not in config().to_dict()
    assert config().run_id == config(freezing=False).run_id
    assert config(freezing=True).run_id == config(freezing={"every": 200}).run_id
    assert config(freezing=True).run_id == config(freezing={"threshold": 0.9999}).run_id
    assert config(freezing=True).run_id != config().run_id
    # As they were named when the default was 0.999: those that wrote it down, and schedules.
    assert config(freezing={"threshold": 0.999}).run_id == "3240330509e5"
    assert config(freezing={"schedule": [[3, 1]]}).run_id == "60baf9a7d902"
    again = RunConfig.from_dict(config(freezing={"schedule": [[3, 1]]}).to_dict())
    assert again == config(freezing={"schedule": [[3, 1]]})
    assert "freezing by schedule" in again.label()
