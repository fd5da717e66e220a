"""Passes made by hand, in float64."""

import copy

import numpy as np
import torch

from stratigraph.models import Posterior, VAEOutput
from stratigraph.models.quantised import Codes
from stratigraph.objectives import Pass, codebook_of, parts_of


def arrays(b=6, z=3, seed=0):
    """Means, log-variances and noise."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(b, z)), rng.normal(size=(b, z)) * 0.5 - 1, rng.normal(size=(b, z))


def posterior(mean, log_var, noise):
    mean, log_var, noise = (torch.tensor(a, dtype=torch.float64) for a in (mean, log_var, noise))
    mean.requires_grad_()
    log_var.requires_grad_()
    return Posterior(mean, log_var, mean + (log_var / 2).exp() * noise)


def pictures(b=6, seed=1, shape=(1, 4, 4)):
    """An output with gradient, and images in [0, 1]."""
    rng = np.random.default_rng(seed)
    output = torch.tensor(rng.normal(size=(b, *shape)), requires_grad=True)
    return output, torch.tensor(rng.uniform(size=(b, *shape)))


def codes(codebook, b=6, z=3, seed=2):
    """Positions and their nearest entries of a codebook (K, d), both with gradients."""
    rng = np.random.default_rng(seed)
    vectors = torch.tensor(codebook, dtype=torch.float64, requires_grad=True)
    encoded = torch.tensor(rng.normal(size=(b, z, vectors.shape[1])), requires_grad=True)
    chosen = torch.cdist(encoded.detach(), vectors.detach().expand(b, -1, -1)).argmin(-1)
    return Codes(encoded, vectors[chosen], chosen), vectors


def stream(name, seed=0):
    return torch.Generator().manual_seed(seed + len(name))


def given(objective, of, output, images, *, step=10, likelihood="bernoulli", parts=None):
    """A whole pass, with the objective's own parts (the same at every call) and another batch."""
    if parts is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            modules = parts_of(objective, of[0].shape[1]).modules
        parts = {name: copy.deepcopy(module).double() for name, module in modules.items()}

    def other():
        b, z = of.mean.shape
        return Posterior(*(t.detach() for t in posterior(*arrays(b, z, seed=7))))

    return Pass(images, VAEOutput(output, of), step, likelihood, parts, stream, other)


def any_given(objective, likelihood, order=slice(None)):
    """A pass of whatever kind of network the objective is of, and what should have gradients."""
    output, images = pictures()
    if (book := codebook_of(objective)) is not None:
        of, vectors = codes(np.random.default_rng(3).normal(size=book))
        leaves = [of.encoded, vectors]
        of = Codes(*(part[order] for part in of))
    else:
        of = posterior(*arrays())
        leaves = [of.mean, of.log_var]
        of = Posterior(*(part[order] for part in of))
    one = given(objective, of, output[order], images[order], likelihood=likelihood)
    weights = [weight for module in one.parts.values() for weight in module.parameters()]
    return one, [output, *leaves], weights
