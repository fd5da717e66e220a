"""Reading a VAE: what drives the decoder, and the same arrays whatever memory there is."""

import numpy as np
import pytest
import torch

from stratigraph.activations import DECODER_INPUTS, Reader, default_layers, read_network
from stratigraph.errors import InputError
from stratigraph.models import build_vae

PROBES, LATENTS = 11, 3


@pytest.fixture(scope="module")
def model():
    vae = build_vae("convolutional", (1, 32, 32), LATENTS, seed=4)
    with torch.no_grad():  # larger weights, so that variances differ and noise matters
        for head in (vae.z_mean, vae.z_log_var):
            head.weight.mul_(5)
            head.bias.copy_(torch.tensor([-0.5, 0.2, 0.7]))
    return vae.to(memory_format=torch.channels_last)


@pytest.fixture(scope="module")
def images():
    return torch.rand(PROBES, 1, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def noise():
    return torch.randn(PROBES, LATENTS, generator=torch.Generator().manual_seed(2))


def read(model, images, noise, layers=None, **options):
    return dict(read_network(model, images, noise, layers, **options))


def close(got, want):
    np.testing.assert_allclose(got, want.detach().numpy(), rtol=1e-4, atol=1e-5)


def decoded(model, latents):
    """Each layer of the decoder, by hand."""
    outputs = {}
    for name, layer in model.decoder.named_children():
        latents = layer(latents)
        outputs[f"decoder.{name}"] = latents
    return outputs


def test_the_default_layers_in_the_order_of_the_network(model, images, noise):
    activations = list(read_network(model, images, noise))
    names = [name for name, _ in activations]
    assert names == default_layers(model)
    assert names == [
        *("input", "encoder.conv1", "encoder.conv2", "encoder.conv3", "encoder.conv4"),
        *("encoder.dense", "z_mean", "z_log_var", "z_sample", "decoder.dense1", "decoder.dense2"),
        *("decoder.deconv1", "decoder.deconv2", "decoder.deconv3", "decoder.output"),
    ]
    for _, activation in activations:
        assert activation.dtype == np.float32
        assert len(activation) == PROBES


def test_the_encoder_and_its_heads(model, images, noise):
    got = read(model, images, noise)
    close(got["input"], images)
    close(got["encoder.dense"], model.encoder(images))
    mean, log_var = model.encode(images)
    close(got["z_mean"], mean)
    close(got["z_log_var"], log_var)
    assert np.ptp(got["z_log_var"]) > 0.1


def test_the_decoder_is_driven_by_the_mean_by_default(model, images, noise):
    got = read(model, images, noise)
    mean, _ = model.encode(images)
    close(got["decoder.output"], model.decode(mean))
    for name, want in decoded(model, mean).items():
        if name != "decoder.reshape":
            close(got[name], want)
    other = read(model, images, -noise)
    for name, activation in got.items():
        assert np.array_equal(activation, other[name]) == (name != "z_sample"), name


@pytest.mark.parametrize("decoder_input", ["shared_noise", "fresh_noise"])
def test_noise_drives_the_decoder_by_the_sample(model, images, noise, decoder_input):
    got = read(model, images, noise, decoder_input=decoder_input)
    mean, log_var = model.encode(images)
    sample = mean + torch.exp(log_var / 2) * noise
    for name, want in decoded(model, sample).items():
        if name != "decoder.reshape":
            close(got[name], want)
    from_mean = read(model, images, noise)
    assert not np.allclose(got["decoder.output"], from_mean["decoder.output"], atol=1e-3)


@pytest.mark.parametrize("decoder_input", DECODER_INPUTS)
@pytest.mark.parametrize("batch_size", [1, 4, 250])
def test_the_sample_is_the_mean_and_its_noise_whatever_the_batches(
    model, images, noise, decoder_input, batch_size
):
    got = read(model, images, noise, decoder_input=decoder_input, batch_size=batch_size)
    want = got["z_mean"] + np.exp(got["z_log_var"] / 2) * noise.numpy()
    np.testing.assert_allclose(got["z_sample"], want, rtol=1e-5, atol=1e-6)
    assert np.abs(got["z_sample"] - got["z_mean"]).min(axis=0).max() > 0


def test_the_variance_is_the_exponential_of_the_log_variance(model, images, noise):
    got = read(model, images, noise, ["z_variance", "z_log_var"])
    assert list(got) == ["z_log_var", "z_variance"]
    np.testing.assert_array_equal(got["z_variance"], np.exp(got["z_log_var"]))
    alone = read(model, images, noise, ["z_mean", "z_variance"])
    assert sorted(alone) == ["z_mean", "z_variance"]  # what it is made of was not asked for
    np.testing.assert_array_equal(alone["z_variance"], got["z_variance"])


@pytest.mark.parametrize("decoder_input", DECODER_INPUTS)
def test_little_memory_gives_the_same_arrays(model, images, noise, decoder_input):
    layers = [*model.layer_names(), "z_variance"]
    want = list(read_network(model, images, noise, layers, decoder_input=decoder_input))
    got = list(read_network(model, images, noise, layers, decoder_input=decoder_input, memory=1))
    assert [name for name, _ in got] == [name for name, _ in want]
    assert len(got) == len(layers)
    for (_, a), (_, b) in zip(got, want, strict=True):
        assert a.dtype == b.dtype
        assert np.array_equal(a, b)


def test_memory_is_the_number_of_passes(model, images, noise):
    passes = []
    handle = model.z_mean.register_forward_hook(lambda *_: passes.append(1))
    wide = PROBES * 32 * 16 * 16 * 4  # bytes of conv1
    layers = ["encoder.conv1", "z_mean", "z_log_var"]
    read(model, images, noise, layers)
    try:
        for memory, most in ((1, 3), (wide + 1, 2), (10 * wide, 1)):
            passes.clear()
            read(model, images, noise, layers, memory=memory)
            assert len(passes) == most + 1, memory  # and one on an image, for sizes
    finally:
        handle.remove()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_few_images_are_read_like_many(model, images, noise, count):
    """Of fewer images than layers are learned from: a run may hold so few out."""
    few, many = read(model, images[:count], noise[:count]), read(model, images, noise)
    assert few.keys() == many.keys()
    for name, one in few.items():
        np.testing.assert_allclose(one, many[name][:count], rtol=2e-4, atol=2e-5)


def test_globs(model, images, noise):
    got = read(model, images, noise, ["decoder.d*", "encoder.conv?"])
    assert list(got) == [
        *(f"encoder.conv{i}" for i in (1, 2, 3, 4)),
        *("decoder.dense1", "decoder.dense2", "decoder.deconv1"),
        *("decoder.deconv2", "decoder.deconv3"),
    ]


def test_the_network_is_left_as_it_was(images, noise):
    vae = build_vae("convolutional", (1, 32, 32), LATENTS).train()
    vae.encoder.eval()
    before = [module.training for module in vae.modules()]
    weights = [p.clone() for p in vae.parameters()]
    read(vae, images, noise)
    assert [module.training for module in vae.modules()] == before
    assert all(torch.equal(a, b) for a, b in zip(vae.parameters(), weights, strict=True))


def test_unknown_decoder_inputs_and_layers(model, images, noise):
    text = r"^decoder_input: expected one of mean, shared_noise, fresh_noise, got 'sample'\.$"
    with pytest.raises(InputError, match=text):
        read(model, images, noise, decoder_input="sample")
    with pytest.raises(InputError, match=r"no layer 'z_men'\. Did you mean 'z_mean'"):
        read(model, images, noise, ["z_men"])


def test_snapshots_of_one_structure_are_learned_once_and_foreign_parts_each_time(
    images, noise, monkeypatch
):
    learned = []
    learn = Reader.learn
    monkeypatch.setattr(Reader, "learn", lambda *a, **k: (learned.append(1), learn(*a, **k))[1])
    monkeypatch.setattr("stratigraph.activations.extract._LEARNED", {})
    first, second = (build_vae("fully_connected", (1, 32, 32), LATENTS, seed=s) for s in (0, 1))
    read(first, images, noise)
    again = read(second, images, noise)
    assert len(learned) == 1
    monkeypatch.setattr("stratigraph.activations.extract._LEARNED", {})
    for name, value in read(second, images, noise).items():
        np.testing.assert_array_equal(again[name], value)

    class Gate(torch.nn.Identity):
        """Of a caller's own."""

    second.gate = Gate()
    read(second, images, noise)
    read(second, images, noise)
    assert len(learned) == 4
