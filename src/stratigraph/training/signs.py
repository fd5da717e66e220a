"""Early warnings: a training that diverges, latents that collapse, codes or layers that die.

Pure functions of what can be read cheaply while a network trains; each sign comes with the numbers
behind it, and is told once for each run until it worsens, or comes back after it was half gone.

A network at its beginning is near the prior and has learnt little: then a latent counts as
collapsed only if it was active before, and a layer as dead only if all of it is.

divergence
    a loss that is not finite; or the mean of the last `RECENT` logged losses above the first such
    mean, and above the lowest one by three of their standard deviations;
uninformative
    latents that carry less than `COLLAPSED` nats of the images (`stratigraph.latents.information`),
    whatever their Kullback-Leibler term, as long as they are more than those it tells of;
collapse
    latents whose Kullback-Leibler term, averaged over probes, is below `COLLAPSED` nats: their
    posterior is the prior whatever the input;
unused codes
    a codebook (`stratigraph.models.quantised`) of which at least `DEAD` of the codes that could be
    chosen on the probes are not;
dead layer
    a layer in which at least `DEAD` of the units answer every probe alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from stratigraph.objectives.vq_vae import perplexity

__all__ = ["COLLAPSED", "DEAD", "EARLY", "RECENT", "Signs", "constant_share"]

RECENT = 20  # logged losses
COLLAPSED = 0.01  # nats
DEAD = 0.5  # of a layer's units
EARLY = 1000  # steps; a tenth of the training where its length is known
INFORMATIVE = "informative "  # the latents that carried information once, among what is told
ACTIVE = "active "  # the latents that were active once, among what is told


def constant_share(activation: Tensor) -> float:
    """The share of units whose values differ by no more than rounding over the probes (n, …).

    A unit of a convolution (n, c, h, w) is a channel, of tokens (n, t, d) one of the d: it is
    constant if it is so everywhere. The empty border of every image makes no unit dead.
    """
    x = activation.detach()
    low, high = x.amin(0), x.amax(0)
    varies = high - low > 1e-6 * torch.maximum(low.abs(), high.abs())
    if varies.ndim == 2:
        varies = varies.any(0)
    elif varies.ndim > 2:
        varies = varies.flatten(1).any(1)
    return 1 - float(varies.double().mean())


@dataclass
class Signs:
    """What was seen of one run, and what has been told of it.

    ``texts`` and ``told`` may begin with those of the same run before it was interrupted: ``told``
    is, for each kind of sign, how bad it was and at which step, in plain JSON values.
    """

    losses: list[float] = field(default_factory=list)
    first: float = math.nan
    lowest: float = math.inf
    told: dict[str, list[float]] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)

    def of_loss(self, step: int, loss: float) -> list[str]:
        """New signs in a logged loss."""
        if not math.isfinite(loss):
            return self._new("divergence", 2, f"divergence: the loss is {loss:g}", step)
        self.losses = [*self.losses[1 - RECENT :], loss]
        if len(self.losses) < RECENT:
            return []
        recent, spread = float(np.mean(self.losses)), float(np.std(self.losses, ddof=1))
        if math.isnan(self.first):
            self.first = recent
        self.lowest = min(self.lowest, recent)
        if recent <= self.first or recent <= self.lowest + 3 * spread:
            return []
        text = (
            f"divergence: the last {RECENT} logged losses average {recent:.4g}, the first "
            f"{self.first:.4g}, the lowest {self.lowest:.4g}; lower the learning rate"
        )
        return self._new("divergence", 1, text, step)

    def of_latents(self, step: int, kl: np.ndarray, early: int = EARLY) -> list[str]:
        """New signs in each latent's mean Kullback-Leibler term, nats (z,).

        Args:
            step: the network's; at 0 its posterior is near the prior by construction.
            kl: of each latent.
            early: steps in which only a latent that was active can collapse.

        """
        if step == 0:
            return []
        below = self._below(ACTIVE, kl, step, early)
        text = (
            f"collapse: {len(below)} of {len(kl)} latents below {COLLAPSED} nats "
            f"(KL {kl.sum():.3g} nats in total, the largest {kl.max():.3g})"
        )
        if len(below) == len(kl):
            text += "; the decoder gets no information: weaken or anneal the regulariser"
        return self._new("collapse", len(below), text, step)

    def _below(self, mark: str, nats: np.ndarray, step: int, early: int) -> list[int]:
        """The latents below `COLLAPSED`; early on, those alone that a look before had above it."""
        for latent in np.flatnonzero(nats >= COLLAPSED):
            self.told.setdefault(f"{mark}{latent}", [1, step])
        below = [int(latent) for latent in np.flatnonzero(nats < COLLAPSED)]
        return [one for one in below if step >= early or f"{mark}{one}" in self.told]

    def of_information(self, step: int, nats: np.ndarray, early: int = EARLY) -> list[str]:
        """New signs in the information that each latent carries, nats (z,), as in `of_latents`."""
        if step == 0:
            return []
        below = self._below(INFORMATIVE, nats, step, early)
        if len(below) <= self.told.get("collapse", [0, 0])[0]:
            return []  # the KL term told of as many
        text = (
            f"uninformative: {len(below)} of {len(nats)} latents carry less than {COLLAPSED} nats "
            f"of the images, whatever their KL ({nats.sum():.3g} nats in total)"
        )
        return self._new("uninformative", len(below), text, step)

    def of_codes(self, step: int, chosen: np.ndarray, codes: int, early: int = EARLY) -> list[str]:
        """New signs in the use of a codebook.

        Args:
            step: the network's.
            chosen: the code of each position of each probe, (n, z).
            codes: how many there are.
            early: steps in which nothing is said of it.

        """
        counts = np.bincount(chosen.ravel(), minlength=codes)
        used, could = int(np.count_nonzero(counts)), min(codes, chosen.size)
        unused = 1 - used / could
        evenness = float(perplexity(torch.from_numpy(chosen), codes))
        text = (
            f"unused codes: {used} of {codes} are chosen by {chosen.size} positions (perplexity "
            f"{evenness:.3g}); use fewer codes or more dimensions"
        )
        bad = step >= early and step > 0 and unused >= DEAD
        return self._new("unused codes", math.floor(10 * unused) if bad else 0, text, step)

    def of_layers(self, step: int, shares: Mapping[str, float], early: int = EARLY) -> list[str]:
        """New signs in the share of units that answer every probe alike, by layer."""
        found = []
        for layer, share in shares.items():
            dead = share >= (1 if step < early else DEAD)
            text = f"dead layer: {share:.0%} of the units of {layer} answer every probe alike"
            found += self._new(f"dead {layer}", math.floor(10 * share) if dead else 0, text, step)
        return found

    def of_step(self, step: int, text: str) -> list[str]:
        """What somebody else saw at a step, if it is new."""
        return self._new(f"{step} {text}", 1, text, step)

    def _new(self, key: str, amount: float, text: str, step: int) -> list[str]:
        before = self.told.get(key, [0, 0])[0]
        if amount > before:
            self.told[key] = [amount, step]
            self.texts.append(f"step {step:,}: {text}")
            return [self.texts[-1]]
        if amount <= before / 2 and before:  # by half, or a latent at the threshold would chatter
            self.told[key] = [amount, step]
        return []
