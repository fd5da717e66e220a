"""Interventional robustness: whether a latent stays where it is while other factors change.

Within the rows of one value of factor k everything but that factor changes. With quantile q of the
distances there, and all rows' largest distance m_j = max |c_j − mean c_j|,

    D_jk = mean over values a of  quantile_q( |c_j − E[c_j | v_k = a]|  where v_k = a )
    R_jk = 1 − D_jk / m_j                IRS = Σ_j m_j max_k R_jk / Σ_j m_j

It is 1 where each latent is a function of one factor, and about 0 for noise without tails; normal
noise has tails, m_j beyond the quantile, and scores more. Constant latents are left out, as in
the source (their m_j is 0), and so are groups of a single row, whose distances are 0 whatever the
code.

Source: Suter, Miladinović, Schölkopf & Bauer 2019 (arXiv 1811.00007), for crossed factors;
Locatello et al. 2019 take q = 0.99, the article q = 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stratigraph.errors import InputError
from stratigraph.latents.scores.table import Scored, moves, read_table, undefined
from stratigraph.values import check_number

__all__ = ["IRSSettings", "irs"]


@dataclass(frozen=True)
class IRSSettings:
    """Of the estimator: the quantile of the distances within a group; 1 is their largest."""

    quantile: float = 0.99

    def __post_init__(self) -> None:
        check_number("quantile", self.quantile, above=0, most=1, error=InputError)


def _deviations(codes: np.ndarray, factor: np.ndarray, quantile: float) -> np.ndarray:
    """The mean over a factor's values of the quantile of distances: (z,); NaN without groups."""
    order = np.argsort(factor, kind="stable")
    groups = np.split(codes[order], np.flatnonzero(np.diff(factor[order])) + 1)
    found = [
        np.quantile(np.abs(group - group.mean(axis=0)), quantile, axis=0)
        for group in groups
        if len(group) > 1
    ]
    return np.mean(found, axis=0) if found else np.full(codes.shape[1], np.nan)


def irs(codes: np.ndarray, factors: np.ndarray, settings: IRSSettings | None = None) -> Scored:
    """The interventional robustness score; with that of each latent, and R (z, f).

    Args:
        codes: (n, z), finite.
        factors: whole numbers, (n, f).
        settings: of the estimator.

    Raises:
        InputError: codes and factors do not fit each other.

    """
    settings = settings or IRSSettings()
    table = read_table(codes, factors)
    if table.reason:
        return undefined(table, settings)
    codes = table.codes
    moving = moves(codes)
    largest = np.abs(codes - codes.mean(axis=0)).max(axis=0)
    deviation = np.stack(
        [_deviations(codes, factor, settings.quantile) for factor in table.values.T], axis=1
    )
    if np.isnan(deviation).all():
        return undefined(table, settings, "no two rows share a factor's value")
    robust = np.full(deviation.shape, np.nan)
    robust[moving] = 1 - deviation[moving] / largest[moving, None]
    by_latent = np.full(len(largest), np.nan)
    by_latent[moving] = np.nanmax(robust[moving], axis=1)
    return Scored(
        float(np.average(by_latent[moving], weights=largest[moving])),
        len(codes),
        settings,
        by_latent=by_latent,
        matrix=table.spread(robust),
    )
