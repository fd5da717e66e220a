"""FONDUE: how many latents a VAE can use, from a few short trainings.

A latent that the network does not use is passive: its mean is nearly constant and its sample is
noise. So passive latents add dimensions to the sampled representation, and none to the mean one.
With ID_μ(p) and ID_z(p) their intrinsic dimensions after a short training with p latents,

    the answer is the largest p that was tried with   ID_z(p) − ID_μ(p) ≤ t

found from p = the data's own intrinsic dimension: doubled while the two agree, then bisected
between the largest p that agrees and the smallest that does not. Each p is trained once. Where a
dimension is undefined (the means of a collapsed network coincide), the two do not agree.

The search takes agreement to be monotone in p, as the source does; it is a noisy estimate's, so the
trials stand beside the answer.

Source: Bonheme & Grzes 2022, *FONDUE: an algorithm to find the optimal dimensionality of the latent
representations of variational autoencoders* (arXiv 2209.12806).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stratigraph.errors import InputError
from stratigraph.values import check_whole

__all__ = ["LatentSize", "Trial", "latent_size"]


@dataclass(frozen=True)
class Trial:
    """A number of latents, and the intrinsic dimensions after a short training with it."""

    latents: int
    mean: float
    sampled: float
    agree: bool

    @property
    def gap(self) -> float:
        """ID_z − ID_μ."""
        return self.sampled - self.mean


@dataclass(frozen=True)
class LatentSize:
    """What the search found.

    Attributes:
        latents: the answer; 0 where not even one latent is used.
        threshold: t, of the gap.
        trials: in the order in which they were made.
        bounded: whether the answer is the largest number that was allowed, so that more may do.

    """

    latents: int
    threshold: float
    trials: tuple[Trial, ...]
    bounded: bool


def latent_size(
    dimensions: Callable[[int], tuple[float, float]],
    start: int,
    threshold: float,
    most: int = 512,
    told: Callable[[Trial], None] | None = None,
) -> LatentSize:
    """Search for the number of latents from which on mean and sample part.

    Args:
        dimensions: of a number of latents, the intrinsic dimensions of the mean and of the sampled
            representation after a short training.
        start: the first number that is tried: the data's own dimension.
        threshold: how far the sample's dimension may lie above the mean's.
        most: the largest number that is tried.
        told: called with each trial.

    Raises:
        InputError: a number that cannot be used.

    """
    for name, value in (("start", start), ("most", most)):
        check_whole(name, value, 1, error=InputError)
    if not threshold >= 0:
        raise InputError(f"threshold: expected a number ≥ 0, got {threshold!r}.")
    trials: list[Trial] = []
    agreed, parted, tried = 0, most + 1, min(start, most)
    while tried > agreed:
        mean, sampled = dimensions(tried)
        trials.append(Trial(tried, mean, sampled, sampled - mean <= threshold))
        if told is not None:
            told(trials[-1])
        if trials[-1].agree:
            agreed = tried
        else:
            parted = tried
        whole = 2 * tried if parted > most else (agreed + parted) // 2
        tried = min(whole, parted - 1)
    return LatentSize(agreed, threshold, tuple(trials), agreed == most)
