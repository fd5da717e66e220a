"""Variances of a few replicates each, moderated by what they have in common.

With s_c² of d_c degrees of freedom in each of C configurations, σ_c² is taken to vary among them as
d_0 s_0²/χ²_{d_0}; then

    s̃_c² = (d_0 s_0² + d_c s_c²)/(d_0 + d_c),    of d_0 + d_c degrees of freedom,

d_0 and s_0² from the mean and variance of e_c = log s_c² − ψ(d_c/2) + log(d_c/2): the variance of
e_c beyond ψ'(d_c/2) is ψ'(d_0/2). Where there is none, d_0 is infinite, and every configuration has
the mean variance, of all the degrees of freedom together, which are the most in any case. Where
configurations share luck (one seed for all), their variances are no independent witnesses: with S
the covariances of configurations, all degrees of freedom together are Σ_c S_cc²/Σ_cc' S_cc'² of
their sum, which is 1 where they share none, and 1/C where they share all.

Source: Smyth 2004, sections 4 and 6.2.
"""

from __future__ import annotations

import math

import numpy as np
import scipy

__all__ = ["moderate"]

FAINT = 1e-5  # of the median: below it a variance is rounding, and its logarithm says nothing


def moderate(
    variances: np.ndarray, freedoms: np.ndarray, alike: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """The moderated variances (c,), and their degrees of freedom (c,).

    Args:
        variances: (c,), at least 0.
        freedoms: their degrees of freedom (c,), at least 1.
        alike: the share of all degrees of freedom that there are, where configurations share luck.

    """
    total = max(float(freedoms.max()), alike * float(freedoms.sum()))
    if len(variances) < 2 or not (variances > 0).any():
        return variances, freedoms.astype(float)
    raised = np.maximum(variances, FAINT * np.median(variances[variances > 0]))
    half = freedoms / 2
    e = np.log(raised) - scipy.special.digamma(half) + np.log(half)
    beyond = float(e.var(ddof=1) - scipy.special.polygamma(1, half).mean())
    if beyond <= 0:
        pooled = float(np.average(variances, weights=freedoms))
        return np.full(len(variances), pooled), np.full(len(variances), total)
    prior = 2 * _inverse_trigamma(beyond)
    level = math.exp(e.mean() + scipy.special.digamma(prior / 2) - math.log(prior / 2))
    moderated = (prior * level + freedoms * variances) / (prior + freedoms)
    return moderated, np.minimum(prior + freedoms, total)


def _inverse_trigamma(value: float) -> float:
    """The x at which ψ'(x) is ``value`` > 0."""
    low, high = 0.0, 1.0 + 1.0 / value  # ψ'(x) < 1/x + 1/x²
    while scipy.special.polygamma(1, high) > value:
        high *= 2
    found = scipy.optimize.brentq(
        lambda x: scipy.special.polygamma(1, x) - value, max(low, 1e-9), high
    )
    return float(found)
