"""FactorVAE: limits, an independent evaluation, and a total correlation that is known."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from stratigraph.models import Posterior
from stratigraph.objectives import build_objective, evaluate
from stratigraph.objectives.factor_vae import (
    discriminator,
    discriminator_loss,
    log_ratio,
    permuted,
)
from stratigraph.testing.passes import arrays, given, pictures, posterior, stream


def made(gamma=10.0, **more):
    objective = build_objective("factor_vae", gamma=gamma, layers=2, units=5, **more)
    output, images = pictures()
    return objective, given(objective, posterior(*arrays()), output, images)


def by_numpy(network, x):
    """The logits of a discriminator, by its weights alone."""
    *hidden, last = [m for m in network.modules() if isinstance(m, torch.nn.Linear)]
    for layer in hidden:
        x = x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        x = np.where(x > 0, x, 0.2 * x)
    return x @ last.weight.detach().numpy().T + last.bias.detach().numpy()


def test_at_gamma_0_it_is_the_vae_with_its_gradients():
    gradients = []
    for name, parameters in (("factor_vae", {"gamma": 0}), ("vae", {})):
        objective = build_objective(name, **parameters)
        output, images = pictures()
        of = posterior(*arrays())
        one = given(objective, of, output, images)
        beside = {"parts": one.parts, "stream": one.stream, "other": one.other}
        terms = evaluate(objective, "bernoulli", one.result, images, 0, **beside)
        terms.minimised.backward()
        gradients.append([terms.loss.detach(), of.mean.grad, of.log_var.grad, output.grad])
    for a, b in zip(*gradients, strict=True):
        assert torch.equal(a, b)


def test_terms_against_numpy():
    objective, one = made()
    terms = objective.terms(one)
    judge = one.parts["discriminator"]
    sample = one.result.posterior.sample.detach().numpy()
    logits = by_numpy(judge, sample)
    tc = (logits[:, 0] - logits[:, 1]).mean()
    mean, log_var, _ = arrays()
    kl = (0.5 * (mean**2 + np.exp(log_var) - log_var - 1)).sum(1).mean()
    assert terms.more["total_correlation"].item() == pytest.approx(tc, rel=1e-12)
    assert terms.regulariser.item() == pytest.approx(kl + 10 * tc, rel=1e-12)
    order = torch.rand(6, 3, generator=stream("permutation")).numpy().argsort(axis=0)
    product = np.take_along_axis(one.other().sample.numpy(), order, axis=0)
    want = -0.5 * log_softmax(logits, axis=1)[:, 0].mean()
    want -= 0.5 * log_softmax(by_numpy(judge, product), axis=1)[:, 1].mean()
    assert terms.beside.item() == pytest.approx(want, rel=1e-12)
    assert terms.more["discriminator"] is terms.beside


def test_gradients():
    objective, one = made()
    mean, log_var, noise = (torch.tensor(a, requires_grad=True) for a in arrays())
    noise = noise.detach()

    def loss(mean, log_var):
        of = Posterior(mean, log_var, mean + (log_var / 2).exp() * noise)
        again = given(objective, of, one.result.output, one.images, parts=one.parts)
        return objective.terms(again).loss

    assert torch.autograd.gradcheck(loss, (mean, log_var))
    judge = one.parts["discriminator"]
    sample, product = (torch.tensor(a) for a in arrays(seed=5)[:2])
    names = [name for name, _ in judge.named_parameters()]

    def beside(*weights):
        call = torch.func.functional_call
        at = dict(zip(names, weights, strict=True))
        return discriminator_loss(call(judge, at, (sample,)), call(judge, at, (product,)))

    weights = tuple(w.detach().clone().requires_grad_() for w in judge.parameters())
    assert torch.autograd.gradcheck(beside, weights)


def test_each_latent_is_permuted_by_itself():
    x = torch.arange(120.0).reshape(40, 3)
    y = permuted(x, stream("permutation"))
    for column in range(3):
        assert sorted(y[:, column].tolist()) == x[:, column].tolist()
    rows = y - torch.tensor([0.0, 1.0, 2.0])
    assert (rows[:, 0] == rows[:, 1]).float().mean() < 0.2  # 1/40 of them by chance
    assert torch.equal(y, permuted(x, stream("permutation")))
    assert not torch.equal(y, permuted(x, stream("permutation", seed=1)))


def correlated(count, seed, rho=0.8):
    z = np.random.default_rng(seed).normal(size=(count, 2))
    return np.stack([z[:, 0], rho * z[:, 0] + np.sqrt(1 - rho**2) * z[:, 1]], axis=1)


TC = -0.5 * np.log(1 - 0.8**2)  # of a Gaussian: −½ log det of its correlations


def test_the_best_discriminator_says_the_total_correlation():
    # log q(z) − Σ log q(z_l), the log-ratio of densities of a Gaussian whose TC is known.
    z = correlated(400_000, 0)
    joint = -0.5 * (z[:, 0] ** 2 - 1.6 * z[:, 0] * z[:, 1] + z[:, 1] ** 2) / 0.36
    logits = np.stack([joint - 0.5 * np.log(0.36), -0.5 * (z**2).sum(1)], axis=1)
    error = (logits[:, 0] - logits[:, 1]).std() / np.sqrt(len(z))
    assert abs(log_ratio(torch.tensor(logits)).item() - TC) < 4 * error
    coin = torch.zeros(10, 2)
    assert discriminator_loss(coin, coin).item() == pytest.approx(np.log(2))
    assert log_ratio(coin).item() == 0


def test_a_trained_discriminator_finds_the_total_correlation():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        judge = discriminator(2, layers=2, units=32)
    optimiser = torch.optim.Adam(judge.parameters(), lr=1e-2)
    for step in range(300):
        sample, apart = (
            torch.tensor(correlated(1024, 2 * step + i), dtype=torch.float32) for i in range(2)
        )
        optimiser.zero_grad()
        product = permuted(apart, torch.Generator().manual_seed(step))
        discriminator_loss(judge(sample), judge(product)).backward()
        optimiser.step()
    with torch.no_grad():
        fresh = torch.tensor(correlated(20_000, 99_999), dtype=torch.float32)
        found = log_ratio(judge(fresh)).item()
    assert found == pytest.approx(TC, rel=0.1)


def test_the_discriminator_is_the_published_one():
    objective = build_objective("factor_vae", gamma=10)
    parts = objective.parts(10)
    layers = [m for m in parts.modules["discriminator"].modules() if isinstance(m, torch.nn.Linear)]
    widths = [(layer.in_features, layer.out_features) for layer in layers]
    assert widths == [(10, 1000), *[(1000, 1000)] * 5, (1000, 2)]
    assert parts.adam == {"lr": 1e-4, "betas": (0.5, 0.9)}
