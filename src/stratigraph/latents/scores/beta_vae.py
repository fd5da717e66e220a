"""The β-VAE score: whether a linear classifier tells which factor two images share.

A point is the mean over L pairs of |c − c'| (z,), both rows of a pair having the same value of the
held factor k; the score is the accuracy on further points of a logistic regression that predicts k,
from 1/f (chance) to 1. A latent that holds k alone is 0 there. It is lenient: a rotated code whose
every latent moves a little less when k is held can be told as well, given enough pairs.

The source draws pairs from a generator; here they are two different rows of a group (`groups`).
Factors other than k can coincide in a pair, as they can there.

Source: Higgins et al. 2017 (ICLR, β-VAE); L = 64, 10,000 and 5,000 points and the logistic
regression (scikit-learn's, C = 1) are those of Locatello et al. 2019. Codes are first divided by
one number, the root of their latents' mean variance (about 1 under the prior), so that the
regression's penalty means the same at any scale.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np

from stratigraph.errors import InputError
from stratigraph.latents.scores.groups import CHUNK, Groups, grouped
from stratigraph.latents.scores.table import Scored, Table, undefined
from stratigraph.values import check_whole

__all__ = ["BetaVAESettings", "beta_vae_score"]


@dataclass(frozen=True)
class BetaVAESettings:
    """Of the estimator.

    Attributes:
        points: on which the classifier is trained.
        tested: further points, on which its accuracy is taken.
        pairs: L, of a point.
        iterations: of the classifier's solver, at most.
        seed: of the draws.

    """

    points: int = 10_000
    tested: int = 5_000
    pairs: int = 64
    iterations: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("points", "tested", "pairs", "iterations"):
            check_whole(name, getattr(self, name), 1, error=InputError)
        check_whole("seed", self.seed, 0, error=InputError)


def _points(
    table: Table, groups: Groups, rng: np.random.Generator, count: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean differences (count, z), and the factor that was held at each (count,)."""
    differences, held = [], []
    for begun in range(0, count, CHUNK):
        factor, row = groups.draw(rng, min(CHUNK, count - begun))
        one, other = groups.pairs(rng, factor, row, size)
        differences.append(np.abs(table.codes[one] - table.codes[other]).mean(axis=1))
        held.append(factor)
    return np.concatenate(differences), np.concatenate(held)


def beta_vae_score(
    codes: np.ndarray, factors: np.ndarray, settings: BetaVAESettings | None = None
) -> Scored:
    """The β-VAE score; with the accuracy on each factor, and on the training points.

    Args:
        codes: (n, z), finite; means of q(z|x).
        factors: whole numbers, (n, f).
        settings: of the estimator.

    Raises:
        InputError: codes and factors do not fit each other.

    """
    settings = settings or BetaVAESettings()
    table, groups = grouped(codes, factors)
    if table.reason:
        return undefined(table, settings)
    codes = table.codes - table.codes.mean(axis=0)
    codes = codes / np.abs(codes).max()
    table = replace(table, codes=codes / np.sqrt(codes.var(axis=0).mean()))
    rng = np.random.default_rng(settings.seed)
    points, held = _points(table, groups, rng, settings.points, settings.pairs)
    if len(np.unique(held)) < 2:
        return undefined(table, settings, "only one factor was drawn; take more points")
    further, asked = _points(table, groups, rng, settings.tested, settings.pairs)

    from sklearn.linear_model import LogisticRegression

    classifier = LogisticRegression(max_iter=settings.iterations)
    with warnings.catch_warnings():
        # Points of a nearly separable problem: accuracy has settled long before the weights.
        warnings.simplefilter("ignore")
        classifier.fit(points, held)
    right = classifier.predict(further) == asked
    drawn = np.bincount(asked, minlength=len(table.kept))
    with np.errstate(invalid="ignore"):
        by_factor = np.bincount(asked, right, len(table.kept)) / drawn
    return Scored(
        float(right.mean()),
        len(table.codes),
        settings,
        parts={"training": float(classifier.score(points, held))},
        by_factor=table.spread(by_factor),
    )
