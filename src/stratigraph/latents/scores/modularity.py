"""Modularity: whether each latent holds one factor; and explicitness, whether it shows linearly.

With I_jk the mutual information of latent j and factor k (`mutual_information`), and k(j) the
factor that latent j says most of,

    δ_j = Σ_{k ≠ k(j)} I_jk² / ( I_{j k(j)}² (f − 1) )      modularity = 1/z Σ_j (1 − δ_j)

from 0 to 1. A latent that says nothing of any factor counts 0, as in Locatello et al. 2019; so a
code with collapsed latents is less modular than the same code without them. Where a latent is
noise, δ_j is a ratio of the biases of I: noise does not score 0, and scores more the more unequal
the numbers of the factors' values are.

Explicitness: for each factor a logistic regression on the codes gives each value a probability;
the mean over values of the area under its ROC curve on held-out rows, 0.5 by chance. It does not
ask for disentanglement, and a rotation leaves it as it is.

Source: Ridgeway & Mozer 2018 (arXiv 1802.05312); 20 bins as Locatello et al. 2019.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from stratigraph.errors import InputError
from stratigraph.latents.scores.mutual_information import crowded, mutual_information
from stratigraph.latents.scores.table import (
    Scored,
    Table,
    held_out,
    moves,
    read_table,
    undefined,
)
from stratigraph.values import check_number, check_whole

__all__ = ["ModularitySettings", "modularity", "modularity_of"]


@dataclass(frozen=True)
class ModularitySettings:
    """Of the estimator.

    Attributes:
        bins: of each latent, for the mutual information.
        explicit: whether explicitness is estimated too, which takes longer.
        train: the share of the rows that its classifiers are trained on; the others are held out.
        iterations: of their solver, at most.
        seed: of that split.

    """

    bins: int = 20
    explicit: bool = False
    train: float = 2 / 3
    iterations: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("bins", self.bins, 2, error=InputError)
        check_whole("iterations", self.iterations, 1, error=InputError)
        check_whole("seed", self.seed, 0, error=InputError)
        check_number("train", self.train, above=0, most=0.99, error=InputError)


def modularity_of(information: np.ndarray) -> tuple[float, np.ndarray]:
    """Modularity of I (z, f ≥ 2), and 1 − δ of each latent (z,)."""
    squares = np.asarray(information, dtype=np.float64) ** 2
    most = squares.max(axis=1)
    rest = squares.sum(axis=1) - most
    told = most > 0
    each = np.zeros(len(squares))
    each[told] = 1 - rest[told] / (most[told] * (squares.shape[1] - 1))
    return float(each.mean()), each


def _explicitness(table: Table, settings: ModularitySettings) -> np.ndarray:
    """The mean area under the ROC curves of each factor's values: (v,)."""
    from scipy.stats import rankdata
    from sklearn.linear_model import LogisticRegression

    known, others = held_out(table, settings.train, settings.seed)
    found = np.full(len(table.kept), np.nan)
    codes = table.codes[:, moves(table.codes)]
    codes = (codes - codes.mean(axis=0)) / codes.std(axis=0)
    for k, factor in enumerate(table.values.T):
        if len(np.unique(factor[known])) < 2 or len(others) < 2:
            continue
        classifier = LogisticRegression(max_iter=settings.iterations)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the order of probabilities settles before the weights
            classifier.fit(codes[known], factor[known])
        ranks = rankdata(classifier.predict_proba(codes[others]), axis=0)
        is_value = factor[others][:, None] == classifier.classes_
        positive = is_value.sum(axis=0)
        both = (positive > 0) & (positive < len(others))
        if both.any():
            above = (ranks * is_value).sum(axis=0) - positive * (positive + 1) / 2
            found[k] = np.mean((above / (positive * (len(others) - positive) + ~both))[both])
    return found


def modularity(
    codes: np.ndarray, factors: np.ndarray, settings: ModularitySettings | None = None
) -> Scored:
    """Modularity; with 1 − δ of each latent, I (z, f) in nats, and explicitness if it is asked for.

    Args:
        codes: (n, z), finite.
        factors: whole numbers, (n, f).
        settings: of the estimator.

    Raises:
        InputError: codes and factors do not fit each other.

    """
    settings = settings or ModularitySettings()
    table = read_table(codes, factors, varying=2)
    if table.reason:
        return undefined(table, settings)
    information, _ = mutual_information(table.codes, table.values, table.sizes, settings.bins)
    score, each = modularity_of(information)
    parts, by_factor = {}, np.empty(0)
    if settings.explicit:
        explicit = _explicitness(table, settings)
        known = explicit[np.isfinite(explicit)]
        parts["explicitness"] = float(known.mean()) if len(known) else float("nan")
        by_factor = table.spread(explicit)
    return Scored(
        score,
        len(table.codes),
        settings,
        parts=parts,
        by_factor=by_factor,
        by_latent=each,
        matrix=table.spread(information),
        note=crowded(table.codes, settings.bins),
    )
