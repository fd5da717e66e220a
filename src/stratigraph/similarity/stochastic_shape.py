"""Distances between representations that are distributions: a VAE's mean and variance as one.

To probe i a network answers with a Gaussian, of mean μ_i and covariance Σ_i. With the means centred
over the probes, and Q orthogonal,

    d²(x, y) = min_Q Σ_i  w ‖μ_i − Qν_i‖² + (2 − w) B²(Σ_i, Q T_i Qᵀ),      0 ≤ w ≤ 2,

B² the squared Bures distance of covariances. At w = 1 a summand is the squared Wasserstein distance
of the two Gaussians; at w = 2 only the means count, d is √2 times the size-and-shape distance; at 0
only the noise. Where there is none, d at w = 1 is the size-and-shape distance. Of p ≠ q units the
narrower gets units that are always 0.

With roots Σ = SᵀS, T = RᵀR, B²(Σ, QTQᵀ) = min_U ‖S − U R Qᵀ‖² over orthogonal U, so d is one
orthogonal Procrustes problem for Q given every U_i, and one for each U_i given Q. Alternating them
lowers the sum at each step, to a minimum that need not be the lowest: of five Q to begin with, the
one that is best after ten steps is followed to its end, which is the distance: an upper bound of
the minimum over all Q. The starts for (y, x) are those for (x, y) transposed: it is symmetric.

Source: Duong, Zhou, Nassar, Berman, Olieslagers & Williams 2023, arXiv 2211.11665.
Cost: a step n·p³, some 100 steps in all: 1 to 2 s of a core for 500 probes of 10 latents.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from stratigraph.errors import InputError
from stratigraph.similarity.centring import centre
from stratigraph.similarity.inputs import as_matrix, check_finite
from stratigraph.similarity.measure import tell

__all__ = ["Gaussians", "stochastic_shape_distance"]

TRIED = 10  # steps from each start
STEPS = 1000
SETTLED = 1e-10  # of the size of both: a step that gains less is the last
NEGATIVE = 1e-6  # of the largest eigenvalue: one below is no rounding error


@dataclass(frozen=True, eq=False)
class Gaussians:
    """A Gaussian for each probe: a representation that knows how sure it is.

    Attributes:
        mean: (n, p).
        variance: (n, p) of independent units, as a VAE's exp(log_var), or covariances (n, p, p).

    """

    mean: Any
    variance: Any


def stochastic_shape_distance(x: Gaussians, y: Gaussians, weight: float = 1.0) -> float:
    """How far apart two noisy representations are, up to a rotation and an offset.

    Args:
        x: Gaussians of n probes.
        y: Gaussians of the same probes, in the same order.
        weight: weight of the means, from 0 to 2; the noise gets the rest of 2.

    Returns:
        The distance; NaN with an `UndefinedWarning` where one side is the same for all probes.

    Raises:
        InputError: no finite matrices of the same probes, a variance below 0, or a weight outside.

    """
    if not (isinstance(weight, int | float) and 0 <= weight <= 2):
        raise InputError(f"weight: expected a number from 0 to 2, got {weight!r}.")
    sides = [_roots(side, name) for name, side in (("x", x), ("y", y))]
    if len(sides[0][0]) != len(sides[1][0]):
        raise InputError(
            "x and y: expected the same probes in the same order, "
            f"got {len(sides[0][0])} and {len(sides[1][0])}."
        )
    width = max(side[0].shape[1] for side in sides)
    # From here on a probe is one matrix (1 + p, p): √w μ, and below it √(2 − w) S.
    left, right = (_stacked(*side, width, weight) for side in sides)
    for name, side in (("x", left), ("y", right)):
        if not side.any():
            tell("stochastic_shape_distance", name, "constant, and without noise", None)
            return math.nan
    scale = max(float(np.abs(side).max()) for side in (left, right))
    left, right = left / scale, right / scale
    tried = [_descend(left, right, start, TRIED) for start in _starts(left, right)]
    _, best = min(tried, key=lambda found: found[0])
    return scale * math.sqrt(_descend(left, right, best, STEPS)[0])


def _roots(given: Gaussians, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Centred means (n, p), and S of each Σ = SᵀS (n, p, p)."""
    if not isinstance(given, Gaussians):
        raise InputError(
            f"{name}: expected Gaussians(mean, variance), got a {type(given).__name__}."
        )
    mean = as_matrix(given.mean, f"{name}.mean")
    check_finite(mean, f"{name}.mean")
    n, p = mean.shape
    spread = as_matrix(given.variance, f"{name}.variance")
    check_finite(spread, f"{name}.variance")
    if tuple(np.shape(given.variance)) not in ((n, p), (n, p, p)):
        raise InputError(
            f"{name}.variance: expected {(n, p)}, or covariances {(n, p, p)}, as its mean is "
            f"{(n, p)}; got {tuple(np.shape(given.variance))}."
        )
    found = centre(mean)
    centred = np.ldexp(found.matrix.cpu().numpy(), found.exponent)
    own = spread.double().cpu().numpy()
    if own.shape == (n, p):
        if own.min() < 0:
            raise InputError(
                f"{name}.variance: expected none below 0, got {own.min():.3g}; take the "
                "exponential of a VAE's log-variance."
            )
        return centred, np.sqrt(own)[:, :, None] * np.eye(p)
    own = own.reshape(n, p, p)
    values, vectors = np.linalg.eigh((own + own.transpose(0, 2, 1)) / 2)
    if (values[:, 0] < -NEGATIVE * values[:, -1]).any() or not np.allclose(
        own, own.transpose(0, 2, 1), rtol=1e-5, atol=1e-8 * float(np.abs(own).max())
    ):
        raise InputError(f"{name}.variance: expected covariances, symmetric and not negative.")
    return centred, np.sqrt(values.clip(0))[:, :, None] * vectors.transpose(0, 2, 1)


def _stacked(mean: np.ndarray, root: np.ndarray, width: int, weight: float) -> np.ndarray:
    n, p = mean.shape
    stacked = np.zeros((n, width + 1, width))
    stacked[:, 0, :p] = math.sqrt(weight) * mean
    stacked[:, 1 : p + 1, :p] = math.sqrt(2 - weight) * root
    return stacked


def _polar(matrix: np.ndarray) -> np.ndarray:
    """The orthogonal matrix O that makes tr(Oᵀ M) largest."""
    left, _, right = np.linalg.svd(matrix)
    return left @ right


def _starts(left: np.ndarray, right: np.ndarray) -> Iterator[np.ndarray]:
    """First values of Q, right units → left: none, that of the means, of the noise, and drawn."""
    width = left.shape[2]
    yield np.eye(width)
    yield _polar(right[:, 0].T @ left[:, 0])
    noise = (np.einsum("ikp,ikq->pq", side[:, 1:], side[:, 1:]) for side in (right, left))
    theirs, ours = (np.linalg.eigh(whole)[1] for whole in noise)
    yield theirs @ ours.T
    drawn = _polar(np.random.default_rng(0).normal(size=(width, width)))
    yield drawn
    yield drawn.T


def _descend(
    left: np.ndarray, right: np.ndarray, turn: np.ndarray, steps: int
) -> tuple[float, np.ndarray]:
    """The sum after so many steps from a Q, or once they gain nothing any more, and Q then."""
    size = float(np.square(left).sum() + np.square(right).sum())
    last = math.inf
    for _ in range(steps):
        turned = right @ turn
        couplings = _polar(left[:, 1:] @ turned[:, 1:].transpose(0, 2, 1))
        coupled = np.concatenate([right[:, :1], couplings @ right[:, 1:]], 1)
        turn = _polar(np.einsum("ikp,ikq->pq", coupled, left))
        value = float(np.square(left - coupled @ turn).sum())
        if last - value <= SETTLED * size:
            return min(last, value), turn
        last = value
    return last, turn
