"""σ-VAE: the density by scipy, the Gaussian VAE at σ = 1, and the best σ of all."""

import numpy as np
import pytest
import torch
from scipy import stats

from stratigraph.objectives import build_objective, evaluate
from stratigraph.objectives.sigma_vae import (
    DecoderScale,
    scaled_reconstruction,
    soft_clipped,
)
from stratigraph.testing.passes import arrays, given, pictures, posterior


def terms(sigma, output, images, parts=None):
    objective = build_objective("sigma_vae", sigma=sigma)
    one = given(objective, posterior(*arrays()), output, images, likelihood="gaussian", parts=parts)
    return objective.terms(one), one


def test_at_sigma_1_it_is_the_gaussian_vae():
    output, images = pictures()
    found, one = terms("learned", output, images)
    want = evaluate(build_objective("vae"), "gaussian", one.result, images, 0)
    for name in ("loss", "reconstruction", "regulariser", "kl"):
        got = found.logged()[name].item()
        assert got == pytest.approx(want.logged()[name].item(), rel=1e-6)
    assert found.more["sigma"].item() == pytest.approx(1, abs=1e-6)
    slopes = [torch.autograd.grad(t.loss, output)[0] for t in (found, want)]
    torch.testing.assert_close(*slopes, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("log_sigma", [-2.0, 0.0, 0.7])
def test_the_density_against_scipy(log_sigma):
    output, images = pictures(shape=(3, 2, 2))
    got = scaled_reconstruction(output, images, torch.tensor(log_sigma, dtype=torch.float64))
    density = stats.norm.logpdf(images.numpy(), output.detach().numpy(), np.exp(log_sigma))
    assert got.item() == pytest.approx(-density.sum() / len(images), rel=1e-12)


def test_the_optimal_sigma_is_the_best_of_all():
    output, images = pictures()
    found, _ = terms("optimal", output, images)
    error = ((output - images) ** 2).mean().item()
    pixels = images[0].numel()
    closed = 0.5 * pixels * (1 + np.log(2 * np.pi) + np.log(error))
    assert found.reconstruction.item() == pytest.approx(closed, rel=1e-4)  # but for the soft clip
    assert found.more["sigma"].item() == pytest.approx(error**0.5, rel=5e-3)
    tried = [
        scaled_reconstruction(output, images, torch.tensor(s, dtype=torch.float64)).item()
        for s in np.linspace(-3, 3, 601)
    ]
    assert found.reconstruction.item() <= min(tried) + 1e-3
    # Its gradient is that of the squared error over the same σ, held.
    slope = torch.autograd.grad(found.reconstruction, output)[0]
    held = (output.detach() - images) / error / len(images)
    torch.testing.assert_close(slope, held, rtol=1e-2, atol=1e-9)


def test_a_learned_sigma_ends_at_the_optimal_one():
    output, images = pictures()
    scale = DecoderScale().double()
    optimiser = torch.optim.Adam(scale.parameters(), lr=0.02)
    for _ in range(500):
        optimiser.zero_grad()
        scaled_reconstruction(output.detach() * 0.1, images, scale()).backward()
        optimiser.step()
    best = ((output.detach() * 0.1 - images) ** 2).mean().sqrt().item()
    assert best < 0.7
    assert scale().exp().item() == pytest.approx(best, rel=1e-4)


def test_gradients():
    output, images = pictures(b=2, shape=(1, 2, 2))
    log_sigma = torch.tensor(-0.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda o, s: scaled_reconstruction(o, images, soft_clipped(s)), (output, log_sigma)
    )
    of = posterior(*arrays(b=2))
    objective = build_objective("sigma_vae", sigma="optimal")
    assert torch.autograd.gradcheck(
        lambda o: objective.terms(given(objective, of, o, images)).reconstruction, (output,)
    )


@pytest.mark.parametrize("error", [0.0, 1e-12, 1e-6])
def test_an_exact_decoder_is_held_back(error):
    images = torch.full((2, 1, 4, 4), 0.5)
    output = (images + error).requires_grad_()
    of = posterior(*arrays(b=2))
    objective = build_objective("sigma_vae", sigma="optimal")
    found = objective.terms(given(objective, of, output, images, likelihood="gaussian"))
    assert torch.isfinite(found.loss)
    assert found.more["sigma"].item() >= np.exp(-6) * (1 - 1e-6)
    found.loss.backward()
    assert torch.isfinite(output.grad).all()


def test_the_soft_clip():
    s = torch.tensor([-50.0, -6.0, 0.0, 5.0], dtype=torch.float64)
    want = -6 + np.log1p(np.exp(s.numpy() + 6))
    np.testing.assert_allclose(soft_clipped(s), want, rtol=1e-12)
    assert soft_clipped(s)[0] == -6
    assert DecoderScale()().item() == pytest.approx(0, abs=1e-6)
