"""Passes made by hand, without a network, for objectives to be asked of.

Means, outputs and codes are leaves of the graph, so that what an objective sends back to each can
be read off. All is float64, unless another dtype is asked for.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from stratigraph.models import Posterior, VAEOutput
from stratigraph.models.initialisation import seeded
from stratigraph.models.quantised import Codes
from stratigraph.objectives import Objective, Pass, codebook_of, parts_of

__all__ = ["arrays", "codes", "given", "pass_of", "pictures", "posterior", "stream"]


def arrays(b: int = 6, z: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, log-variances and noise, each (b, z)."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(b, z)), rng.normal(size=(b, z)) * 0.5 - 1, rng.normal(size=(b, z))


def posterior(mean: np.ndarray, log_var: np.ndarray, noise: np.ndarray) -> Posterior:
    """The posterior with these means and log-variances as leaves, and the sample of this noise."""
    means, log_vars, noises = (torch.tensor(a) for a in (mean, log_var, noise))
    means.requires_grad_()
    log_vars.requires_grad_()
    return Posterior(means, log_vars, means + (log_vars / 2).exp() * noises)


def pictures(
    b: int = 6, seed: int = 1, shape: tuple[int, int, int] = (1, 4, 4)
) -> tuple[Tensor, Tensor]:
    """An output with gradient, and images in [0, 1], each (b, c, h, w)."""
    rng = np.random.default_rng(seed)
    output = torch.tensor(rng.normal(size=(b, *shape)), requires_grad=True)
    return output, torch.tensor(rng.uniform(size=(b, *shape)))


def codes(codebook: np.ndarray, b: int = 6, z: int = 3, seed: int = 2) -> tuple[Codes, Tensor]:
    """Positions and their nearest entries of a codebook (K, d), both with gradients."""
    rng = np.random.default_rng(seed)
    vectors = torch.tensor(codebook, dtype=torch.float64, requires_grad=True)
    encoded = torch.tensor(rng.normal(size=(b, z, vectors.shape[1])), requires_grad=True)
    chosen = torch.cdist(encoded.detach(), vectors.detach().expand(b, -1, -1)).argmin(-1)
    return Codes(encoded, vectors[chosen], chosen), vectors


def stream(name: str, seed: int = 0) -> torch.Generator:
    """A generator that depends on the name and the seed."""
    return torch.Generator().manual_seed(seed + len(name))


def given(
    objective: Objective,
    of: Posterior | Codes,
    output: Tensor,
    images: Tensor,
    *,
    step: int = 10,
    likelihood: str = "bernoulli",
    parts: Mapping[str, nn.Module] | None = None,
) -> Pass:
    """A whole pass, with the objective's own parts (the same at every call) and another batch."""
    if parts is None:
        with seeded(0):
            modules = parts_of(objective, of[0].shape[1]).modules
        parts = {name: copy.deepcopy(part).to(output.dtype) for name, part in modules.items()}

    def other() -> Posterior:
        b, z = of[0].shape[:2]
        return Posterior(*(t.detach().to(output.dtype) for t in posterior(*arrays(b, z, seed=7))))

    result = VAEOutput(output, cast("Posterior", of))  # codes stand where a posterior does
    return Pass(images, result, step, likelihood, parts, stream, other)


def pass_of(
    objective: Objective,
    *,
    order: Sequence[int] = range(6),
    step: int = 10,
    dtype: torch.dtype = torch.float64,
) -> tuple[Pass, dict[str, Tensor]]:
    """A pass of whatever kind of network the objective is of, and the leaves of its graph, by name.

    Args:
        objective: of a posterior or of codes.
        order: which of six images, in which order.
        step: counted from 0.
        dtype: of all numbers.

    """
    rows = list(order)
    output, images = pictures()
    leaves: dict[str, Any] = {"the output": output}
    of: Posterior | Codes
    if (book := codebook_of(objective)) is not None:
        found, vectors = codes(np.random.default_rng(3).normal(size=book))
        leaves |= {"the encoder's vectors": found.encoded, "the codebook": vectors}
        of = Codes(found.encoded[rows].to(dtype), found.vectors[rows].to(dtype), found.chosen[rows])
    else:
        drawn = posterior(*arrays())
        leaves |= {"the means": drawn.mean, "the log-variances": drawn.log_var}
        of = Posterior(*(part[rows].to(dtype) for part in drawn))
    likelihood = getattr(objective, "likelihoods", ("bernoulli",))[0]
    one = given(
        objective, of, output[rows].to(dtype), images[rows].to(dtype), step=step,
        likelihood=likelihood,
    )  # fmt: skip
    for part, module in one.parts.items():
        leaves |= {f"its {part}.{name}": weight for name, weight in module.named_parameters()}
    return one, leaves
