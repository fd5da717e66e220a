r"""The information that each latent carries of the input, whatever the prior.

With q(z_j|x_k) = N(μ_kj, σ_kj²) of n probes and the aggregate posterior
q(z_j) = 1/n Σ_k q(z_j|x_k),

    I(x; z_j) = H[q(z_j)] − 1/n Σ_k H[q(z_j|x_k)] = 1/n Σ_k i_kj,    i_kj = KL(q(z_j|x_k) ‖ q(z_j)),

in nats. No prior enters it: it is 0 of a latent whose posterior is the same for every input,
wherever that lies; and 1/n Σ_k KL(q(z_j|x_k) ‖ p) = I + KL(q(z_j) ‖ p), so that the usual KL term
is never below it. Moving or scaling a latent leaves it as it is.

The entropy of the mixture is integrated by trapezoids, two thirds of the narrowest posterior apart,
which is exact to about 1e-7; posteriors narrower than `NARROWEST` of the latent's range count as
that wide. The standard error is that of the mean of i_k: it is the estimate's influence function,
since the mixture is the best of all densities. n probes tell at most log n nats, and on average the
estimate is below the information of all inputs.

Of codes (`stratigraph.models.quantised`) the conditional entropy is 0: the information of a
position is the entropy of its codes, and e to that power their perplexity.

Sources: Hoffman & Johnson 2016 (the split of the KL term); Poole et al. 2019, arXiv 1905.06922
(the bound of n samples).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from stratigraph.errors import InputError
from stratigraph.latents.regime import check_rows

__all__ = ["Information", "information", "information_of_codes"]

NARROWEST = 2.0**-13  # of the range of a latent
REACH = 8.5  # standard deviations, beyond which a density of this kind is below 1e-16 of its top
A_STEP = 2 / 3  # of the narrowest standard deviation
AT_ONCE = 2**22  # densities in memory


class Information(NamedTuple):
    """I(x; z_j) of each latent in nats (z,), and its standard error over the probes (z,)."""

    nats: np.ndarray
    error: np.ndarray


def information(mean: np.ndarray, log_var: np.ndarray) -> Information:
    """I(x; z_j) of each latent of a Gaussian posterior.

    Args:
        mean: μ of q(z|x) on the probes, (n, z).
        log_var: log σ², (n, z).

    Raises:
        InputError: not two finite matrices of one shape, of two probes or more.

    """
    mu, lv = check_rows(mean, "mean"), check_rows(log_var, "log_var")
    if mu.shape != lv.shape:
        raise InputError(f"mean and log_var: expected one shape, got {mu.shape} and {lv.shape}.")
    parts = np.array([_of_latent(m, v) for m, v in zip(mu.T, lv.T, strict=True)])
    return _summarise(parts)


def information_of_codes(chosen: np.ndarray) -> Information:
    """The entropy of the codes at each position, which the input alone decides.

    Args:
        chosen: the code of each position of each probe, whole numbers (n, z).

    """
    codes = check_rows(chosen, "chosen")
    parts = []
    for column in codes.T:
        _, place, count = np.unique(column, return_inverse=True, return_counts=True)
        parts.append(-np.log(count / len(column))[place])
    return _summarise(np.array(parts))


def _summarise(parts: np.ndarray) -> Information:
    """Of each probe's part, (z, n)."""
    return Information(parts.mean(axis=1), parts.std(axis=1, ddof=1) / math.sqrt(parts.shape[1]))


def _of_latent(mean: np.ndarray, log_var: np.ndarray) -> np.ndarray:
    """Each probe's KL(q(z|x) ‖ q(z)), (n,)."""
    # Beyond the largest float64 a posterior is so wide that it tells nothing apart.
    sd = np.exp(0.5 * np.clip(log_var, -700, 350))
    if np.ptp(mean) == 0 and np.ptp(sd) == 0:
        return np.zeros(len(mean))
    low = float((mean - REACH * sd).min())
    span = float((mean + REACH * sd).max()) - low
    sd = np.maximum(sd, NARROWEST * span)
    step = A_STEP * float(sd.min())
    low -= REACH * float(sd.min())  # of those that were widened
    cells = math.ceil((span + 2 * REACH * float(sd.min())) / step) + 1
    first = np.maximum(np.floor((mean - REACH * sd - low) / step), 0).astype(np.int64)
    last = np.minimum(np.ceil((mean + REACH * sd - low) / step), cells - 1).astype(np.int64)
    chunks = _chunks(last - first + 1)
    total = np.zeros(cells)
    for rows in chunks:
        _, cell, log_density = _densities(mean, sd, first, last, rows, low, step)
        total += np.bincount(cell, np.exp(log_density), cells)
    log_total = np.log(total / len(mean), where=total > 0, out=np.zeros(cells))
    found = np.zeros(len(mean))
    for rows in chunks:
        probe, cell, log_density = _densities(mean, sd, first, last, rows, low, step)
        terms = np.exp(log_density) * (log_density - log_total[cell])
        found[rows] = np.bincount(probe, terms, len(rows)) * step
    return found


def _chunks(sizes: np.ndarray) -> list[np.ndarray]:
    """The places of sizes in groups that sum up to `AT_ONCE` at most, or hold a single one."""
    group = np.cumsum(sizes) // AT_ONCE
    return np.split(np.arange(len(sizes)), np.flatnonzero(np.diff(group)) + 1)


def _densities(
    mean: np.ndarray,
    sd: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    rows: np.ndarray,
    low: float,
    step: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Place in ``rows``, cell and log density of each posterior at each cell that it reaches."""
    count = last[rows] - first[rows] + 1
    probe = np.repeat(np.arange(len(rows)), count)
    begins = np.cumsum(count) - count
    cell = first[rows][probe] + np.arange(len(probe)) - begins[probe]
    mu, s = mean[rows][probe], sd[rows][probe]
    t = (low + step * cell - mu) / s
    return probe, cell, -0.5 * t * t - np.log(s) - 0.5 * math.log(2 * math.pi)
