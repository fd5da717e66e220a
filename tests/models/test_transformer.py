"""The vision transformer and the autoencoder of maps: patches, positions, attention."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from stratigraph.models import build_vae
from stratigraph.models.kl_autoencoder import PlaceAttention
from stratigraph.models.vit import Attention, Cut, Join, Positions

SHAPE = (1, 32, 32)


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 16, 24)])
@pytest.mark.parametrize("patch", [4, 8])
def test_patches_are_those_of_unfold(shape, patch):
    images = torch.rand(2, *shape)
    patches = Cut(patch)(images)
    want = functional.unfold(images, patch, stride=patch).transpose(1, 2)
    assert torch.equal(patches, want)
    assert torch.equal(Join(shape, patch)(patches), images)


def test_attention_is_its_formula():
    attention, tokens = Attention(12, 3), torch.randn(2, 5, 12)
    with torch.no_grad():
        q, k, v = (layer(tokens) for layer in (attention.query, attention.key, attention.value))
        mixed = []
        for head in (slice(0, 4), slice(4, 8), slice(8, 12)):
            weights = (q[..., head] @ k[..., head].mT / 2).softmax(-1)  # √4
            mixed.append(weights @ v[..., head])
        expected = attention.output(torch.cat(mixed, 2))
        torch.testing.assert_close(attention(tokens), expected)


def test_attention_over_the_places_of_a_map():
    attention, maps = PlaceAttention(8), torch.randn(2, 8, 3, 5)
    with torch.no_grad():
        normed = attention.norm(maps)
        q, k, v = (
            layer(normed).reshape(2, 8, 15)
            for layer in (attention.query, attention.key, attention.value)
        )
        mixed = v @ (q.mT @ k / 8**0.5).softmax(-1).mT
        expected = maps + attention.output(mixed.reshape(2, 8, 3, 5))
        torch.testing.assert_close(attention(maps), expected)


def test_a_bias_of_the_keys_would_change_nothing():
    """Which is why there is none: its gradient would be nothing but rounding."""
    attention, tokens = Attention(8, 2), torch.randn(2, 5, 8)
    with torch.no_grad():
        before = attention(tokens)
        attention.key.bias = nn.Parameter(torch.randn(8))
        torch.testing.assert_close(attention(tokens), before)


def test_only_positions_tell_the_tokens_apart():
    model = build_vae("vit", SHAPE, 4)
    positions = model.encoder.patches[2]
    tokens = torch.randn(2, *positions.weight.shape)
    order = torch.randperm(tokens.shape[1], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        block = model.encoder.block1
        torch.testing.assert_close(block(tokens)[:, order], block(tokens[:, order]))
        assert not torch.allclose(
            block(positions(tokens))[:, order], block(positions(tokens[:, order]))
        )


@pytest.mark.parametrize("initialisation", ["keras", "torch"])
def test_positions_and_normalisations_begin_as_they_should(initialisation):
    model = build_vae("vit", SHAPE, 4, seed=2, initialisation=initialisation)
    positions = [m.weight for m in model.modules() if isinstance(m, Positions)]
    assert len(positions) == 1  # the decoder's are the bias of its linear layer
    assert 0.8 < positions[0].std() / 0.02 < 1.2
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            assert module.weight.eq(1).all()
            assert not module.bias.any()


def test_the_options_of_a_transformer():
    options = {"depth": 3, "width": 24, "heads": 2, "patch": 16}
    model = build_vae({"name": "vit", **options}, (3, 32, 48), 4)
    assert [name for name, _ in model.encoder.named_children()] == [
        *("patches", "block1", "block2", "block3", "pool")
    ]
    assert [name for name, _ in model.decoder.named_children()] == [
        *("tokens", "block1", "block2", "block3", "output")
    ]
    assert model.encoder.patches(torch.rand(2, 3, 32, 48)).shape == (2, 6, 24)
    assert model.decoder.tokens(torch.rand(2, 4)).shape == (2, 6, 24)
    assert model.z_mean.in_features == 24


@pytest.mark.parametrize("halvings", [2, 3])
def test_the_latents_of_the_autoencoder_are_a_map(halvings):
    side = 32 >> halvings
    latents = 2 * side**2
    model = build_vae({"name": "kl_autoencoder", "halvings": halvings}, SHAPE, latents)
    with torch.no_grad():
        assert model.encoder(torch.rand(2, *SHAPE)).shape[2:] == (side, side)
    heads = [model.z_mean[0], model.z_log_var[0]]
    assert [(head.kernel_size, head.out_channels) for head in heads] == [((1, 1), 2)] * 2


def test_groups_of_the_autoencoder_have_the_originals_four_channels():
    model = build_vae("kl_autoencoder", SHAPE, 16)
    for module in model.modules():
        if isinstance(module, nn.GroupNorm):
            assert module.num_channels == 4 * module.num_groups
