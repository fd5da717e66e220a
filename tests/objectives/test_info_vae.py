"""InfoVAE and MMD-VAE: limits, closed forms by quadrature, and an estimate without bias."""

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from stratigraph.objectives import build_objective
from stratigraph.objectives.info_vae import discrepancy
from stratigraph.testing.passes import arrays, posterior


def value(name, **parameters):
    of = posterior(*arrays())
    found = build_objective(name, **parameters).regulariser(of, 0)
    found.backward()
    return found.item(), of.mean.grad, of.log_var.grad


def same(a, b, rel=1e-12):
    assert a[0] == pytest.approx(b[0], rel=rel)
    for one, other in zip(a[1:], b[1:], strict=True):
        torch.testing.assert_close(one, other, rtol=rel, atol=1e-14)


def test_limits():
    same(value("info_vae", alpha=0, lambda_mmd=1), value("vae"))
    same(value("info_vae", alpha=0.75, lambda_mmd=0.25), value("beta_vae", beta=0.25))
    same(value("info_vae", alpha=1, lambda_mmd=7), value("mmd_vae", lambda_mmd=7))
    assert value("mmd_vae", lambda_mmd=0)[0] == 0
    assert value("info_vae", lambda_mmd=7) != value("vae")


def naive(sample, h):
    """The documented formula in loops; the prior's expectations by quadrature."""
    m, d = sample.shape

    def towards(z):
        def one(at):
            return integrate.quad(
                lambda y: np.exp(-((at - y) ** 2) / h) * stats.norm.pdf(y), -12, 12
            )[0]

        return np.prod([one(at) for at in z])

    # The difference of two standard normals is N(0, 2).
    prior = integrate.quad(lambda u: np.exp(-(u**2) / h) * stats.norm.pdf(u, 0, 2**0.5), -20, 20)[0]
    among = sum(
        np.exp(-((sample[i] - sample[j]) ** 2).sum() / h)
        for i in range(m)
        for j in range(m)
        if i != j
    )
    return among / (m * (m - 1)) - 2 * np.mean([towards(z) for z in sample]) + prior**d


@pytest.mark.parametrize("h", [None, 0.5, 20.0])
def test_against_loops_and_quadrature(h):
    sample = np.random.default_rng(0).normal(size=(5, 3)) * 1.3 + 0.4
    got = discrepancy(torch.tensor(sample), h).item()
    assert got == pytest.approx(naive(sample, 9.0 if h is None else h), rel=1e-8)


def test_a_single_sample_is_a_point_mass():
    # MMD² of a point at the origin from N(0, 1), with h = 1: 1 − 2 √(1/3) + √(1/5).
    got = discrepancy(torch.zeros(1, 1, dtype=torch.float64)).item()
    assert got == pytest.approx(1 - 2 / 3**0.5 + 1 / 5**0.5)


@pytest.mark.parametrize(("mean", "scale"), [(0.0, 1.0), (0.7, 0.5), (0.0, 2.0)])
def test_the_estimate_has_no_bias(mean, scale):
    # Between Gaussians E k is a product of √(h/(h + 2s)) e^{−m²/(h + 2s)}, s the variances' sum.
    h, d = 3.0, 2

    def expected(m, s):
        return ((h / (h + 2 * s)) ** 0.5 * np.exp(-(m**2) / (h + 2 * s))) ** d

    want = expected(0, 2 * scale**2) - 2 * expected(mean, scale**2 + 1) + expected(0, 2)
    z = mean + scale * torch.randn(4000, 6, d, generator=torch.Generator().manual_seed(0)).double()
    found = torch.stack([discrepancy(batch, h) for batch in z])
    error = found.std().item() / len(found) ** 0.5
    assert abs(found.mean().item() - want) < 4 * error
    assert (want == pytest.approx(0, abs=1e-12)) == (mean == 0 and scale == 1)
    assert found.min() < 0 or want > 0.05


def test_the_source_draws_from_the_prior_what_is_in_closed_form_here():
    # Its code: the mean over all pairs, k = e^{−mean_l (z_l − y_l)² / d}, of two sets of b samples.
    rng, b = np.random.default_rng(1), 40
    z = rng.normal(size=(b, 4)) + 0.5

    def kernel(a, b):
        return np.exp(-((a[:, None] - b[None]) ** 2).mean(2) / 4)

    def unpaired(k):  # without the pairs of a sample with itself, which bias its mean
        return (k.sum() - b) / (b * (b - 1))

    found = []
    for _ in range(500):
        y = rng.normal(size=(b, 4))
        source = kernel(z, z).mean() + kernel(y, y).mean() - 2 * kernel(z, y).mean()
        bias = sum(k.mean() - unpaired(k) for k in (kernel(z, z), kernel(y, y)))
        found.append(source - bias)
    error = np.std(found) / len(found) ** 0.5
    assert abs(np.mean(found) - discrepancy(torch.tensor(z)).item()) < 4 * error < 0.004


def test_gradients():
    sample = torch.tensor(arrays()[0], requires_grad=True)
    assert torch.autograd.gradcheck(discrepancy, (sample,))


def test_it_draws_an_aggregate_posterior_to_the_prior():
    z = (torch.randn(64, 2, generator=torch.Generator().manual_seed(0)) * 0.2 + 2).requires_grad_()
    optimiser = torch.optim.Adam([z], lr=0.05)
    begun = discrepancy(z).item()
    for _ in range(400):
        optimiser.zero_grad()
        discrepancy(z).backward()
        optimiser.step()
    assert discrepancy(z).item() < 0.01 * begun
    assert z.mean(0).abs().max() < 0.3
    assert 0.5 < z.var(0).mean() < 2
