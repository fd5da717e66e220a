"""The laws of measures: what a promise means, and how far a measure is from keeping it.

A promise is a field of `Measure` that says what a score obeys. The law of its name in ``LAWS`` says
by how much a measure breaks it on representations drawn from a seed: 0 where it is kept, ∞ where a
score is not finite.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from stratigraph.errors import InputError
from stratigraph.similarity.measure import Measure, between
from stratigraph.testing.require import require

__all__ = ["LAWS", "PROBES", "Law", "distance_from", "draw", "gap", "is_promised", "value"]

PROBES, UNITS, OTHER_UNITS = 64, 5, 7

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Law(NamedTuple):
    """What breaks a promise, in words, and by how much a measure breaks it: 0 where it is kept."""

    broken: str
    distance: Callable[[Measure, int, int], float]  # of a measure, so many probes, a seed


def draw(
    probes: int, seed: int, others: int = OTHER_UNITS
) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Two related representations, so that scores stand away from both ends.

    The units of each have something in common, as those of a network have.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(probes, UNITS)) + rng.normal(size=(probes, 1)) + 0.5
    y = x @ rng.normal(size=(UNITS, others)) + rng.normal(size=(probes, others)) - 0.3
    return x, y, rng


def _unrelated(measure: Measure, rng: np.random.Generator, probes: int, width: int) -> np.ndarray:
    """Units that are independent, but for a measure that has no score of such (``sampled``)."""
    if not measure.sampled:
        return rng.normal(size=(probes, width))
    return rng.normal(size=(probes, max(width, 2))) + 10 * rng.normal(size=(probes, 1))


def _three(probes: int, seed: int) -> list[np.ndarray]:
    x, y, rng = draw(probes, seed)
    return [x, y, rng.normal(size=(probes, 4)) + rng.normal(size=(probes, 1))]


def value(measure: Measure, x: np.ndarray, y: np.ndarray) -> float:
    """The score of two representations (n, p) and (n, q)."""
    left, right = (measure.prepare(torch.from_numpy(np.ascontiguousarray(m))) for m in (x, y))
    return between(measure, left, right)


def gap(a: float, b: float) -> float:
    """How far two scores are apart, beside the size of them; ∞ where either is not finite."""
    apart = abs(a - b) / max(1.0, abs(b))
    return apart if math.isfinite(apart) else math.inf


def _rotate(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return x @ np.linalg.qr(rng.normal(size=(x.shape[1],) * 2))[0]


def _scale(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return x * rng.uniform(2, 5)


def _translate(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return x + rng.normal(size=x.shape[1]) * 3


def _map_affinely(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    stretch = np.diag(rng.uniform(0.2, 4, x.shape[1]))
    return _rotate(_rotate(x, rng) @ stretch, rng) + rng.normal(size=x.shape[1])


def _permute(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return x[:, rng.permutation(x.shape[1])]


def _moved_by(change: Change, others: int = OTHER_UNITS) -> Callable[[Measure, int, int], float]:
    """How far a change of either side moves the score; y has so many units."""

    def distance(measure: Measure, probes: int, seed: int) -> float:
        x, y, rng = draw(probes, seed, others)
        changed = value(measure, change(x, rng), y), value(measure, x, change(y, rng))
        return max(gap(one, value(measure, x, y)) for one in changed)

    return distance


def _asymmetry(measure: Measure, probes: int, seed: int) -> float:
    x, y, _ = draw(probes, seed)
    return gap(value(measure, x, y), value(measure, y, x))


def _widest(measure: Measure, probes: int) -> int:
    """Far more units than probes, or as many as a measure takes that refuses those."""
    for width in (10 * probes, probes - 2, probes // 2):
        try:
            measure.prepare(torch.from_numpy(np.random.default_rng(0).normal(size=(probes, width))))
        except InputError as refused:
            require("probes" in str(refused), f"{measure.name} refuses {width} units: {refused}")
        else:
            return width
    raise AssertionError(
        f"{measure.name} takes no more than {probes // 2} units of {probes} probes"
    )


def _outside(measure: Measure, probes: int, seed: int) -> float:
    low, high = measure.bounds
    rng = np.random.default_rng(seed)
    worst = 0.0
    for a, b in itertools.product((1, UNITS, _widest(measure, probes) // 5), (2, 40)):
        b = min(b, probes - 2)
        x, y = (_unrelated(measure, rng, probes, width) for width in (a, b))
        score = value(measure, x, y)
        below = 0.0 if low is None else low - score
        above = 0.0 if high is None else score - high
        worst = max(worst, below, above) if math.isfinite(score) else math.inf
    return worst


def _off_itself(measure: Measure, probes: int, seed: int) -> float:
    x, _, _ = draw(probes, seed)
    return gap(value(measure, x, x.copy()), measure.itself)


def _detour(measure: Measure, probes: int, seed: int) -> float:
    """By how much the score fails to be a distance: 0 from itself, no detour shorter."""
    three = _three(probes, seed)
    worst = gap(value(measure, three[0], three[0]), 0.0)
    # Of distances few probes too: there a detour can be shorter where many probes hide it.
    many = _three(PROBES, seed)
    few = [[m[i : i + 5] for m in many] for i in range(0, 25, 5)] if measure.itself == 0 else []
    for some in (three, *few):
        for a, b, c in itertools.permutations(some):
            legs = value(measure, a, b) + value(measure, b, c)
            shorter = (value(measure, a, c) - legs) / max(1.0, abs(legs))
            worst = max(worst, shorter) if math.isfinite(shorter) else math.inf
    return worst


def _too_few(measure: Measure, probes: int, seed: int) -> float:
    """0 where ``least`` probes give a finite score."""
    rng = np.random.default_rng(seed)
    x, y = (_unrelated(measure, rng, measure.least, 1) for _ in range(2))
    return 0.0 if math.isfinite(value(measure, x, y)) else 1.0


def _excess(measure: Measure, probes: int, seed: int) -> float:
    """How alike independent representations of far more units than probes seem, beyond 0.2.

    Of a distance: beyond a fifth of what independent ones of few units are apart, all of one size.
    """
    rng = np.random.default_rng(seed)

    def independent(width: int) -> float:
        found = []
        for _ in range(2):
            drawn = (_unrelated(measure, rng, probes, width) for _ in range(2))
            x, y = (m / np.linalg.norm(m) for m in drawn)
            found.append(value(measure, x, y))
        return float(np.mean(found))

    wide = independent(_widest(measure, probes))
    if measure.itself == 0:
        narrow = independent(2)
        excess = 0.8 * narrow - wide
    else:
        excess = abs(wide) - 0.2
    return max(excess, 0.0) if math.isfinite(excess) else math.inf


LAWS = {
    "symmetric": Law("to exchange x and y moves the score", _asymmetry),
    "bounds": Law("a score lies outside of them", _outside),
    "itself": Law("a representation scores otherwise with itself", _off_itself),
    "metric": Law("a detour is shorter, or it is some way from x to x", _detour),
    "rotation": Law("a rotation of one side's units moves the score", _moved_by(_rotate)),
    "scale": Law("a positive factor on one side moves the score", _moved_by(_scale)),
    "translation": Law("an offset of one side's units moves the score", _moved_by(_translate)),
    "affine": Law("an invertible affine map of one side moves the score", _moved_by(_map_affinely)),
    # Of as many units on both sides: there a unit's place could count.
    "permutation": Law(
        "another order of one side's units moves the score", _moved_by(_permute, others=UNITS)
    ),
    "least": Law("so few probes have no score", _too_few),
    "biased": Law("independent representations of many units seem alike", _excess),
}


def is_promised(measure: Measure, law: str) -> bool:
    """Whether a measure promises what a law of `LAWS` checks."""
    value = getattr(measure, law)
    if law == "biased":  # the promise is not to be
        return not value
    return value if isinstance(value, bool) else True


def distance_from(measure: Measure, law: str, seed: int, *, probes: int = PROBES) -> float:
    """How far a measure is from keeping a law on what is drawn from a seed; promised or not."""
    return LAWS[law].distance(measure, probes, seed)
