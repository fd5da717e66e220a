"""An architecture has one canonical form, and any encoder can be joined to any decoder."""

import pytest
import torch

from stratigraph.errors import ConfigError
from stratigraph.models import DECODERS, ENCODERS, FlatVAE, architecture_of, build_vae
from stratigraph.models.architecture import parse_architecture
from stratigraph.models.heads import heads


def small_encoder(image_shape, *, depth=2, bias=True):
    raise AssertionError("parsing makes nothing")


def small_decoder(image_shape, latents, *, depth=3, width):
    raise AssertionError("parsing makes nothing")


def whole(image_shape, latents, *, levels=2):
    raise AssertionError("parsing makes nothing")


def parse(value):
    return parse_architecture(
        value, {"a": small_encoder, "b": small_encoder}, {"a": small_encoder, "c": small_decoder},
        {"w": whole},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "plain", "text"),
    [
        ("a", "a", "a"),
        ({"name": "a"}, "a", "a"),
        ({"encoder": "a", "decoder": "a"}, "a", "a"),
        ({"name": "a", "depth": 2}, "a", "a"),
        (
            {"name": "a", "depth": 4},
            {"encoder": {"name": "a", "depth": 4}, "decoder": {"name": "a", "depth": 4}},
            "a(depth=4)",
        ),
        (
            {"decoder": {"name": "c", "width": 8, "depth": 3}, "encoder": "b"},
            {"encoder": "b", "decoder": {"name": "c", "width": 8}},
            "b → c(width=8)",
        ),
        ("w", "w", "w"),
        ({"name": "w", "levels": 3}, {"name": "w", "levels": 3}, "w(levels=3)"),
    ],
)
def test_every_form_comes_to_one(value, plain, text):
    found = parse(value)
    assert found.plain() == plain
    assert str(found) == text
    assert parse(plain) == found


def test_true_is_not_one():
    assert parse({"name": "a", "bias": 1}).plain() != "a"
    assert parse({"name": "a", "bias": True}).plain() == "a"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("d", r"^architecture: unknown name 'd'\. Known: a, w\.$"),
        ("b", r"^architecture: unknown name 'b'"),
        (3, r"^architecture: expected a name, or a mapping .*, got 3\.$"),
        ({}, r"^architecture: expected a name"),
        ({"encoder": "a"}, r"^architecture: decoder is missing from"),
        ({"encoder": "c", "decoder": "a"}, r"^architecture: encoder: unknown name 'c'"),
        ({"encoder": "a", "decoder": "w"}, r"^architecture: decoder: unknown name 'w'"),
        ({"name": "a", "dpeth": 3}, r"^architecture: a has no option 'dpeth'\. Did you mean 'dep"),
        ({"encoder": "a", "decoder": "c"}, r"^architecture: decoder: c needs its option 'width'"),
        ({"encoder": ["a"], "decoder": "a"}, r"^architecture: encoder: expected a name, or a map"),
    ],
)
def test_what_is_not_an_architecture(value, message):
    with pytest.raises(ConfigError, match=message):
        parse(value)


@pytest.mark.parametrize("encoder", ["convolutional", "fully_connected"])
@pytest.mark.parametrize("decoder", ["convolutional", "fully_connected"])
def test_any_encoder_is_joined_to_any_decoder(encoder, decoder):
    model = build_vae({"encoder": encoder, "decoder": decoder}, (1, 32, 32), 3, seed=1)
    assert isinstance(model, FlatVAE)
    assert model(torch.zeros(2, 1, 32, 32)).output.shape == (2, 1, 32, 32)
    # The encoder's weights come first, so they are those of any network with this encoder.
    plain = build_vae(encoder, (1, 32, 32), 3, seed=1)
    for one, other in zip(model.encoder.parameters(), plain.encoder.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_registries_hold_what_is_joined():
    assert set(ENCODERS) & set(DECODERS)
    assert str(architecture_of("convolutional")) == "convolutional"


def test_heads_of_a_map_are_convolutions():
    mean, log_var = heads(torch.Size((6, 4, 4)), 32)
    for head in (mean, log_var):
        assert head(torch.zeros(5, 6, 4, 4)).shape == (5, 32)
    with pytest.raises(ConfigError, match=r"4 × 4 places, so latents must be a multiple of 16, g"):
        heads(torch.Size((6, 4, 4)), 10)
