"""Freezing in a run of ours: it is told in the losses, and a killed run freezes as another."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch

from stratigraph.errors import ConfigError
from stratigraph.records import load_weights_of, snapshot_steps
from stratigraph.stages import train_run
from stratigraph.stages.freezing import freezer_of
from stratigraph.study import Run
from stratigraph.study.parse import parse_config
from stratigraph.training import RunConfig, initial_state, training_states


def config_of(data, **freezing):
    settings = {"every": 3, "patience": 1, "threshold": -1.0, "inputs": 16, "thaw": 0.0, **freezing}
    return RunConfig(
        data=data, objective={"name": "beta_vae", "beta": 1}, steps=24, batch_size=8,
        architecture={"name": "fully_connected", "width": 32}, learning_rate=1e-3,
        snapshots=(0, 12, 24), log_every=1, validation=0.25, validation_images=20,
        freezing=settings,
    )  # fmt: skip


@pytest.mark.full
def test_a_killed_run_freezes_as_one_that_was_not(data, tmp_path, monkeypatch):

    module = importlib.import_module("stratigraph.stages.trainer")
    config = config_of(data)
    train_run(tmp_path / "whole", config)
    metrics = Run(tmp_path / "whole", config).metrics.query("split == 'training'")
    frozen = metrics["frozen"].to_numpy()
    assert frozen.max() > 0
    assert (np.diff(frozen) < 0).any()  # and thaws on the way, with no patience for noise
    monkeypatch.setattr(module, "CHECKPOINT_SECONDS", -1)
    save = module.save_checkpoint
    for stop in (4, 11, 17):

        def stopped(directory, step, *given, stop=stop):
            save(directory, step, *given)
            if step == stop:
                raise KeyboardInterrupt

        monkeypatch.setattr(module, "save_checkpoint", stopped)
        with pytest.raises(KeyboardInterrupt):
            train_run(tmp_path / "killed", config)
    monkeypatch.setattr(module, "save_checkpoint", save)
    train_run(tmp_path / "killed", config)
    assert snapshot_steps(tmp_path / "killed") == [0, 12, 24]
    for step in (12, 24):
        one, other = (load_weights_of(tmp_path / name, step) for name in ("whole", "killed"))
        assert all(torch.equal(one[name], other[name]) for name in one)
    again = Run(tmp_path / "killed", config).metrics.query("split == 'training'")
    assert np.array_equal(again["frozen"].to_numpy(), frozen)


def test_a_schedule_freezes_the_encoder_and_nothing_else(data):
    config = config_of(data, schedule=((10, 2),))
    dataset = config.dataset()
    state = initial_state(config, dataset)
    freezer = freezer_of(config, dataset, state)
    names = list(freezer.layers)
    kept = None
    for now in training_states(config, dataset, state, freezer):
        weights = {n: p.detach().clone() for n, p in now.model.named_parameters()}
        if now.step == 10:
            kept = weights
    moved = {name for name, value in weights.items() if not torch.equal(value, kept[name])}
    for name in weights:
        frozen = any(name.startswith(f"{layer}.") for layer in names[:2])
        assert (name in moved) != frozen, name
    assert names[0].startswith("encoder.")


def test_a_schedule_from_the_start_freezes_the_untrained(data):
    config = config_of(data, schedule=((0, 2),))
    dataset = config.dataset()
    state = initial_state(config, dataset)
    freezer = freezer_of(config, dataset, state)
    own = next(next(iter(freezer.layers.values())).parameters())
    begun = own.detach().clone()
    for now in training_states(config, dataset, state, freezer):
        if now.step == 2:
            break
    assert torch.equal(own, begun)
    assert freezer.told == [(0, 2)]


def test_a_run_that_freezes_needs_its_freezer(data):
    config = config_of(data)
    state = initial_state(config, config.dataset())
    with pytest.raises(ConfigError, match="needs its own Freezer"):
        next(training_states(config, config.dataset(), state))


def test_a_study_compares_with_and_without():
    study = parse_config(
        {
            "name": "freezing",
            "grid": {
                "data": {"name": "sprites", "size": 32},
                "objective": {"beta_vae": {"beta": 1}},
                "freezing": [None, {"threshold": 0.99}, {"schedule": [[100, 2]]}],
            },
            "training": {"steps": 200},
        }
    )
    assert [run.freezing is None for run in study.runs] == [True, False, False]
    assert len({run.run_id for run in study.runs}) == 3
