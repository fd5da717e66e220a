"""Representations that the tests share: seeded, small, and of every awkward kind."""

from __future__ import annotations

import numpy as np


def gaussian(n: int, p: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, p))


def layers(n: int, widths: tuple[int, ...], seed: int = 0) -> dict[str, np.ndarray]:
    """ReLU-like activations of one chain of random layers, float32, as a network would give."""
    rng = np.random.default_rng(seed)
    h = rng.normal(size=(n, 24)) @ rng.normal(size=(24, widths[0]))
    found = {}
    for index, p in enumerate(widths):
        h = np.maximum(h @ rng.normal(size=(h.shape[1], p)) / h.shape[1] ** 0.5, 0) + 0.01
        h = h + 0.1 * rng.normal(size=h.shape)
        found[f"layer{index}"] = h.astype(np.float32)
    return found


def rotation(p: int, seed: int = 0) -> np.ndarray:
    return np.linalg.qr(gaussian(p, p, seed))[0]
