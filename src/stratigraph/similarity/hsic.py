"""HSIC of linear kernels, debiased, and when there is nothing left of it: one rule for every form.

With K⁰, L⁰ the Gram matrices of x and y without their diagonals, row sums r, s and totals R, S, the
U-statistic of Song et al. (2012, eq. 5) is U = H / (n(n − 3)), where H is either of

    H = ⟨K⁰, L⁰⟩ − 2 r·s/(n − 2) + RS/((n − 1)(n − 2))            of any features;
    H = ⟨K, L⟩ − n/(n − 2) d·e + Σd Σe/((n − 1)(n − 2))           of centred features,

d, e the diagonals of K and L; the second is the first with r = −d, R = −Σd. And H = ⟨K̃, L̃⟩ of the
U-centred matrices (Székely & Rizzo 2014), whose off-diagonal entries are, of centred features,

    K̃_ij = K_ij + (d_i + d_j)/(n − 2) − Σd/((n − 1)(n − 2)).

Rows of K̃ sum to 0, so what is added to K in the form a_i + a_j changes no H: sums of rows need
not be exact.

**Degenerate.** H(x, x) = ‖K̃‖² is 0 where all probes are equally far apart, and rounding leaves of 0

    ε_x² (tr K)²     what features rounded to their dtype are worth: entries of K are off by
                     ε_x √(d_i d_j), and ‖√d √dᵀ‖_F = tr K;
    ε ‖K‖²           where H is a difference of sums of float64.

At 16 ε_x tr K for the root of the first and 512 ε ‖K‖² for the second, or less, a representation
has no debiased HSIC: its scores are NaN. Features of p isotropic units have ‖K̃‖ ≈ tr K/√p, so
10¹¹ of them in float32 are still told from that.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["DEGENERATE", "debiased_hsic", "debiased_hsic_centred", "is_degenerate", "u_shift"]

DEGENERATE = (
    "equidistant: all its probes are equally far apart, so the debiased kernel is zero everywhere"
)
FEATURES, SUMS = 16.0, 512 * float(np.finfo(np.float64).eps)


def debiased_hsic(inner: Any, rows: Any, totals: Any, n: Any) -> Any:
    """H from ⟨K⁰, L⁰⟩, r·s and RS of n probes: numbers, or arrays of them."""
    return inner - 2 * rows / (n - 2) + totals / ((n - 1) * (n - 2))


def debiased_hsic_centred(inner: Any, diagonals: Any, traces: Any, n: Any) -> Any:
    """H from ⟨K, L⟩, d·e and Σd Σe of the Gram matrices of centred features."""
    return inner - n / (n - 2) * diagonals + traces / ((n - 1) * (n - 2))


def u_shift(d: Any) -> Any:
    """What K̃_ij is less than K_ij for each of its two probes, (n,); of centred features."""
    n = len(d)
    return d.sum() / (2 * (n - 1) * (n - 2)) - d / (n - 2)


def is_degenerate(own: Any, inner: Any, trace: Any, dtype: Any) -> Any:
    """Whether H(x, x) is what rounding leaves of 0 (or NaN): numbers, or arrays of them.

    Args:
        own: H(x, x).
        inner: ‖K‖² of the centred Gram matrix; or, if larger, the largest of the sums whose
            difference H(x, x) is.
        trace: tr K.
        dtype: that x was given in, numpy's or torch's: float32 or float64.

    """
    eps = 2.0**-23 if dtype.itemsize == 4 else 2.0**-52
    # Not "own <= …", which is False of NaN.
    return ~(np.asarray(own) > np.asarray(SUMS * inner + (FEATURES * eps * trace) ** 2))
