"""The deeper networks of dense layers and convolutions: what depth adds, and what it leaves."""

from __future__ import annotations

import hashlib

import pytest
import torch
from torch import nn

from stratigraph.models import build_vae

SHAPE = (1, 32, 32)


def layers(model, part):
    return [name for name, _ in getattr(model, part).named_children()]


def test_the_studys_fully_connected_network_has_the_bits_it_had():
    """Digest of the weights of seed 7 before there were options."""
    digest = hashlib.sha256()
    model = build_vae("fully_connected", (1, 8, 8), 4, seed=7)
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode() + value.numpy().tobytes())
    assert digest.hexdigest() == "f920f82d2fd49163d995732d51445582a1a4c5e5b2258019c67e1abbffde9053"


@pytest.mark.parametrize("depth", [1, 2, 6])
def test_fully_connected_at_a_depth_and_width(depth):
    model = build_vae({"name": "fully_connected", "depth": depth, "width": 30}, SHAPE, 4)
    dense = [f"dense{number}" for number in range(1, depth + 1)]
    assert layers(model, "encoder") == ["flatten", *dense]
    assert layers(model, "decoder") == [*dense, "output"]
    sizes = [m.weight.shape for m in model.encoder.modules() if isinstance(m, nn.Linear)]
    assert sizes == [(30, 1024), *[(30, 30)] * (depth - 1)]
    sizes = [m.weight.shape for m in model.decoder.modules() if isinstance(m, nn.Linear)]
    assert sizes == [(30, 4), *[(30, 30)] * (depth - 1), (1024, 30)]


def test_one_convolution_a_scale_is_the_studys_network():
    """Weight for weight and bit for bit, so that the two differ in depth alone."""
    one = build_vae({"name": "deep_convolutional", "depth": 1}, SHAPE, 4, seed=3)
    study = build_vae("convolutional_k4", SHAPE, 4, seed=3)
    assert one.layer_names() == study.layer_names()
    images = torch.rand(3, *SHAPE)
    assert torch.equal(one(images).output, study(images).output)


@pytest.mark.parametrize("depth", [2, 3])
def test_convolutions_keep_the_scales(depth):
    model = build_vae({"name": "deep_convolutional", "depth": depth}, SHAPE, 4)
    assert sum(name.startswith("conv") for name in layers(model, "encoder")) == 4 * depth
    conv = [name for name in layers(model, "decoder") if name.startswith("conv")]
    assert conv == [f"conv{number}" for number in range(1, 4 * (depth - 1) + 1)]
    x, sides = torch.rand(2, *SHAPE), []
    with torch.no_grad():
        for name, layer in model.encoder.named_children():
            x = layer(x)
            if name.startswith("conv"):
                sides.append(x.shape[2])
    assert sides == [side for side in (16, 8, 4, 2) for _ in range(depth)]


def test_a_residual_block_is_its_formula():
    block = build_vae("residual", SHAPE, 4).encoder.block5  # halves, and widens from 32 to 64
    maps = torch.randn(2, 32, 8, 8)
    narrow, middle, wide = (m for m in block.branch if isinstance(m, nn.Conv2d))
    with torch.no_grad():
        halved = nn.functional.avg_pool2d(maps, 2)
        branch = wide(middle(narrow(halved.relu()).relu()).relu())
        expected = block.shortcut(halved) + branch / 8**0.5
        torch.testing.assert_close(block(maps), expected)


def test_a_residual_block_without_its_branch_is_the_identity():
    block = build_vae("residual", SHAPE, 4).encoder.block2
    nn.init.zeros_(block.branch[-1].weight)
    maps = torch.randn(2, 32, 8, 8)
    assert torch.equal(block(maps), maps)


def test_depth_does_not_blow_up_or_put_out_a_residual_network():
    """The spread of features at the start is alike at 4 and at 64 blocks."""
    images = torch.rand(16, *SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        spread = {
            depth: build_vae({"name": "residual", "depth": depth}, SHAPE, 4).encoder(images).std()
            for depth in (1, 16)
        }
    assert 0.5 < spread[16] / spread[1] < 2


@pytest.mark.parametrize("depth", [1, 3])
def test_blocks_mirror_each_other(depth):
    model = build_vae({"name": "residual", "depth": depth}, (3, 32, 64), 4)
    heard = {}
    for part in ("encoder", "decoder"):
        for name, layer in getattr(model, part).named_children():
            if name.startswith("block"):
                layer.register_forward_hook(
                    lambda m, args, out, key=(part, int(name[5:])): heard.update({key: out.shape})
                )
    with torch.no_grad():
        model(torch.rand(2, 3, 32, 64))
    last = 4 * depth
    sides = [(16, 32), (8, 16), (4, 8), (2, 4)]
    for number in range(1, last + 1):
        assert heard["encoder", number][2:] == sides[(number - 1) // depth]
        assert heard["decoder", last + 1 - number][2:] == sides[(number - 1) // depth]
