"""The mutual information of latents and factors, from codes in bins.

Each latent is cut into b bins of equal width between its smallest and its largest value. With p the
shares of the n rows,

    I(c_j; v_k) = Σ p(c_j, v_k) log [p(c_j, v_k) / (p(c_j) p(v_k))]
    H(v_k) = −Σ p(v_k) log p(v_k)

in nats. The plug-in estimate is biased upwards by about (b − 1)(values − 1) / 2n for codes that are
independent of the factor (Miller 1955): with few rows, noise has some information about a factor of
many values. A constant latent has none. One code far off makes the bins so wide that all others may
share one, and then little is seen of them: `crowded` tells.

Source of the estimate: Locatello et al. 2019 (arXiv 1811.12359), 20 bins.
"""

from __future__ import annotations

import numpy as np

from stratigraph.latents.scores.table import moves

__all__ = ["binned", "crowded", "entropy", "mutual_information"]

# Equal values that stand on an edge between bins must not be parted by rounding.
EDGE = 1e-9
# Of the entropies whose difference it is: information below is rounding, and is none. Ratios of it
# would be anything (`modularity`).
ROUNDING = 64 * np.finfo(np.float64).eps


def binned(codes: np.ndarray, bins: int) -> np.ndarray:
    """The bin of each code, from 0 to bins − 1: whole numbers (n, z)."""
    low, moving = codes.min(axis=0), moves(codes)
    width = np.where(moving, np.ptp(codes, axis=0), 1.0)
    places = np.floor((codes - low) / width * bins + EDGE).astype(np.int64)
    return np.where(moving, np.clip(places, 0, bins - 1), 0)


def entropy(counts: np.ndarray) -> float:
    """The entropy of counts, whatever their shape, in nats."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def crowded(codes: np.ndarray, bins: int) -> str:
    """Which latents have most codes in few bins because a few lie far off; "" for none.

    Those whose bins have less than half of the entropy that they have when codes beyond the 5 % and
    95 % quantiles are moved there.
    """
    low = np.quantile(codes, 0.05, axis=0, method="higher")
    high = np.quantile(codes, 0.95, axis=0, method="lower")
    within = np.clip(codes, low, np.maximum(low, high))
    whole, central = (
        np.array([entropy(np.bincount(column)) for column in binned(c, bins).T])
        for c in (codes, within)
    )
    far = np.flatnonzero(whole < central / 2)
    if not len(far):
        return ""
    return (
        f"codes far off leave the others of latent {', '.join(map(str, far))} in few of the {bins} "
        "bins, so that little is seen of what they tell; clip those codes, or take more bins"
    )


def mutual_information(
    codes: np.ndarray, values: np.ndarray, sizes: np.ndarray, bins: int
) -> tuple[np.ndarray, np.ndarray]:
    """I of every latent and factor (z, v), and H of every factor (v,), in nats."""
    places = binned(codes, bins)
    found = np.zeros((codes.shape[1], values.shape[1]))
    of_factors = np.array([entropy(np.bincount(column)) for column in values.T])
    for j, latent in enumerate(places.T):
        of_latent = entropy(np.bincount(latent))
        for k, factor in enumerate(values.T):
            apart = of_latent + of_factors[k]
            shared = apart - entropy(np.bincount(latent * sizes[k] + factor))
            found[j, k] = shared if shared > ROUNDING * apart else 0.0
    return found, of_factors
