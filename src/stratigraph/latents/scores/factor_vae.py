"""The FactorVAE score: whether the latent that varies least tells which factor was held.

With a factor k held, L rows are drawn, and each latent's variance over them is divided by its
variance over all rows; the latent with the least names the vote (d, k). The majority classifier
says of each latent the factor that most of its votes were of. The score is its accuracy on further
votes, from 1/f (chance) to 1.

Latents whose variance over all rows is below `pruned` have collapsed and do not vote; they would
win every vote by rounding. Where all have, the score is undefined. The threshold is absolute: it
is meant for codes under the prior N(0, 1).

The source draws images from a generator with the factor held; here rows of a group are drawn, with
replacement (`groups`). In groups much smaller than L a latent's variance is that of the few rows,
so chance plays a larger part in the votes than L suggests.

Source: Kim & Mnih 2018 (arXiv 1802.05983); L, votes and threshold are those of Locatello et al.
2019.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from stratigraph.errors import InputError
from stratigraph.latents.scores.groups import CHUNK, Groups, grouped
from stratigraph.latents.scores.table import Scored, Table, undefined
from stratigraph.values import check_whole

__all__ = ["FactorVAESettings", "factor_vae_score", "majority"]


@dataclass(frozen=True)
class FactorVAESettings:
    """Of the estimator.

    Attributes:
        votes: from which the majority classifier is made.
        tested: further votes, on which its accuracy is taken.
        batch: L, rows of a vote.
        pruned: a latent of less variance over all rows has collapsed.
        seed: of the draws.

    """

    votes: int = 10_000
    tested: int = 5_000
    batch: int = 64
    pruned: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("votes", self.votes, 1, error=InputError)
        check_whole("tested", self.tested, 1, error=InputError)
        check_whole("batch", self.batch, 2, error=InputError)
        check_whole("seed", self.seed, 0, error=InputError)
        if not isinstance(self.pruned, int | float) or not 0 <= self.pruned < np.inf:
            raise InputError(f"pruned: expected a variance of 0 or more, got {self.pruned!r}.")


def majority(votes: np.ndarray, tested: np.ndarray) -> float:
    """The accuracy on votes (z, v) of the classifier that other votes (z, v) make."""
    told = votes.argmax(axis=1)
    return float(tested[np.arange(len(tested)), told].sum() / tested.sum())


def _votes(
    table: Table, scale: np.ndarray, groups: Groups, rng: np.random.Generator, count: int, size: int
) -> np.ndarray:
    """How often each latent varied least while each factor was held: (z, v)."""
    shape = (table.codes.shape[1], table.values.shape[1])
    found = np.zeros(shape, dtype=np.int64)
    for begun in range(0, count, CHUNK):
        factor, row = groups.draw(rng, min(CHUNK, count - begun))
        drawn = table.codes[groups.members(rng, factor, row, size)]
        least = (drawn.var(axis=1, ddof=1) / scale).argmin(axis=1)
        np.add.at(found, (least, factor), 1)
    return found


def factor_vae_score(
    codes: np.ndarray, factors: np.ndarray, settings: FactorVAESettings | None = None
) -> Scored:
    """The FactorVAE score; with the votes of its classifier (z, f) as shares of each factor's.

    Args:
        codes: (n, z), finite; means of q(z|x).
        factors: whole numbers, (n, f).
        settings: of the estimator.

    Raises:
        InputError: codes and factors do not fit each other.

    """
    settings = settings or FactorVAESettings()
    table, groups = grouped(codes, factors)
    if table.reason:
        return undefined(table, settings)
    variance = table.codes.var(axis=0, ddof=1)
    active = variance >= max(settings.pruned, np.finfo(float).tiny)
    if not active.any():
        return undefined(table, settings, f"no latent's variance reaches {settings.pruned:g}")
    rng = np.random.default_rng(settings.seed)
    held, scale = replace(table, codes=table.codes[:, active]), variance[active]
    votes = _votes(held, scale, groups, rng, settings.votes, settings.batch)
    tested = _votes(held, scale, groups, rng, settings.tested, settings.batch)
    shares = np.full((len(active), votes.shape[1]), np.nan)
    with np.errstate(invalid="ignore"):
        shares[active] = votes / votes.sum(axis=0)
    return Scored(majority(votes, tested), len(table.codes), settings, matrix=table.spread(shares))
