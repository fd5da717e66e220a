"""Roles: what a network's layers are, said once."""

import numpy as np
import pytest
import torch
from torch import nn

import stratigraph as sg
from stratigraph.errors import ConfigError, InputError
from stratigraph.integrations.probes import ProbeReader
from stratigraph.integrations.roles import Roles, as_roles, draw_sample
from stratigraph.study import load_study
from stratigraph.training import any_config

PROBES = torch.randn(12, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Latent(nn.Module):
    """Mean and log-variance in one map of channels, as in latent diffusion."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.down = nn.Conv2d(3, 8, 3, 2, 1)
        self.moments = nn.Conv2d(8, 4, 1)
        self.up = nn.ConvTranspose2d(2, 3, 2, 2)

    def forward(self, x):
        mean, log_var = self.moments(self.down(x)).chunk(2, 1)
        return self.up(mean + (log_var / 2).exp() * torch.randn_like(mean))


class Heads(nn.Module):
    """One module that returns both, and one that makes the sample."""

    class Head(nn.Module):
        def forward(self, h):
            return h[:, :5], h[:, 5:]

    def __init__(self):
        super().__init__()
        self.body, self.head, self.drawn = nn.Linear(192, 10), self.Head(), nn.Identity()
        self.out = nn.Linear(5, 192)

    def forward(self, x):
        mean, _ = self.head(self.body(x.flatten(1)))
        return self.out(self.drawn(mean))


def read(model, roles, **options):
    options = {"layers": None, "reduce": None, "posterior": None, "call": None} | options
    reader = ProbeReader(model, PROBES, *options.values(), 5, as_roles(roles))
    posterior = reader.read_posterior() if reader.has_posterior else None
    return posterior, {name: layer for name, _, layer in reader.name_layers(posterior)}


@pytest.mark.parametrize("reduce", [None, "spatial"])
def test_one_layer_of_both(reduce):
    roles = {"encoder": "down", "posterior": "moments", "decoder": "up"}
    posterior, layers = read(Latent(), roles, reduce=reduce)
    model = Latent().eval()
    expected = model.moments(model.down(PROBES)).detach()
    np.testing.assert_allclose(posterior[0], expected[:, :2].flatten(1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(posterior[1], expected[:, 2:].flatten(1), rtol=1e-5, atol=1e-6)
    assert list(layers) == [
        "encoder.down", "moments", "z_mean", "z_log_var", "z_sample", "decoder.up",
    ]  # fmt: skip
    assert layers["z_mean"].shape == (12, 32)  # of the posterior, whatever is made smaller
    assert layers["encoder.down"].shape == ((12, 8) if reduce else (12, 8, 4, 4))


def test_parts_of_a_layer_and_a_sample_of_its_own():
    roles = "encoder=body,mean=head[0],log_var=head[1],sample=drawn,decoder=out"
    posterior, layers = read(Heads(), roles)
    assert posterior.shape == (2, 12, 5)
    assert list(layers) == ["encoder.body", "z_mean", "z_log_var", "z_sample", "decoder.out"]
    np.testing.assert_array_equal(layers["z_sample"], layers["z_mean"])  # its own, without noise


def test_the_sample_is_drawn_once():
    mean, log_var = torch.randn(2, 12, 3)
    z = draw_sample(mean, log_var)
    assert torch.equal(z, draw_sample(mean, log_var))
    wider = draw_sample(torch.cat([mean, mean], 1), torch.cat([log_var, log_var], 1))
    assert torch.equal(wider[:, :3], z)
    noise = (z - mean) / (log_var / 2).exp()
    assert abs(float(noise.mean())) < 0.5
    assert 0.5 < float(noise.std()) < 1.5
    large = draw_sample(torch.ones(4000, 2), torch.full((4000, 2), np.log(4.0)))
    np.testing.assert_allclose(large.mean(0), 1, atol=0.1)
    np.testing.assert_allclose(large.std(0), 2, atol=0.1)


def test_patterns_are_of_modules_and_all_in_them():
    layers = ["enc.0", "enc.1.conv", "enc.relu#2", "enc.gru[0]", "fc", "encoder.x", "dec"]
    for pattern in ("enc", "enc.*"):
        names = as_roles({"encoder": pattern}).names(layers)
        assert [n for n in names.values() if n.startswith("encoder.")] == [
            "encoder.enc.0", "encoder.enc.1.conv", "encoder.enc.relu#2", "encoder.enc.gru[0]",
            "encoder.x",
        ]  # fmt: skip
    # The mean may lie in the encoder, in either order.
    for roles in ({"encoder": "enc", "mean": "enc.0"}, {"mean": "enc.0", "encoder": "enc"}):
        names = as_roles(roles).names(layers)
        assert names["enc.0"] == "z_mean"
        assert names["enc.1.conv"] == "encoder.enc.1.conv"
    assert as_roles("encoder=enc.0,encoder=fc").plain() == {"encoder": ["enc.0", "fc"]}
    assert not as_roles(None)


@pytest.mark.parametrize(
    ("roles", "kind", "said"),
    [
        ("encode=enc", ConfigError, r"unknown name 'encode'\. Did you mean 'encoder'"),
        ("encoder", ConfigError, r"expected ROLE=LAYER,…, such as encoder=enc\.\*, got 'encoder'"),
        (7, ConfigError, "expected a mapping such as"),
        ({"encoder": 3}, ConfigError, "encoder: expected a layer, such as enc"),
        ({"encoder": []}, ConfigError, "encoder: expected a layer"),
        ({"mean": ["a", "b"]}, ConfigError, "mean: expected one layer, got a, b"),
        ("log_var=fc", ConfigError, "`log_var` without `mean`"),
        ("posterior=fc,mean=fc", ConfigError, "leave out `mean` and `log_var`, or it"),
        ("encoder=encc", InputError, r"encoder=encc is not a layer that runs\. Did you mean"),
        ("mean=enc.?", InputError, r"mean=enc\.\? is enc\.0, enc\.1; name one layer"),
        ("encoder=enc,decoder=enc.0", InputError, r"enc\.0 is encoder and decoder; give it one"),
        ("mean=fc,log_var=fc", InputError, "fc is mean and log_var"),
    ],
)
def test_roles_that_are_none(roles, kind, said):
    with pytest.raises(kind, match=said):
        as_roles(roles).names(["enc.0", "enc.1", "fc"])


def test_shapes_that_are_no_posterior():
    with pytest.raises(InputError, match="expected an even number of channels"):
        read(Latent(), {"posterior": "up"})
    with pytest.raises(InputError, match=r"mean=down gives shape .*expected two alike"):
        read(Latent(), {"mean": "down", "log_var": "up"})
    with pytest.raises(InputError, match="posterior: the roles give it too"):
        read(Latent(), {"posterior": "moments"}, posterior=lambda m, x: None)


def test_a_plain_autoencoder_has_parts_and_no_posterior(tmp_path):
    model = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 8))
    x = torch.randn(10, 8)
    roles = {"encoder": ["0"], "mean": "1", "decoder": "2"}
    with sg.record(model, x, tmp_path / "a", roles=roles) as recorder:
        recorder.step()
    (run,) = load_study(tmp_path / "a").runs.values()
    assert not run.config.supervised  # claims about parts can be asked of it
    assert not run.config.gaussian
    assert run.config.roles == {"encoder": ["0"], "mean": ["1"], "decoder": ["2"]}
    assert any_config(run.config.to_dict()).run_id == run.run_id
    # What was recorded without roles is called as before.
    with sg.record(model, x, tmp_path / "b") as recorder:
        recorder.step()
    (plain,) = load_study(tmp_path / "b").runs.values()
    assert "roles" not in plain.config.to_dict()
    assert plain.config.supervised
    assert Roles().plain() == {}
