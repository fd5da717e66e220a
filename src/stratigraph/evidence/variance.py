"""The variances that an estimate's error is put together from (`stratigraph.evidence.estimate`)."""

from __future__ import annotations

import math

import numpy as np
import scipy

__all__ = ["add_by_stream", "add_variances", "pulls_of", "variance_of_runs"]


def add_variances(
    of_runs: tuple[float, float], of_probes: tuple[float, float], of_both: float
) -> tuple[float, float]:
    """The standard error that follows from the parts of a variance, and its degrees of freedom.

    Args:
        of_runs: v_r and its degrees of freedom; NaN where there is none.
        of_probes: v_p and its degrees of freedom; NaN where there is none.
        of_both: v_rp.

    """
    known = [(v, d) for v, d in (of_runs, of_probes) if v > of_both]  # which NaN is not
    total = of_both + sum(v - of_both for v, _ in known)
    squares = sum(v**2 / d for v, d in known)
    if of_both > 0:
        squares += of_both**2 / (of_runs[1] * of_probes[1])
    if not squares > 0:
        return math.nan, math.nan
    return math.sqrt(total), max(1.0, total**2 / squares)


def pulls_of(less: np.ndarray, config: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """√((n_c − 1)/n_c) d_ci of each run, by columns, (r, 1 + g)."""
    means = np.zeros((len(counts), less.shape[1]))
    np.add.at(means, config, less)
    means /= counts[:, None]
    scale = np.sqrt((counts - 1) / counts)
    return scale[config, None] * (less - means[config])


def add_by_stream(pulls: np.ndarray, stream: np.ndarray) -> np.ndarray:
    """The sums of the runs of each stream."""
    kinds, place = np.unique(stream, return_inverse=True)
    sums = np.zeros((len(kinds), *pulls.shape[1:]))
    np.add.at(sums, place, pulls)
    return sums


def variance_of_runs(
    pulls: np.ndarray, config: np.ndarray, counts: np.ndarray, stream: np.ndarray
) -> tuple[float, float]:
    """The variance over runs, and its degrees of freedom.

    Configurations that share streams are one part, with the degrees of freedom of their mean
    number of runs, weighed by their variances; the others each a part of their own.
    """
    total = float((add_by_stream(pulls, stream) ** 2).sum())
    if not total > 0:
        return total, float(len(pulls) - len(counts))
    own = np.bincount(config, pulls**2, len(counts))
    part = _sharing(config, stream, len(counts))
    squares = 0.0
    for one in np.unique(part):
        inside = part == one
        of_it = np.isin(config, np.flatnonzero(inside))
        variance = float((add_by_stream(pulls[of_it], stream[of_it]) ** 2).sum())
        if own[inside].sum() > 0:
            freedom = float(np.average(counts[inside] - 1, weights=own[inside]))
            squares += variance**2 / freedom
    return total, total**2 / squares if squares > 0 else math.nan


def _sharing(config: np.ndarray, stream: np.ndarray, count: int) -> np.ndarray:
    """Which set of configurations that share streams each configuration is in, (c,)."""
    _, place = np.unique(stream, return_inverse=True)
    links = scipy.sparse.coo_array(
        (np.ones(len(config)), (config, place)), (count, place.max() + 1)
    )
    return np.asarray(scipy.sparse.csgraph.connected_components(links @ links.T, False)[1])
