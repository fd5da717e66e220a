"""What every architecture promises: one suite, asked of all that are registered."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from safetensors.torch import load, save

from stratigraph.activations import capture
from stratigraph.activations.capture import reading
from stratigraph.errors import ConfigError
from stratigraph.models import DECODERS, ENCODERS, WHOLE, FlatVAE, architectures, build_vae

SHAPES = [(1, 32, 32), (3, 64, 32)]
LATENTS = 32  # a multiple of the places of a map at both shapes
EVERY = pytest.mark.parametrize("architecture", architectures())
AT_SHAPES = pytest.mark.parametrize("shape", SHAPES, ids=str)


def drawn(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def normal(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def built(architecture, shape=SHAPES[0], **options):
    return build_vae(architecture, shape, LATENTS, **options)


def test_every_part_is_in_the_suite():
    """A part that is registered on one side alone would go unasked."""
    assert {*architectures()} == {*ENCODERS, *DECODERS, *WHOLE}


@AT_SHAPES
@EVERY
def test_shapes_and_the_sample(architecture, shape):
    model = built(architecture, shape)
    images, noise = drawn(3, *shape), normal(3, LATENTS)
    with torch.no_grad():
        output, (mean, log_var, sample) = model(images, noise)
        assert output.shape == (3, *shape)
        assert mean.shape == log_var.shape == sample.shape == (3, LATENTS)
        torch.testing.assert_close(sample, mean + (log_var / 2).exp() * noise)
        assert torch.equal(output, model.decode(sample))
        assert output.min() < 0  # linear, not squashed to [0, 1]


@EVERY
def test_without_noise_the_means_are_decoded(architecture):
    model = built(architecture)
    images = drawn(3, *SHAPES[0])
    with torch.no_grad():
        output, posterior = model(images)
        mean, log_var = model.encode(images)
        assert torch.equal(posterior.mean, mean)
        assert torch.equal(posterior.log_var, log_var)
        assert torch.equal(posterior.sample, mean)
        assert torch.equal(output, model.decode(mean))


@pytest.mark.parametrize("from_mean", [True, False])
@AT_SHAPES
@EVERY
def test_reading_passes_every_layer_once(architecture, shape, from_mean):
    model = built(architecture, shape)
    images, noise = drawn(3, *shape), normal(3, LATENTS)
    heard = Counter()
    with torch.no_grad(), reading(model, model.layer_names(), lambda name, _: heard.update([name])):
        model.read(images, noise, from_mean=from_mean)
    assert heard == dict.fromkeys(model.layer_names(), 1)

    def run(batch, rows):
        model.read(batch, noise[rows], from_mean=from_mean)

    read = capture(model, images, call=run)
    assert set(read) == set(model.layer_names())  # one tensor each, under the layer's own name
    for value in read.values():
        assert len(value) == 3
        assert value.isfinite().all()
    z = read["z_mean"] if from_mean else read["z_sample"]
    with torch.no_grad():
        last = model.layer_names()[-1]
        torch.testing.assert_close(read[last], model.decode(z))


@EVERY
def test_every_parameter_is_of_a_layer(architecture):
    """What trains can be read, frozen and followed."""
    model = built(architecture)
    modules = dict(model.named_modules())
    of_layers = {id(p) for name in model.layer_names() for p in modules[name].parameters()}
    assert [name for name, p in model.named_parameters() if id(p) not in of_layers] == []


@pytest.mark.parametrize("initialisation", ["keras", "torch"])
@EVERY
def test_weights_are_a_function_of_the_seed_alone(architecture, initialisation):
    def weights(seed):
        return built(architecture, seed=seed, initialisation=initialisation).state_dict()

    torch.manual_seed(1)
    one = weights(7)
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    again, other = weights(7), weights(8)
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, value in one.items():
        assert torch.equal(value, again[name])
        constant = value.eq(value.flatten()[0]).all()  # a bias of 0, a normalisation's 1
        assert constant or not torch.equal(value, other[name]), name


@pytest.mark.parametrize("architecture", sorted(ENCODERS))
@pytest.mark.parametrize("decoder", ["fully_connected", "kl_autoencoder"])
def test_an_encoder_is_the_same_with_any_decoder(architecture, decoder):
    one = built({"encoder": architecture, "decoder": decoder}, seed=3)
    assert isinstance(one, FlatVAE)
    alone = built(architecture, seed=3).encoder.state_dict()
    for name, value in one.encoder.state_dict().items():
        assert torch.equal(value, alone[name])
    with torch.no_grad():
        assert one(drawn(2, *SHAPES[0])).output.shape == (2, *SHAPES[0])


@EVERY
def test_weights_are_stored_and_loaded(architecture):
    model, other = built(architecture, seed=1), built(architecture, seed=2)
    stored = save(model.state_dict())  # refuses tensors that share memory
    other.load_state_dict(load(stored), strict=True)
    images, noise = drawn(2, *SHAPES[0]), normal(2, LATENTS)
    with torch.no_grad():
        assert torch.equal(model(images, noise).output, other(images, noise).output)


@EVERY
def test_gradients_reach_every_parameter(architecture):
    model = built(architecture)
    output, (mean, log_var, _) = model(drawn(8, *SHAPES[0]), normal(8, LATENTS))
    (output.square().mean() + mean.square().mean() + log_var.exp().mean()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@EVERY
def test_the_layout_of_memory_changes_no_number(architecture):
    model = built(architecture)
    images, noise = drawn(4, *SHAPES[0]), normal(4, LATENTS)
    with torch.no_grad():
        rows = model(images, noise).output
        model.to(memory_format=torch.channels_last)
        last = model(images.contiguous(memory_format=torch.channels_last), noise).output
    torch.testing.assert_close(rows, last, rtol=1e-4, atol=1e-5)


@EVERY
def test_in_double_precision(architecture):
    single, double = built(architecture), built(architecture).double()
    images, noise = drawn(4, *SHAPES[0]), normal(4, LATENTS)
    with torch.no_grad():
        expected = double(images.double(), noise.double())
        found = single(images, noise)
    assert expected.output.dtype == torch.float64
    for one, other in zip(
        (found.output, *found.posterior), (expected.output, *expected.posterior), strict=True
    ):
        torch.testing.assert_close(one.double(), other, rtol=1e-3, atol=1e-4)


def trained(model, steps, optimiser=None):
    """The network and its Adam after some steps; which batch a step sees is its number's matter."""
    optimiser = optimiser or torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    for step in steps:
        optimiser.zero_grad()
        output, (mean, log_var, _) = model(drawn(4, *SHAPES[0], seed=step), normal(4, LATENTS))
        (output.square().mean() + mean.square().mean() + log_var.exp().mean()).backward()
        optimiser.step()
    return model, optimiser


@EVERY
def test_a_stopped_training_goes_on_with_the_same_bits(architecture):
    """Both passes are deterministic, and weights and moments are the whole state."""
    straight, _ = trained(built(architecture), range(4))
    stopped, optimiser = trained(built(architecture), range(2))
    later = built(architecture, seed=9)
    later.load_state_dict(load(save(stopped.state_dict())))
    fresh = torch.optim.Adam(later.parameters(), 1e-3, fused=True)
    fresh.load_state_dict(optimiser.state_dict())
    trained(later, range(2, 4), fresh)
    for name, value in straight.state_dict().items():
        assert torch.equal(value, later.state_dict()[name]), name


@EVERY
def test_evaluation_gives_the_bits_of_training(architecture):
    """No dropout, no batch statistics, no other path in eval: what is read is what trains."""
    model = built(architecture)
    images, noise = drawn(4, *SHAPES[0]), normal(4, LATENTS)
    trained = model.train()(images, noise).output.detach()
    with torch.no_grad():
        assert torch.equal(model.eval()(images, noise).output, trained)


@EVERY
def test_an_image_is_answered_alike_in_any_company(architecture):
    model = built(architecture)
    images, noise = drawn(6, *SHAPES[0]), normal(6, LATENTS)
    with torch.no_grad():
        together = model(images, noise).output
        alone = model(images[4:5], noise[4:5]).output
    torch.testing.assert_close(alone[0], together[4], rtol=1e-4, atol=1e-5)


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
        built({"name": architecture, option: value})
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
        ({"name": "ladder", "levels": 3}, (1, 32, 32), 2, r"3 levels needs a latent for each at"),
    ],
)
def test_what_does_not_fit_is_refused(architecture, shape, latents, message):
    with pytest.raises(ConfigError, match=message):
        build_vae(architecture, shape, latents)
