"""The measures as papers print them, in float64: what every fast path must equal."""

from __future__ import annotations

import numpy as np


def centred(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, np.float64)
    return x - x.mean(0)


def linear_cka(x: np.ndarray, y: np.ndarray) -> float:
    n = len(x)
    h = np.eye(n) - 1 / n
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    k, m = h @ x @ x.T @ h, h @ y @ y.T @ h
    return float(np.sum(k * m) / np.sqrt(np.sum(k * k) * np.sum(m * m)))


def hsic_unbiased(k: np.ndarray, m: np.ndarray) -> float:
    """Equation 5 of Song et al. 2012."""
    n = len(k)
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    one = np.ones(n)
    return float(
        (
            np.trace(k @ m)
            + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
            - 2 / (n - 2) * (one @ k @ m @ one)
        )
        / (n * (n - 3))
    )


def debiased_cka(x: np.ndarray, y: np.ndarray) -> float:
    k, m = centred(x) @ centred(x).T, centred(y) @ centred(y).T
    return hsic_unbiased(k, m) / np.sqrt(hsic_unbiased(k, k) * hsic_unbiased(m, m))


def procrustes_similarity(x: np.ndarray, y: np.ndarray) -> float:
    x, y = centred(x), centred(y)
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    return float(np.linalg.svd(x.T @ y, compute_uv=False).sum())


def principal(x: np.ndarray) -> np.ndarray:
    """F with FFᵀ = X_cX_cᵀ / ‖X_c‖²_F, its columns orthogonal, largest first."""
    u, sizes, _ = np.linalg.svd(centred(x), full_matrices=False)
    sizes = sizes[sizes > 1e-12 * sizes[0]]
    return u[:, : len(sizes)] * sizes / np.linalg.norm(sizes)
