"""What is done when latents collapse: when it acts, what the weight is, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stratigraph.errors import ConfigError
from stratigraph.objectives import Terms
from stratigraph.training import CollapsedError, CollapseWatch, OnCollapse, RunConfig

FULL = {"every": 10, "after": 20, "over": 40, "patience": 2, "most": 1, "nats": 0.05}


def watch(readings, **settings):
    given = iter(readings)
    return CollapseWatch(OnCollapse(**{**FULL, **settings}), lambda: np.array(next(given)))


def run_on(one, steps):
    return [step for step in range(1, steps + 1) if one.step(step)]


def config(**given):
    values = {"data": "sprites", "objective": {"name": "beta_vae", "beta": 4}, "steps": 1000}
    return RunConfig(**{**values, **given})


def test_it_acts_after_as_many_readings_in_a_row_and_once():
    one = watch([[0.0, 0.0], [0.0, 1.0], [0.01, 0.01], [0.02, 0.0], [9.0, 9.0]])
    assert run_on(one, 200) == [50]  # read at 20, 30 (one is alive), 40 and 50, and then no more
    assert one.told == [(50, 2, 2)]
    assert [one.weight(step) for step in (50, 60, 90, 200)] == [0.0, 0.25, 1.0, 1.0]
    ((step, text),) = one.texts()
    assert step == 50
    assert "2 of 2 latents carry less than 0.05 nats" in text


def test_a_share_of_the_latents_is_enough_and_it_may_act_again():
    one = watch([[0.0, 1.0]] * 6, share=0.5, patience=1, most=2)
    # Annealed at 20 until 60; nothing is read while the weight is below 1.
    assert run_on(one, 100) == [20, 60]


def test_it_stops():
    with pytest.raises(
        CollapsedError, match=r"step 30 \(2 of 2 latents carry less than 0.05 nats\)"
    ):
        run_on(watch([[0, 0]] * 5, action="stop"), 100)


def test_a_watch_that_is_restored_goes_on_as_the_other():
    readings = [[0.0, 1.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    for stop in (25, 35, 45, 55):
        whole = watch(readings, most=2)
        acted = run_on(whole, 79)
        first = watch(readings, most=2)
        before = run_on(first, stop)
        again = watch(readings, most=2)
        again.read = first.read
        again.restore({name: value.clone() for name, value in first.state().items()})
        after = [step for step in range(stop + 1, 80) if again.step(step)]
        assert before + after == acted == [40]
        assert again.weight(50) == whole.weight(50) == 0.25


def test_the_weight_is_of_the_regulariser_alone():
    terms = Terms(*(torch.tensor(value) for value in (7.0, 4.0, 3.0, 1.5)))
    assert terms.with_weight(1.0) is terms
    half = terms.with_weight(0.5).values()
    assert half == {"loss": 5.5, "reconstruction": 4.0, "regulariser": 1.5, "kl": 1.5}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("annael", r"on_collapse: expected anneal or stop, got 'annael'\. Did you mean"),
        ({"every": 5}, "or a mapping with such an `action`"),
        ([1], "or a mapping with such an `action`"),
        ({"action": "anneal", "ovre": 5}, "no setting is called 'ovre'"),
        ({"action": "anneal", "share": 0}, "on_collapse: share: expected a number > 0"),
        ({"action": "anneal", "over": 0}, "on_collapse: over: expected a whole number from 1"),
        ({"action": 3}, "on_collapse: expected anneal or stop, got 3"),
    ],
)
def test_what_cannot_be_used_is_refused(settings, told):
    with pytest.raises(ConfigError, match=told):
        config(on_collapse=settings)


@pytest.mark.parametrize("objective", [{"name": "vq_vae", "codes": 8}, "classification"])
def test_networks_without_gaussian_latents_are_refused(objective):
    with pytest.raises(ConfigError, match="has no Gaussian latents that could collapse"):
        config(objective=objective, on_collapse="anneal")


def test_a_run_without_it_keeps_its_name():
    assert "on_collapse" not in config().to_dict()
    assert config(on_collapse="anneal") == config(on_collapse={"action": "anneal", "over": 500})
    assert config(on_collapse="anneal").run_id != config().run_id
    assert config(on_collapse="anneal").run_id != config(on_collapse="stop").run_id
    assert RunConfig.from_dict(config(on_collapse="stop").to_dict()) == config(on_collapse="stop")
    assert "on collapse anneal" in config(on_collapse="anneal").label()
