r"""FactorVAE: R + KL + γ·TC, the total correlation read from a discriminator.

A discriminator D gives the probability that z is a sample of q(z) rather than of Π_l q(z_l). Where
it is the best one, D / (1 − D) is the ratio of the two densities, so

    TC = KL(q(z) ‖ Π_l q(z_l)) = E_q(z) log [D(z) / (1 − D(z))] = E_q(z) [a_0(z) − a_1(z)]

with a its two logits. It is trained beside the VAE, on −½ E log D(z) − ½ E log (1 − D(z̄)): z̄ are
samples of another, independent batch, each latent permuted over that batch by itself.

Each step is one backward pass: the VAE sees the discriminator's weights as constants, and the
discriminator sees the samples as constants. Both are those before the update, where Algorithm 2 of
the source lets the discriminator see the updated VAE. On held-out images z̄ is of the same images,
with other noise.

The discriminator is the source's: six layers of 1,000 units, leaky ReLU (0.2), two logits; Adam
with learning rate 1e-4 and betas 0.5, 0.9, whatever the VAE's are. It is no layer of the network.
At γ = 0 it is the VAE.

Source: Kim & Mnih 2018, arXiv 1802.05983, Algorithm 2 and appendix A.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from stratigraph.objectives.parameters import Number, declared
from stratigraph.objectives.passes import Parts, Pass, Terms
from stratigraph.objectives.terms import kl_divergence
from stratigraph.shapes import Latents, Scalar

__all__ = ["FactorVAE", "discriminator", "discriminator_loss", "log_ratio", "permuted"]

SLOPE = 0.2
BETA = Number(0, below=1)


def discriminator(latents: int, layers: int = 6, units: int = 1000) -> nn.Sequential:
    """Samples (b, z) → the logits of q(z) and of Π_l q(z_l), (b, 2)."""
    widths = [latents, *[units] * layers]
    hidden = {
        f"dense{i + 1}": nn.Sequential(nn.Linear(widths[i], units), nn.LeakyReLU(SLOPE))
        for i in range(layers)
    }
    return nn.Sequential(OrderedDict(**hidden, logits=nn.Linear(widths[-1], 2)))


def log_ratio(logits: Tensor) -> Scalar:
    """The mean of log D / (1 − D) over samples, from logits (b, 2): the total correlation."""
    return (logits[:, 0] - logits[:, 1]).mean()


def discriminator_loss(joint: Tensor, product: Tensor) -> Scalar:
    """Cross-entropy of logits (b, 2) of samples of q(z), and of Π_l q(z_l); log 2 for a coin."""
    right = functional.log_softmax(joint, dim=1)[:, 0].mean()
    wrong = functional.log_softmax(product, dim=1)[:, 1].mean()
    return -0.5 * (right + wrong)


def permuted(sample: Latents, generator: torch.Generator) -> Latents:
    """Samples (b, z) with each latent permuted over the batch by itself."""
    order = torch.rand(sample.shape, generator=generator).argsort(dim=0)
    return sample.gather(0, order.to(sample.device))


@dataclass(frozen=True)
class FactorVAE:
    """R + KL + γ·TC; the other parameters are the discriminator's."""

    gamma: float
    layers: int = declared(Number(1, 64, whole=True), 6)
    units: int = declared(Number(1, 65_536, whole=True), 1000)
    learning_rate: float = 1e-4
    beta_1: float = declared(BETA, 0.5)
    beta_2: float = declared(BETA, 0.9)
    strength: ClassVar[str | None] = "gamma"

    def same_as(self) -> dict[str, Any] | None:
        """At γ = 0, the β-VAE with β = 1: the discriminator looks on."""
        return {"name": "beta_vae", "beta": 1} if self.gamma == 0 else None

    def parts(self, latents: int) -> Parts:
        """The discriminator, with an Adam of its own."""
        adam = {"lr": self.learning_rate, "betas": (self.beta_1, self.beta_2)}
        return Parts({"discriminator": discriminator(latents, self.layers, self.units)}, adam)

    def terms(self, given: Pass) -> Terms:
        """R + KL + γ·TC, and the discriminator's loss beside it."""
        posterior, judge = given.result.posterior, given.parts["discriminator"]
        constant = {name: weight.detach() for name, weight in judge.named_parameters()}
        tc = log_ratio(torch.func.functional_call(judge, constant, (posterior.sample,)))
        kl = kl_divergence(posterior.mean, posterior.log_var)
        error, regulariser = given.reconstruction(), kl + self.gamma * tc
        product = permuted(given.other().sample.detach(), given.stream("permutation"))
        beside = discriminator_loss(judge(posterior.sample.detach()), judge(product))
        return Terms(
            error + regulariser, error, regulariser, kl, beside,
            {"total_correlation": tc, "discriminator": beside},
        )  # fmt: skip
