"""The polarised regime: which latents a VAE uses.

Over the probes, with σ_j² = e^{lv_j} of latent j:

    passive   Var(σ_j²) < 0.1 and 0.9 ≤ E[σ_j²] ≤ 1.1    the prior, whatever the input
    active    Var(σ_j²) < 0.1 and E[σ_j²] ≤ 0.1          a precise code
    mixed     otherwise                                   one or the other, by input

Sources: Rolinek, Zietlow & Martius 2019 (arXiv 1812.06775); Bonheme & Grzes 2021
(arXiv 2109.12679), whose thresholds these are.
"""

from __future__ import annotations

import numpy as np

from stratigraph.errors import InputError

__all__ = ["REGIMES", "check_rows", "kl_by_latent", "regimes"]

REGIMES = ("active", "mixed", "passive")
SPREAD = 0.1
ACTIVE = 0.1
PASSIVE = (0.9, 1.1)


def check_rows(values: np.ndarray, name: str) -> np.ndarray:
    """What is known of latents, one row a probe: finite numbers (n, z) as float64."""
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or len(matrix) < 2:
        raise InputError(
            f"{name}: expected (n, z) with n ≥ 2 probes, got an array of shape {matrix.shape}."
        )
    if not np.isfinite(matrix).all():
        raise InputError(f"{name}: expected finite numbers, got NaN or infinity.")
    return matrix


def regimes(log_var: np.ndarray) -> np.ndarray:
    """The regime of each latent, of `REGIMES`: (z,) strings.

    Args:
        log_var: log σ² of q(z|x) on the probes, (n, z).

    Raises:
        InputError: not a finite matrix of two probes or more.

    """
    # e^700 is near the largest float64: beyond it the latent is mixed whatever the number.
    variance = np.exp(np.minimum(check_rows(log_var, "log_var"), 350.0))
    mean, steady = variance.mean(axis=0), variance.var(axis=0) < SPREAD
    found = np.full(len(mean), "mixed", dtype="<U7")
    found[steady & (mean <= ACTIVE)] = "active"
    found[steady & (mean >= PASSIVE[0]) & (mean <= PASSIVE[1])] = "passive"
    return found


def kl_by_latent(mean: np.ndarray, log_var: np.ndarray) -> np.ndarray:
    """KL(q(z_j|x) ‖ N(0, 1)) of each latent, averaged over the probes, in nats: (z,).

    Args:
        mean: μ of q(z|x), (n, z).
        log_var: log σ², (n, z).

    """
    mu, lv = check_rows(mean, "mean"), check_rows(log_var, "log_var")
    return 0.5 * (mu**2 + np.exp(np.minimum(lv, 350.0)) - lv - 1).mean(axis=0)
