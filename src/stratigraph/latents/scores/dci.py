"""DCI: disentanglement, completeness and informativeness, from what a forest of trees uses.

For each factor a forest predicts its value from the codes; R_jk ≥ 0 is the importance of latent j
to factor k (the share of the Gini impurity that splits on j take away). With
P_jk = R_jk / Σ_k R_jk, Q_jk = R_jk / Σ_j R_jk and H_b the entropy to base b,

    disentanglement   D = Σ_j ρ_j (1 − H_f(P_j·)),   ρ_j = Σ_k R_jk / ΣR   one factor a latent?
    completeness      C = Σ_k ω_k (1 − H_z(Q_·k)),   ω_k = Σ_j R_jk / ΣR   one latent a factor?
    informativeness   the accuracy on held-out rows, mean over factors

each from 0 to 1. Latents that no tree uses have ρ_j = 0.

Source: Eastwood & Williams 2018 (ICLR), who use a lasso or a random forest as here and tell the
error of informativeness. Locatello et al. 2019 take boosted trees, which are some fifty times
slower, and the accuracy. Every latent may be split on in every tree (no column sampling), so an
importance goes astray only where a latent truly helps.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from stratigraph.errors import InputError
from stratigraph.latents.scores.table import (
    Scored,
    held_out,
    moves,
    read_table,
    undefined,
)
from stratigraph.values import check_number, check_whole

__all__ = ["DCISettings", "completeness", "dci", "disentanglement"]


@dataclass(frozen=True)
class DCISettings:
    """Of the estimator.

    Attributes:
        trees: of each factor's forest.
        depth: of a tree, at most.
        leaf: rows of a leaf, at least.
        train: the share of the rows that the forest is made from; the others are held out.
        seed: of the split and of the forests.

    """

    trees: int = 20
    depth: int = 8
    leaf: int = 1
    train: float = 2 / 3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("trees", "depth", "leaf"):
            check_whole(name, getattr(self, name), 1, error=InputError)
        check_whole("seed", self.seed, 0, error=InputError)
        check_number("train", self.train, above=0, most=0.99, error=InputError)


def _importances(importance: np.ndarray) -> np.ndarray:
    matrix = np.asarray(importance, dtype=np.float64)
    if matrix.ndim != 2 or not np.isfinite(matrix).all() or (matrix < 0).any():
        raise InputError(
            f"importance: expected finite numbers (z, f) ≥ 0, got an array of shape {matrix.shape}."
        )
    return matrix


def disentanglement(importance: np.ndarray) -> tuple[float, np.ndarray]:
    """D of importances (z, f), and 1 − H_f of each latent (z,): NaN of one that is not used.

    NaN where there are fewer than two factors, or nothing is of importance.
    """
    matrix = _importances(importance)
    each = np.full(len(matrix), np.nan)
    used = matrix.sum(axis=1) > 0
    if matrix.shape[1] < 2 or not used.any():
        return float("nan"), each
    shares = matrix[used] / matrix[used].sum(axis=1, keepdims=True)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    each[used] = 1 + (shares * logs).sum(axis=1) / np.log(matrix.shape[1])
    return float(np.average(each[used], weights=matrix[used].sum(axis=1))), each


def completeness(importance: np.ndarray) -> tuple[float, np.ndarray]:
    """C of importances (z, f), and 1 − H_z of each factor (f,)."""
    return disentanglement(_importances(importance).T)


def dci(codes: np.ndarray, factors: np.ndarray, settings: DCISettings | None = None) -> Scored:
    """Disentanglement; with completeness and informativeness as parts, and R (z, f).

    Args:
        codes: (n, z), finite.
        factors: whole numbers, (n, f).
        settings: of the estimator.

    Raises:
        InputError: codes and factors do not fit each other.

    """
    settings = settings or DCISettings()
    table = read_table(codes, factors, latents=2, varying=2)
    if table.reason:
        return undefined(table, settings)
    known, others = held_out(table, settings.train, settings.seed)
    if min(len(known), len(others)) < 2:
        return undefined(table, settings, f"{len(codes)} rows are too few to hold some out")

    from sklearn.ensemble import RandomForestClassifier

    # Trees read float32.
    codes = table.codes - table.codes.mean(axis=0)
    codes = codes / np.where(moves(codes), np.abs(codes).max(axis=0), 1.0)
    importance = np.zeros((table.codes.shape[1], len(table.kept)))
    right = np.zeros(len(table.kept))
    for k, factor in enumerate(table.values.T):
        forest = RandomForestClassifier(
            settings.trees, max_depth=settings.depth, min_samples_leaf=settings.leaf,
            max_features=None, random_state=settings.seed, n_jobs=1,
        )  # fmt: skip
        with warnings.catch_warnings():
            # A factor of nearly as many values as there are rows is still one of values.
            warnings.filterwarnings("ignore", message="The number of unique classes")
            forest.fit(codes[known], factor[known])
        importance[:, k] = forest.feature_importances_
        right[k] = forest.score(codes[others], factor[others])
    d, by_latent = disentanglement(importance)
    c, complete = completeness(importance)
    if not np.isfinite(d):
        return undefined(table, settings, "no tree found a latent of use")
    return Scored(
        d,
        len(codes),
        settings,
        parts={"completeness": c, "informativeness": float(right.mean())},
        by_factor=table.spread(complete),
        by_latent=by_latent,
        matrix=table.spread(importance),
    )
