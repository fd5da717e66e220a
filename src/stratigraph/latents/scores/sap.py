"""Separated attribute predictability: how far one latent leads in predicting each factor.

S_jk says how well latent j alone predicts factor k, and

    SAP = 1/f Σ_k [ S_{j(k) k} − max_{j ≠ j(k)} S_jk ],   j(k) the best for k

from 0 to 1. For a factor whose values have an order, S_jk is the squared correlation, which is the
R² of the line. For a categorical one of V values it is the balanced accuracy of thresholds on the
latent: with `bins` bins of equal width, each of which names the value that is likeliest there when
all values are equally likely, S_jk = 1/V Σ_bins max_v p(bin | v). A constant latent predicts
nothing: 0, and the chance 1/V of a categorical factor, whose gap so ends at 1 − 1/V.

An ordered factor in one latent scores 1 only if it is there *linearly*.

Source: Kumar, Sattigeri & Balakrishnan 2018 (arXiv 1711.00848), regression and thresholds as here.
Locatello et al. 2019 take every factor for categorical, and a linear SVM for the thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stratigraph.errors import InputError
from stratigraph.latents.scores.mig import gaps
from stratigraph.latents.scores.mutual_information import binned, crowded
from stratigraph.latents.scores.table import Scored, moves, read_table, undefined
from stratigraph.values import check_whole

__all__ = ["SAPSettings", "sap"]


@dataclass(frozen=True)
class SAPSettings:
    """Of the estimator: the bins between which thresholds stand."""

    bins: int = 20

    def __post_init__(self) -> None:
        check_whole("bins", self.bins, 2, error=InputError)


def _correlations(codes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The squared correlation of every latent and factor: (z, v)."""
    c, v = codes - codes.mean(axis=0), values - values.mean(axis=0)
    c = c / np.where(moves(codes), np.abs(c).max(axis=0), np.inf)
    squares = (c**2).sum(axis=0)[:, None] * (v**2).sum(axis=0)[None, :]
    found: np.ndarray = (c.T @ v) ** 2 / np.where(squares > 0, squares, 1.0)
    return np.minimum(found, 1.0)


def _accuracies(places: np.ndarray, factor: np.ndarray, size: int, bins: int) -> np.ndarray:
    """The balanced accuracy with which each latent's bin tells a factor's value: (z,)."""
    counts = np.bincount(factor, minlength=size)
    joint = np.stack(
        [
            np.bincount(latent * size + factor, minlength=bins * size).reshape(bins, size)
            for latent in places.T
        ]
    )
    found: np.ndarray = (joint / counts).max(axis=2).sum(axis=1) / size
    return found


def sap(
    codes: np.ndarray,
    factors: np.ndarray,
    settings: SAPSettings | None = None,
    categorical: Sequence[int] = (),
) -> Scored:
    """The SAP score; with the gap of each factor, and S (z, f).

    Args:
        codes: (n, z), finite.
        factors: whole numbers, (n, f).
        settings: of the estimator.
        categorical: the columns of factors whose values have no order.

    Raises:
        InputError: codes and factors do not fit each other.

    """
    settings = settings or SAPSettings()
    table = read_table(codes, factors, latents=2)
    unordered = set(categorical)
    if not unordered <= set(range(table.factors)):
        raise InputError(
            f"categorical: expected columns of factors, 0 to {table.factors - 1}, got "
            f"{sorted(unordered)}."
        )
    if table.reason:
        return undefined(table, settings)
    # Of the values as they were given: their distances count, whichever occur.
    predicted = _correlations(table.codes, np.asarray(factors)[:, table.kept].astype(np.float64))
    places = binned(table.codes, settings.bins)
    for k, column in enumerate(table.kept):
        if column in unordered:
            predicted[:, k] = _accuracies(
                places, table.values[:, k], int(table.sizes[k]), settings.bins
            )
    gap = gaps(predicted)
    return Scored(
        float(gap.mean()),
        len(table.codes),
        settings,
        by_factor=table.spread(gap),
        matrix=table.spread(predicted),
        note=crowded(table.codes, settings.bins) if unordered else "",
    )
