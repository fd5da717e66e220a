"""The ladder: its form without centre is the published one, level by level."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from stratigraph.models import build_vae
from stratigraph.models.ladder import LadderVAE, combine
from stratigraph.objectives import terms

SHAPE = (1, 32, 32)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def estimates(seed):
    """Mean and log-variance of some normal laws."""
    return drawn(50, 3, seed=seed), 2 * drawn(50, 3, seed=seed + 1)


def published(estimate, prior):
    """Equations 17-19 of the paper: precisions added, means weighted by them."""
    precision = [(-log_var).exp() for _, log_var in (estimate, prior)]
    variance = 1 / (precision[0] + precision[1])
    mean = variance * (estimate[0] * precision[0] + prior[0] * precision[1])
    return Normal(mean, variance.sqrt())


def law(mean, log_var):
    return Normal(mean, (log_var / 2).exp())


def test_the_combination_is_the_published_one():
    estimate, prior = estimates(1), estimates(3)
    mean, log_var = combine(estimate, prior)
    want = published(estimate, prior)
    scale = (prior[1] / 2).exp()
    torch.testing.assert_close(prior[0] + scale * mean, want.mean)
    torch.testing.assert_close(scale * (log_var / 2).exp(), want.stddev)


def test_the_kl_of_a_level_is_that_of_the_two_normal_laws():
    estimate, prior = estimates(5), estimates(7)
    explicit = kl_divergence(published(estimate, prior), law(*prior)).sum(1).mean()
    torch.testing.assert_close(terms.kl_divergence(*combine(estimate, prior)), explicit)


def test_the_combination_at_its_limits():
    """An estimate that knows nothing leaves the prior; one that knows all leaves itself."""
    prior = (torch.tensor([0.5]), torch.tensor([0.3]))
    mean, log_var = combine((torch.tensor([2.0]), torch.tensor([200.0])), prior)
    assert (mean.item(), log_var.item()) == (0.0, 0.0)
    mean, log_var = combine((torch.tensor([2.0]), torch.tensor([-200.0])), prior)
    assert mean.item() == pytest.approx(1.5 * math.exp(-0.15))
    assert log_var.item() == pytest.approx(-200.3)


def ladder(latents=7, levels=3, seed=0):
    model = build_vae({"name": "ladder", "levels": levels}, SHAPE, latents, seed=seed).double()
    with torch.no_grad():  # biases begin at 0 and would hide a mistake
        for number, parameter in enumerate(model.parameters()):
            if parameter.ndim == 1:
                parameter += 0.3 * drawn(len(parameter), seed=number)
    return model


def images(n=4):
    generator = torch.Generator().manual_seed(9)
    return torch.rand(n, *SHAPE, generator=generator, dtype=torch.float64)


def test_latents_are_shared_out_and_the_top_takes_the_rest():
    assert ladder(7, 3).sizes == (3, 2, 2)
    assert ladder(10, 2).sizes == (5, 5)
    assert ladder(2, 2).sizes == (1, 1)
    assert LadderVAE.hierarchical


def plain_prior(model, level, z):
    features = model.decoder[f"prior{level}"](z)
    mean = model.decoder[f"prior{level}_mean"](features)
    return mean, model.decoder[f"prior{level}_log_var"](features)


def plain_estimates(model, x):
    """Level → the bottom-up estimate, written out."""
    for name in ("conv1", "conv2", "conv3", "conv4", "flatten", "dense"):
        x = model.encoder[name](x)
    found = {1: (model.encoder.mean1(x), model.encoder.log_var1(x))}
    for level in (2, 3):
        x = model.encoder[f"dense{level}"](x)
        found[level] = model.encoder[f"mean{level}"](x), model.encoder[f"log_var{level}"](x)
    return found


@torch.no_grad()
def test_a_pass_is_the_hierarchy_in_the_latents_themselves():
    """Sampled in z with the published posterior: the same z, the same image, the same KL."""
    model = ladder()
    x, noise = images(), drawn(4, 7, seed=11)
    bottom_up = plain_estimates(model, x)
    kl = torch.zeros(4, dtype=torch.float64)
    posterior, prior = law(*bottom_up[3]), Normal(0.0, 1.0)
    for level, epsilon in zip((3, 2, 1), noise.split((3, 2, 2), dim=1), strict=True):
        if level < 3:
            prior = law(*plain_prior(model, level, z))
            posterior = published(bottom_up[level], (prior.mean, 2 * prior.stddev.log()))
        z = posterior.mean + posterior.stddev * epsilon
        kl += kl_divergence(posterior, prior).sum(1)
    for name in ("dense1", "dense2", "reshape", "deconv1", "deconv2", "deconv3", "output"):
        z = model.decoder[name](z)
    output, found = model(x, noise)
    torch.testing.assert_close(output, z)
    torch.testing.assert_close(terms.kl_divergence(found.mean, found.log_var), kl.mean())


@torch.no_grad()
def test_the_kl_agrees_with_a_count_of_samples():
    """E_q[log q(u|x) − log p(u)] by drawing, against the closed form averaged over the draws."""
    model = ladder()
    x = images(1).expand(2000, -1, -1, -1)
    _, (mean, log_var, sample) = model(x, drawn(2000, 7, seed=12))
    ratio = law(mean, log_var).log_prob(sample) - Normal(0.0, 1.0).log_prob(sample)
    ratio = ratio.sum(1)
    closed = terms.kl_divergence(mean, log_var)
    assert abs(ratio.mean() - closed) < 4 * ratio.std() / math.sqrt(2000)
    assert closed > 0.01


@torch.no_grad()
def test_lower_levels_answer_the_samples_above_them():
    model, x = ladder(), images()
    noise = drawn(4, 7, seed=13)
    mean, log_var = model.encode(x)
    drawn_mean = model(x, noise).posterior.mean
    assert torch.equal(mean[:, :3], drawn_mean[:, :3])
    assert not torch.allclose(mean[:, 3:], drawn_mean[:, 3:])
    noise[:, :5] = 0  # both levels above at their means: the lowest is as `encode` has it
    at_means = model(x, noise).posterior
    torch.testing.assert_close(at_means.mean, mean)
    torch.testing.assert_close(at_means.log_var, log_var)


@torch.no_grad()
def test_lower_levels_are_never_wider_than_their_prior():
    _, log_var = ladder().encode(images())
    assert (log_var[:, 3:] <= 0).all()


@torch.no_grad()
def test_prior_samples_have_the_priors_mean_and_spread():
    """z_2 of u ~ N(0, I), given z_3: mean and standard deviation of its prior."""
    model = ladder()
    top, n = drawn(1, 3, seed=14), 3000
    heard = []
    model.decoder.z2.register_forward_hook(lambda m, args, z: heard.append(z))
    model.decode(torch.cat([top.expand(n, -1), drawn(n, 4, seed=15)], 1))
    prior = law(*plain_prior(model, 2, top))
    assert (heard[0].mean(0) - prior.mean[0]).abs().max() < 4 * prior.stddev.max() / math.sqrt(n)
    torch.testing.assert_close(heard[0].std(0), prior.stddev[0], rtol=0.06, atol=0)


def test_layers_in_the_order_of_the_data():
    assert ladder(7, 3).layer_names() == [
        *("input", "encoder.conv1", "encoder.conv2", "encoder.conv3", "encoder.conv4"),
        *("encoder.flatten", "encoder.dense", "encoder.mean1", "encoder.log_var1"),
        *("encoder.dense2", "encoder.mean2", "encoder.log_var2"),
        *("encoder.dense3", "encoder.mean3", "encoder.log_var3"),
        *("z_mean", "z_log_var", "z_sample"),
        *("decoder.prior2", "decoder.prior2_mean", "decoder.prior2_log_var", "decoder.z2"),
        *("decoder.prior1", "decoder.prior1_mean", "decoder.prior1_log_var", "decoder.z1"),
        *("decoder.dense1", "decoder.dense2", "decoder.reshape"),
        *("decoder.deconv1", "decoder.deconv2", "decoder.deconv3", "decoder.output"),
    ]


def test_a_level_that_is_ignored_costs_nothing():
    """An encoder whose lowest estimate is very wide leaves the prior: no KL at that level."""
    model = ladder(4, 2)
    with torch.no_grad():
        nn.init.zeros_(model.encoder.log_var1.weight)
        model.encoder.log_var1.bias.fill_(60.0)
        mean, log_var = model.encode(images())
    assert terms.kl_divergence(mean[:, 2:], log_var[:, 2:]).abs() < 1e-9
