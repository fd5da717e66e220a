"""The networks are the study's: widths and parameters counted by hand, kernels, first weights."""

import math

import pytest
import torch
from torch import nn

from stratigraph.activations import capture
from stratigraph.errors import ConfigError
from stratigraph.models import INITIALISATIONS, build_vae

ARCHITECTURES = ["convolutional", "convolutional_k4", "fully_connected"]  # the study's
CONVOLUTIONAL = ["convolutional", "convolutional_k4"]

# Section "Convolutional network" of the protocol: 64 × 64 × 1, 10 latents.
WIDTHS = {
    "input": 4096,
    "encoder.conv1": 32_768,
    "encoder.conv2": 8192,
    "encoder.conv3": 4096,
    "encoder.conv4": 1024,
    "encoder.flatten": 1024,
    "encoder.dense": 256,
    "z_mean": 10,
    "z_log_var": 10,
    "z_sample": 10,
    "decoder.dense1": 256,
    "decoder.dense2": 1024,
    "decoder.reshape": 1024,
    "decoder.deconv1": 4096,
    "decoder.deconv2": 8192,
    "decoder.deconv3": 32_768,
    "decoder.output": 4096,
}
FULLY_CONNECTED_WIDTHS = {
    "input": 4096,
    "encoder.flatten": 4096,
    "encoder.dense1": 1200,
    "encoder.dense2": 1200,
    "z_mean": 10,
    "z_log_var": 10,
    "z_sample": 10,
    "decoder.dense1": 1200,
    "decoder.dense2": 1200,
    "decoder.dense3": 1200,
    "decoder.output": 4096,
}
# Weights and biases of each layer, in the order above.
COUNTS = {
    "convolutional": [
        *(544, 16_416, 8256, 16_448, 262_400, 2570, 2570),
        *(2816, 263_168, 65_600, 32_800, 16_416, 513),
    ],
    "convolutional_k4": [
        *(544, 16_416, 32_832, 65_600, 262_400, 2570, 2570),
        *(2816, 263_168, 65_600, 32_800, 16_416, 513),
    ],
    "fully_connected": [
        *(4_916_400, 1_441_200, 12_010, 12_010),
        *(13_200, 1_441_200, 1_441_200, 4_919_296),
    ],
}


def images(shape, n=2):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(0))


def layers_of(model):
    """The modules that hold weights, in the order of the network."""
    kinds = nn.Linear | nn.Conv2d | nn.ConvTranspose2d
    return [module for module in model.modules() if isinstance(module, kinds)]


def same(a, b):
    return [torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True)]


@pytest.mark.parametrize("architecture", CONVOLUTIONAL)
def test_images_need_not_be_square(architecture):
    shape = (1, 32, 48)
    with torch.no_grad():
        assert build_vae(architecture, shape, 2)(images(shape)).output.shape == (2, *shape)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_widths_and_every_layer_can_be_read(architecture):
    model = build_vae(architecture, (1, 64, 64), 10)
    read = capture(
        model, images((1, 64, 64)), call=lambda batch, rows: model(batch, torch.zeros(2, 10))
    )
    want = FULLY_CONNECTED_WIDTHS if architecture == "fully_connected" else WIDTHS
    assert model.layer_names() == list(want)
    assert {name: value[0].numel() for name, value in read.items()} == want


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_parameters_counted_by_hand(architecture):
    model = build_vae(architecture, (1, 64, 64), 10)
    counts = [sum(p.numel() for p in layer.parameters()) for layer in layers_of(model)]
    assert counts == COUNTS[architecture]
    total = {"convolutional": 690_517, "convolutional_k4": 764_245, "fully_connected": 14_196_516}
    assert sum(p.numel() for p in model.parameters()) == total[architecture]


@pytest.mark.parametrize(("architecture", "kernel"), list(zip(CONVOLUTIONAL, (2, 4), strict=True)))
def test_kernels_strides_and_padding(architecture, kernel):
    model = build_vae(architecture, (1, 64, 64), 10)
    encoder = [getattr(model.encoder, f"conv{i}")[0] for i in (1, 2, 3, 4)]
    decoder = [getattr(model.decoder, f"deconv{i}")[0] for i in (1, 2, 3)] + [model.decoder.output]
    assert [layer.kernel_size for layer in encoder] == [(k, k) for k in (4, 4, kernel, kernel)]
    assert [layer.kernel_size for layer in decoder] == [(4, 4)] * 4
    for layer in encoder + decoder:
        assert layer.stride == (2, 2)
        assert layer.padding == ((1, 1) if layer.kernel_size == (4, 4) else (0, 0))


@pytest.mark.parametrize(
    ("architecture", "encoder", "decoder"),
    [
        ("convolutional", [nn.ReLU] * 5, [nn.ReLU] * 5),
        ("convolutional_k4", [nn.ReLU] * 5, [nn.ReLU] * 5),
        ("fully_connected", [nn.ReLU] * 2, [nn.Tanh] * 3),
    ],
)
def test_activation_functions(architecture, encoder, decoder):
    model = build_vae(architecture, (1, 32, 32), 10)

    def functions(part):
        return [type(m) for m in part.modules() if isinstance(m, nn.ReLU | nn.Tanh | nn.Sigmoid)]

    assert functions(model.encoder) == encoder
    assert functions(model.decoder) == decoder


def test_without_noise_the_sample_is_the_mean():
    model = build_vae("convolutional", (1, 32, 32), 3)
    with torch.no_grad():
        output, (mean, _, sample) = model(images((1, 32, 32)))
        assert torch.equal(sample, mean)
        assert torch.equal(output, model.decode(mean))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_keras_weights_are_glorot_uniform_and_biases_zero(architecture):
    for layer in layers_of(build_vae(architecture, (1, 64, 64), 10, seed=3)):
        one, other, *kernel = layer.weight.shape
        bound = math.sqrt(6 / ((one + other) * math.prod(kernel)))
        weight = layer.weight.detach().double()
        assert weight.abs().max() <= bound * (1 + 1e-6)
        assert weight.abs().max() > 0.95 * bound
        # The variance of a uniform law is a²/3, and of its squares 4a⁴/45.
        deviation = bound**2 * math.sqrt(4 / 45 / weight.numel())
        assert abs(float((weight**2).mean()) - bound**2 / 3) < 5 * deviation
        assert not layer.bias.any()


def test_torch_weights_are_uniform_within_the_root_of_the_fan_in():
    for layer in layers_of(build_vae("convolutional", (1, 64, 64), 10, initialisation="torch")):
        # torch takes the second axis for the fan-in, transposed convolutions included.
        bound = 1 / math.sqrt(layer.weight[0].numel())
        for values in (layer.weight.detach(), layer.bias.detach()):
            assert values.abs().max() <= bound * (1 + 1e-6)
            assert values.any()
        assert layer.weight.abs().max() > 0.95 * bound


def test_the_two_initialisations_differ():
    one, other = (
        build_vae("convolutional", (1, 32, 32), 4, initialisation=name) for name in INITIALISATIONS
    )
    assert not any(same(one, other))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 40), (1, 8, 8)])
@pytest.mark.parametrize("architecture", CONVOLUTIONAL)
def test_sides_that_cannot_be_halved_four_times(architecture, shape):
    _, rows, columns = shape
    with pytest.raises(ConfigError) as error:
        build_vae(architecture, shape, 4)
    assert str(error.value) == (
        "architecture: a convolutional network needs images whose sides are multiples of 16, got "
        f"{rows} × {columns}; resize or pad the data, or use fully_connected."
    )
    assert build_vae("fully_connected", shape, 4)(images(shape)).output.shape == (2, *shape)


def test_unknown_names():
    with pytest.raises(
        ConfigError,
        match=r"^architecture: unknown name 'fuly_connected'\. "
        r"Did you mean 'fully_connected'\?$",
    ):
        build_vae("fuly_connected", (1, 32, 32), 4)
    with pytest.raises(ConfigError, match=r"^initialisation: no scheme is called 'kears'\. Did"):
        build_vae("convolutional", (1, 32, 32), 4, initialisation="kears")
