"""What every architecture promises: one suite, asked of all that are registered."""

from __future__ import annotations

import pytest
import torch

from stratigraph.errors import ConfigError
from stratigraph.models import DECODERS, ENCODERS, WHOLE, FlatVAE, architectures, build_vae
from stratigraph.testing.architectures import CHECKS, SHAPE, check_reading, check_shapes

LATENTS = 32
EVERY = pytest.mark.parametrize("architecture", architectures())


def test_every_part_is_in_the_suite():
    """A part that is registered on one side alone would go unasked."""
    assert {*architectures()} == {*ENCODERS, *DECODERS, *WHOLE}


@pytest.mark.parametrize("check", CHECKS)
@EVERY
def test_contract(architecture, check):
    check(architecture)


@pytest.mark.parametrize("check", [check_shapes, check_reading])
@EVERY
def test_contract_of_images_that_are_not_square(architecture, check):
    check(architecture, image_shape=(3, 64, 32))


def inputs(b):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(b, *SHAPE, generator=generator), torch.randn(b, LATENTS, generator=generator)


@EVERY
def test_evaluation_gives_the_bits_of_training(architecture):
    """No dropout, no batch statistics, no other path in eval: what is read is what trains."""
    model = build_vae(architecture, SHAPE, LATENTS)
    trained = model.train()(*inputs(4)).output.detach()
    with torch.no_grad():
        assert torch.equal(model.eval()(*inputs(4)).output, trained)


@pytest.mark.parametrize("architecture", sorted(ENCODERS))
@pytest.mark.parametrize("decoder", ["fully_connected", "kl_autoencoder"])
def test_an_encoder_is_the_same_with_any_decoder(architecture, decoder):
    one = build_vae({"encoder": architecture, "decoder": decoder}, SHAPE, LATENTS, seed=3)
    assert isinstance(one, FlatVAE)
    alone = build_vae(architecture, SHAPE, LATENTS, seed=3).encoder.state_dict()
    for name, value in one.encoder.state_dict().items():
        assert torch.equal(value, alone[name])
    with torch.no_grad():
        assert one(*inputs(2)).output.shape == (2, *SHAPE)


OPTIONS = {
    "deep_convolutional": ["depth"],
    "fully_connected": ["depth", "width"],
    "kl_autoencoder": ["depth", "width", "halvings"],
    "ladder": ["levels"],
    "residual": ["depth"],
    "vit": ["depth", "width", "heads", "patch"],
}


@pytest.mark.parametrize("value", [0, -1, 2.5, True, "deep", None])
@pytest.mark.parametrize(
    ("architecture", "option"), [(name, o) for name, every in OPTIONS.items() for o in every]
)
def test_options_are_whole_numbers(architecture, option, value):
    with pytest.raises(ConfigError) as error:
        build_vae({"name": architecture, option: value}, SHAPE, LATENTS)
    least = 2 if architecture == "ladder" else 1
    assert str(error.value) == (
        f"architecture {architecture}: {option}: expected a whole number ≥ {least}, got {value!r}."
    )


@pytest.mark.parametrize(
    ("architecture", "shape", "latents", "message"),
    [
        ("deep_convolutional", (1, 28, 28), 8, r"a deep convolutional network needs images whose"),
        ("residual", (3, 32, 40), 8, r"a residual network needs .* multiples of 16, got 32 × 40; "),
        ("ladder", (1, 28, 28), 8, r"a convolutional network needs .* multiples of 16, got 28"),
        ("vit", (1, 30, 32), 8, r"a vision transformer of patch \d needs .* got 30 × 32; resize"),
        ("kl_autoencoder", (1, 28, 28), 16, r"a KL autoencoder of 3 halvings needs .* of 8, got"),
        (
            {"encoder": "kl_autoencoder", "decoder": "convolutional"},
            (1, 32, 32),
            10,
            r"^latents: this encoder ends in a map of 4 × 4 places, so latents must be a multiple ",
        ),
        (
            {"encoder": "convolutional", "decoder": "kl_autoencoder"},
            (1, 32, 32),
            10,
            r"^latents: decoder kl_autoencoder takes a map of 4 × 4 places, so latents must be a "
            r"multiple of 16, got 10\.$",
        ),
        ({"name": "kl_autoencoder", "width": 6}, (1, 32, 32), 16, r"width: expected a multiple of"),
        ({"name": "vit", "heads": 3}, (1, 32, 32), 8, r"width: expected a multiple of the 3 heads"),
        ({"name": "ladder", "levels": 3}, (1, 32, 32), 2, r"3 levels needs at least one"),
    ],
)
def test_what_does_not_fit_is_refused(architecture, shape, latents, message):
    with pytest.raises(ConfigError, match=message):
        build_vae(architecture, shape, latents)
