"""Mutual information gap: whether each factor is in one latent, and in no other.

With I(c_j; v_k) and H(v_k) as `mutual_information` estimates them, and j(k) the latent with the
most information about factor k,

    MIG = 1/f Σ_k [ I(c_{j(k)}; v_k) − max_{j ≠ j(k)} I(c_j; v_k) ] / H(v_k)

from 0 to 1. It is 1 where each factor's value can be told from one latent, and every other latent
is independent of it; a latent may hold several factors.

Source: Chen, Li, Grosse & Duvenaud 2018 (arXiv 1802.04942), who integrate over samples of q(z|x);
the estimate from codes in 20 bins is that of Locatello et al. 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stratigraph.errors import InputError
from stratigraph.latents.scores.mutual_information import crowded, mutual_information
from stratigraph.latents.scores.table import Scored, read_table, undefined
from stratigraph.values import check_whole

__all__ = ["MIGSettings", "gaps", "mig"]


@dataclass(frozen=True)
class MIGSettings:
    """Of the estimator: the number of bins of each latent."""

    bins: int = 20

    def __post_init__(self) -> None:
        check_whole("bins", self.bins, 2, error=InputError)


def gaps(information: np.ndarray) -> np.ndarray:
    """The largest of each column (z, v) less the second largest: (v,)."""
    ordered = np.sort(information, axis=0)
    gap: np.ndarray = ordered[-1] - ordered[-2]
    return gap


def mig(codes: np.ndarray, factors: np.ndarray, settings: MIGSettings | None = None) -> Scored:
    """The mutual information gap; with the gap of each factor, and I (z, f) in nats.

    Args:
        codes: (n, z), finite.
        factors: whole numbers, (n, f).
        settings: of the estimator.

    Raises:
        InputError: codes and factors do not fit each other.

    """
    settings = settings or MIGSettings()
    table = read_table(codes, factors, latents=2)
    if table.reason:
        return undefined(table, settings)
    information, of_factors = mutual_information(
        table.codes, table.values, table.sizes, settings.bins
    )
    gap = gaps(information) / of_factors
    return Scored(
        float(gap.mean()),
        len(table.codes),
        settings,
        by_factor=table.spread(gap),
        matrix=table.spread(information),
        note=crowded(table.codes, settings.bins),
    )
