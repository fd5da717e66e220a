"""The classifier: a VAE's encoder, one head a factor, trained on the factors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from stratigraph import train
from stratigraph.errors import ConfigError
from stratigraph.models import build_classifier, build_vae
from stratigraph.training import RunConfig, build_network, initial_state, training_states

SHAPE = (1, 32, 32)


@pytest.mark.parametrize("architecture", ["convolutional", "convolutional_k4", "fully_connected"])
def test_the_trunk_is_the_encoder_of_the_vae_of_the_same_seed(architecture):
    vae = build_vae(architecture, SHAPE, 4, seed=3)
    classifier = build_classifier(architecture, SHAPE, {"shape": 3, "colour": 1, "x": 8}, seed=3)
    theirs = dict(vae.encoder.named_parameters())
    for name, value in classifier.encoder.named_parameters():
        torch.testing.assert_close(value, theirs[name], rtol=0, atol=0)
    assert classifier.layer_names() == [
        name for name in vae.layer_names() if name == "input" or name.startswith("encoder.")
    ] + ["head.shape", "head.x"]


def test_the_loss_is_the_sum_of_cross_entropies():
    classifier = build_classifier("fully_connected", SHAPE, {"a": 3, "b": 5})
    images = torch.rand(7, *SHAPE)
    factors = torch.stack([torch.arange(7) % 3, torch.arange(7) % 5], 1)
    logits = classifier(images)
    expected = sum(functional.cross_entropy(one, factors[:, i]) for i, one in enumerate(logits))
    torch.testing.assert_close(classifier.cross_entropy(images, factors), expected)


def config(**changes):
    values = {
        "data": {"name": "sprites", "size": 32, "cache": False},
        "objective": "classification",
        "steps": 40,
        "batch_size": 32,
        "learning_rate": 1e-3,
        "validation_images": 32,
    }
    return RunConfig(**(values | changes))


def test_it_learns_the_factors_and_has_no_reconstruction(tmp_path):
    run = train(config(), tmp_path / "run")
    held_out = run.metrics[run.metrics["split"] == "validation"]["loss"]
    chance = sum(np.log(size) for size in run.dataset().factor_sizes if size > 1)
    assert held_out.iloc[0] == pytest.approx(chance, abs=1.0)
    assert held_out.iloc[-1] < held_out.iloc[0] - 1
    assert run.metrics["kl"].isna().all()
    assert run.config.supervised
    assert "z_mean" not in run.model().layer_names()


def test_the_batches_are_those_of_the_vae_of_the_same_seed():
    """The first step of the two sees the same images: the losses of one network tell."""
    dataset = config().dataset()
    state = initial_state(config(), dataset)
    weights = [p.detach().clone() for p in state.model.parameters()]
    states = training_states(config(), dataset, state)
    next(states)
    next(states)
    again = initial_state(config(), dataset)
    for before, fresh in zip(weights, again.model.parameters(), strict=True):
        torch.testing.assert_close(before, fresh, rtol=0, atol=0)
    assert any(
        not torch.equal(before, after)
        for before, after in zip(weights, state.model.parameters(), strict=True)
    )


def test_data_without_factors_are_refused(tmp_path):
    file = tmp_path / "pictures.npy"
    np.save(file, np.zeros((40, 32, 32), np.uint8))
    plain = config(data={"name": str(file)})
    with pytest.raises(ConfigError, match="no factor to classify"):
        build_network(plain, plain.dataset())
