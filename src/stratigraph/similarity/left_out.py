"""HSIC of all probes, and of fewer of them, from one pass over two kernels.

HSIC of linear kernels is a function of A = Σ K_ij L_ij, B = r·s and RS, with r, s the row sums and
R, S the totals (`hsic`): of K⁰, L⁰, without their diagonals, debiased, and of K, L biased, where

    ⟨HKH, L⟩ = A − 2B/n + RS/n².

Without probe i each is known in closed form. With h = (K∘L)1, d_i = K_ii, e_i = L_ii (debiased 0),

    A − 2h_i + d_i e_i,
    B − r_i s_i − (Ks)_i − (Lr)_i + d_i s_i + e_i r_i + h_i − d_i e_i,
    (R − 2r_i + d_i)(S − 2s_i + e_i),

so n scores cost one n² pass. Of any other subsets, the columns of M, n × c zeros and ones,

    A = 1ᵀ(M∘(K∘L)M),   B = 1ᵀ(M∘KM∘LM),   R = 1ᵀ(M∘KM),

n²c for them all. Neither needs features centred on the probes that are left: what is added to K in
the form a_i + a_j changes no HSIC.

Source: Song et al. 2012, eq. 5; Gretton et al. 2005 (biased). Arrays of numpy's or torch's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stratigraph.similarity.hsic import debiased_hsic

__all__ = ["hsic_from_sums", "hsic_of_subsets", "hsic_without_each"]


def hsic_from_sums(inner: Any, rows: Any, totals: Any, n: Any, debiased: bool) -> Any:
    """HSIC of n probes from A, B and RS: numbers, or arrays of them."""
    if debiased:
        return debiased_hsic(inner, rows, totals, n)
    return inner - 2 * rows / n + totals / n**2


def hsic_without_each(k: Any, m: Any, debiased: bool = True) -> tuple[float, Any]:
    """HSIC of all probes, and without each, (n,).

    Args:
        k: a kernel (n, n); its diagonal is 0 where HSIC is debiased.
        m: the other.
        debiased: by U-statistic; else ⟨HKH, HLH⟩.

    """
    n = len(k)
    r, s, d, e = k.sum(0), m.sum(0), k.diagonal(), m.diagonal()
    h = (k * m).sum(0)
    inner, rows = h.sum(), r @ s
    whole = float(hsic_from_sums(inner, rows, r.sum() * s.sum(), n, debiased))
    rows_less = rows - r * s - k @ s - m @ r + d * s + e * r + h - d * e
    totals_less = (r.sum() - 2 * r + d) * (s.sum() - 2 * s + e)
    less = hsic_from_sums(inner - 2 * h + d * e, rows_less, totals_less, n - 1, debiased)
    return whole, less


def hsic_of_subsets(k: Any, m: Any, kept: np.ndarray, debiased: bool = True) -> np.ndarray:
    """HSIC of each of some subsets of the probes, (c,).

    Args:
        k: a kernel (n, n), as `hsic_without_each` takes it.
        m: the other.
        kept: which probes are in each subset, bool (n, c); at least four, debiased.
        debiased: as there.

    """
    chosen = kept.astype(np.float64)
    r, s = chosen * (k @ chosen), chosen * (m @ chosen)
    inner = (chosen * ((k * m) @ chosen)).sum(0)
    n = chosen.sum(0)
    return np.asarray(
        hsic_from_sums(inner, (r * s).sum(0), r.sum(0) * s.sum(0), n, debiased), np.float64
    )
