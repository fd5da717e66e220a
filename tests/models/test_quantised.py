"""Networks of codes: the nearest entry, the gradient straight through, and maps of places."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch import nn

from stratigraph.activations import capture
from stratigraph.errors import ConfigError
from stratigraph.models import build_quantised, build_vae
from stratigraph.models.quantised import Codebook, QuantisedAutoencoder

SHAPE = (1, 32, 32)


def book(codes=7, dimensions=3, places=1):
    made = Codebook(codes, dimensions, places)
    values = np.random.default_rng(0).normal(size=(codes, dimensions))
    made.vectors.data = torch.tensor(values, dtype=torch.float32)
    return made


def test_the_nearest_entry_is_chosen():
    made = book()
    x = torch.randn(20, 12, generator=torch.Generator().manual_seed(1))
    entries = made.vectors.detach().numpy()
    want = cdist(x.reshape(-1, 3).numpy(), entries).argmin(1)
    assert np.array_equal(made.nearest(made.positions(x)).flatten(), want)
    assert np.array_equal(made(x).detach(), entries[want].reshape(20, 12))  # its bits


def test_the_gradient_passes_straight_through_and_not_into_the_codebook():
    made = book()
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(2)).requires_grad_()
    weight = torch.arange(30.0).reshape(5, 6)
    (made(x) * weight).sum().backward()
    assert torch.equal(x.grad, weight)
    assert made.vectors.grad is None


def test_the_numbers_of_a_place_are_quantised_together():
    # A map of 2 × 2 places with 2 positions of 3 dimensions each: channels 0-2 and 3-5.
    made = book(places=4)
    maps = torch.randn(5, 6, 2, 2, generator=torch.Generator().manual_seed(3))
    out = made(maps.flatten(1)).reshape(5, 6, 2, 2).detach()
    entries = {tuple(entry) for entry in made.vectors.tolist()}
    for image in out:
        for row in range(2):
            for column in range(2):
                assert tuple(image[:3, row, column].tolist()) in entries
                assert tuple(image[3:, row, column].tolist()) in entries
    positions = made.positions(maps.flatten(1))
    assert positions.shape == (5, 8, 3)
    assert torch.equal(made.flattened(positions), maps.flatten(1))


def test_an_encoder_that_ends_in_a_map():
    features = nn.Sequential(nn.Conv2d(1, 4, 8, stride=8))
    head = nn.Sequential(nn.Conv2d(4, 6, 1), nn.Flatten())
    decoder = nn.Sequential(nn.Unflatten(1, (6, 4, 4)), nn.ConvTranspose2d(6, 1, 8, stride=8))
    model = QuantisedAutoencoder(features, head, book(places=16), decoder)
    result = model(torch.rand(2, *SHAPE))
    assert result.output.shape == (2, *SHAPE)
    assert result.posterior.chosen.shape == (2, 32)


@pytest.mark.parametrize("architecture", ["convolutional", "fully_connected"])
def test_it_is_a_function_of_the_seed_and_begins_with_the_vaes_encoder(architecture):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, same, other = (
        build_quantised(architecture, SHAPE, 4, (9, 3), seed=seed) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, value in one.state_dict().items():
        assert torch.equal(value, same.state_dict()[name])
    assert not torch.equal(one.z_quantised.vectors, other.z_quantised.vectors)
    assert one.z_quantised.vectors.abs().max() <= 1 / 9
    vae = build_vae(architecture, SHAPE, 4, seed=1)
    for name, value in vae.encoder.state_dict().items():
        assert torch.equal(value, one.encoder.state_dict()[name])


def test_its_layers_can_be_read():
    model = build_quantised("convolutional", SHAPE, 4, (9, 3))
    images = torch.rand(3, *SHAPE)
    read = capture(model, images)
    assert list(read) == model.layer_names()
    assert read["z_encoded"].shape == read["z_quantised"].shape == (3, 12)
    codes = model(images).posterior
    assert torch.equal(read["z_encoded"], codes.encoded.flatten(1))
    assert torch.equal(read["z_quantised"], codes.vectors.flatten(1))


def test_names_that_are_not_there():
    with pytest.raises(ConfigError, match=r"architecture: unknown name 'convolutionnal'"):
        build_quantised("convolutionnal", SHAPE, 4, (9, 3))
