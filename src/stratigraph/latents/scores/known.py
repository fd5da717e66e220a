"""Codes whose scores are known in advance: what a score should rank, and be 1 of.

From whole-numbered factors (n, f), each centred and scaled to variance 1:

    perfect   latent k is factor k
    rotated   the perfect code turned by a random orthogonal matrix: the same information, no latent
              of its own for any factor
    noise     every latent of the perfect code in an order of its own: the same values, no
              information
"""

from __future__ import annotations

import numpy as np

from stratigraph.errors import InputError, suggest

__all__ = ["KNOWN", "factor_grid", "known_codes"]

KNOWN = ("perfect", "rotated", "noise")


def factor_grid(*sizes: int) -> np.ndarray:
    """Every combination of factors with so many values, once: whole numbers (Π sizes, f)."""
    grid = np.indices(sizes).reshape(len(sizes), -1).T
    return np.ascontiguousarray(grid).astype(np.int64)


def known_codes(kind: str, factors: np.ndarray, seed: int = 0) -> np.ndarray:
    """Codes (n, f) of a kind, one of `KNOWN`.

    Args:
        kind: ``perfect``, ``rotated`` or ``noise``.
        factors: whole numbers (n, f), each of two values or more.
        seed: of the rotation, or of the orders.

    Raises:
        InputError: there is no such kind, or a factor does not vary.

    """
    if kind not in KNOWN:
        raise InputError(f"kind: unknown name {kind!r}.{suggest(kind, KNOWN)}")
    values = np.asarray(factors, dtype=np.float64)
    if values.ndim != 2 or not (np.ptp(values, axis=0) > 0).all():
        raise InputError(
            f"factors: expected (n, f), each with at least two values, got shape {values.shape}."
        )
    codes: np.ndarray = (values - values.mean(axis=0)) / values.std(axis=0)
    rng = np.random.default_rng(seed)
    if kind == "rotated":
        q, r = np.linalg.qr(rng.standard_normal((codes.shape[1], codes.shape[1])))
        codes = codes @ (q * np.sign(np.diag(r)))
    elif kind == "noise":
        codes = rng.permuted(codes, axis=0)
    return codes
