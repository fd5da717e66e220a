"""What every measure promises, as checks: functions of a `Measure`.

A promise is a field of `Measure` that says what a score obeys. Each is checked by the law of its
name in ``LAWS``, which says how far a measure is from keeping it on representations drawn from a
seed. A promise that is not made is not asked for; `distance_from` shows a witness for it.

Every check takes ``probes``, how many the representations have: fewer for a measure that is slow.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch

from stratigraph.errors import InputError
from stratigraph.similarity.measure import Measure, Prepared, between
from stratigraph.testing.require import require

__all__ = ["CHECKS", "LAWS", "distance_from", "is_promised"]

PROBES, UNITS, OTHER_UNITS = 64, 5, 7
SEEDS = range(6)
EXACT = 1e-8
ROOT = 1e-6  # a distance near 0 is the root of a rounding error
SINGLE = 1e-3  # of what float32 holds

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Check(Protocol):
    """A check of a measure, on representations of so many probes."""

    __name__: str

    def __call__(self, measure: Measure, *, probes: int = PROBES) -> None:
        """Raise an AssertionError unless the measure keeps its promise."""
        ...


class Law(NamedTuple):
    """What breaks a promise, in words, and by how much a measure breaks it: 0 where it is kept."""

    broken: str
    distance: Callable[[Measure, int, int], float]  # of a measure, so many probes, a seed


def _draw(probes: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Two related representations, so that scores stand away from both ends."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(probes, UNITS)) + 0.5
    y = x @ rng.normal(size=(UNITS, OTHER_UNITS)) + rng.normal(size=(probes, OTHER_UNITS)) - 0.3
    return x, y, rng


def _three(probes: int, seed: int) -> list[np.ndarray]:
    x, y, rng = _draw(probes, seed)
    return [x, y, rng.normal(size=(probes, 4))]


def _value(measure: Measure, x: np.ndarray, y: np.ndarray) -> float:
    left, right = (measure.prepare(torch.from_numpy(np.ascontiguousarray(m))) for m in (x, y))
    return between(measure, left, right)


def _gap(a: float, b: float) -> float:
    """How far two scores are apart, beside the size of them; ∞ where either is not finite."""
    apart = abs(a - b) / max(1.0, abs(b))
    return apart if math.isfinite(apart) else math.inf


def _rotated(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return x @ np.linalg.qr(rng.normal(size=(x.shape[1],) * 2))[0]


def _scaled(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return x * rng.uniform(2, 5)


def _translated(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return x + rng.normal(size=x.shape[1]) * 3


def _mapped(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    stretch = np.diag(rng.uniform(0.2, 4, x.shape[1]))
    return _rotated(_rotated(x, rng) @ stretch, rng) + rng.normal(size=x.shape[1])


def _permuted(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return x[:, rng.permutation(x.shape[1])]


def _moved_by(change: Change) -> Callable[[Measure, int, int], float]:
    """How far a change of either side moves the score."""

    def distance(measure: Measure, probes: int, seed: int) -> float:
        x, y, rng = _draw(probes, seed)
        here = _value(measure, x, y)
        one = _gap(_value(measure, change(x, rng), y), here)
        return max(one, _gap(_value(measure, x, change(y, rng)), here))

    return distance


def _asymmetry(measure: Measure, probes: int, seed: int) -> float:
    x, y, _ = _draw(probes, seed)
    return _gap(_value(measure, x, y), _value(measure, y, x))


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
        score = _value(measure, rng.normal(size=(probes, a)), rng.normal(size=(probes, b)))
        below = 0.0 if low is None else low - score
        above = 0.0 if high is None else score - high
        worst = max(worst, below, above) if math.isfinite(score) else math.inf
    return worst


def _off_itself(measure: Measure, probes: int, seed: int) -> float:
    x, _, _ = _draw(probes, seed)
    return _gap(_value(measure, x, x.copy()), measure.itself)


def _detour(measure: Measure, probes: int, seed: int) -> float:
    """By how much the score fails to be a distance: 0 from itself, no detour shorter."""
    three = _three(probes, seed)
    worst = _gap(_value(measure, three[0], three[0]), 0.0)
    # Of distances few probes too: there a detour can be shorter where many probes hide it.
    many = _three(PROBES, seed)
    few = [[m[i : i + 5] for m in many] for i in range(0, 25, 5)] if measure.itself == 0 else []
    for some in (three, *few):
        for a, b, c in itertools.permutations(some):
            legs = _value(measure, a, b) + _value(measure, b, c)
            shorter = (_value(measure, a, c) - legs) / max(1.0, abs(legs))
            worst = max(worst, shorter) if math.isfinite(shorter) else math.inf
    return worst


def _too_few(measure: Measure, probes: int, seed: int) -> float:
    """0 where ``least`` probes give a finite score."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(measure.least, 1)), rng.normal(size=(measure.least, 1))
    return 0.0 if math.isfinite(_value(measure, x, y)) else 1.0


def _excess(measure: Measure, probes: int, seed: int) -> float:
    """How alike independent representations of far more units than probes seem, beyond 0.2.

    Of a distance: beyond a fifth of what independent ones of few units are apart, all of one size.
    """
    rng = np.random.default_rng(seed)

    def independent(width: int) -> float:
        found = []
        for _ in range(2):
            x, y = (m / np.linalg.norm(m) for m in rng.normal(size=(2, probes, width)))
            found.append(_value(measure, x, y))
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
    "rotation": Law("a rotation of one side's units moves the score", _moved_by(_rotated)),
    "scale": Law("a positive factor on one side moves the score", _moved_by(_scaled)),
    "translation": Law("an offset of one side's units moves the score", _moved_by(_translated)),
    "affine": Law("an invertible affine map of one side moves the score", _moved_by(_mapped)),
    "permutation": Law("another order of one side's units moves the score", _moved_by(_permuted)),
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


def _check_of(law: str) -> Check:
    """The check of one promise."""

    def check(measure: Measure, *, probes: int = PROBES) -> None:
        if not is_promised(measure, law):
            return
        for seed in SEEDS:
            off = distance_from(measure, law, seed, probes=probes)
            require(
                off <= (EXACT if measure.itself else ROOT),
                f"{measure.name} promises {law}={getattr(measure, law)!r}, but "
                f"{LAWS[law].broken}: it is off by {off:.3g} (seed {seed}). Mend the score, or "
                "promise what it keeps.",
            )

    check.__name__ = check.__qualname__ = f"check_{law}"
    check.__doc__ = f"Where ``{law}`` is promised: not so that {LAWS[law].broken}."
    return check


def check_description(measure: Measure, *, probes: int = PROBES) -> None:
    """It says where it is from and what it means, and its own score is within its bounds."""
    for text in ("name", "source", "larger", "cost"):
        require(getattr(measure, text), f"measure {measure.name}: {text} is empty; describe it.")
    low, high = measure.bounds
    within = (low is None or low <= measure.itself) and (high is None or measure.itself <= high)
    require(
        within, f"{measure.name}: itself={measure.itself} lies outside bounds={measure.bounds}."
    )


def check_constant(measure: Measure, *, probes: int = PROBES) -> None:
    """A constant representation has a reason, and no score."""
    constant = measure.prepare(torch.full((probes, 4), 2.5))
    require(
        constant.reason,
        f"{measure.name}: expected prepare() to say why a constant representation has no score: "
        "Prepared(n, form, reason='constant: …').",
    )
    whole = measure.prepare(torch.from_numpy(_draw(probes, 0)[0]))
    require(whole.reason is None, f"{measure.name}: no score of normal draws: {whole.reason}.")


def check_repeated(measure: Measure, *, probes: int = PROBES) -> None:
    """The same matrices have the same score, a float, and are left as they were."""
    x, y, _ = _draw(probes, 0)
    given = [torch.from_numpy(m.copy()) for m in (x, y)]
    prepared = [measure.prepare(m) for m in given]
    scores = [measure.compare(*prepared) for _ in range(2)]
    scores.append(measure.compare(*(measure.prepare(m) for m in given)))
    kind = type(scores[0]).__name__
    require(isinstance(scores[0], float), f"{measure.name}: expected a float, got a {kind}.")
    require(
        len(set(scores)) == 1,
        f"{measure.name}: the same two representations score {scores[0]!r}, then {scores[1:]}; a "
        "score may depend on them alone.",
    )
    for matrix, was in zip(given, (x, y), strict=True):
        same = torch.equal(matrix, torch.from_numpy(was))
        require(same, f"{measure.name}: prepare() or compare() changes its input; work on a copy.")


def _single(probes: int) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
    """Representations in float32 as networks give them: ordinary, huge, tiny and far off."""
    x, y, _ = _draw(probes, 0)
    for what, factor, offset in (
        ("in float32", 1.0, 0.0),
        ("in float32, times 1e20", 1e20, 0.0),
        ("in float32, times 1e-20", 1e-20, 0.0),
        ("in float32, with an offset of 1e4", 1.0, 1e4),
    ):
        pair = [torch.from_numpy((m * factor + offset).astype(np.float32)) for m in (x, y)]
        yield what, pair[0], pair[1]


def check_single_precision(measure: Measure, *, probes: int = PROBES) -> None:
    """What is given in float32 has the score of the same numbers in float64, or raises a doubt."""
    for what, x, y in _single(probes):
        found = [measure.prepare(m) for m in (x, y)]
        if any(one.doubt for one in found):
            continue
        score = between(measure, *found)
        exact = between(measure, *(measure.prepare(m.double()) for m in (x, y)))
        require(
            math.isclose(score, exact, rel_tol=SINGLE),
            f"{measure.name}: {what}, two representations score {score:.6g}, and in float64 "
            f"{exact:.6g}. Centre and scale them in float64 first, or say `doubt` in Prepared.",
        )


def check_vectors(measure: Measure, *, probes: int = PROBES) -> None:
    """Where it gives vectors, their cosines are the scores."""
    if measure.embed is None:
        return
    for seed in SEEDS:
        x, y, _ = _draw(probes, seed)
        u, v = (_vector(measure, measure.embed(torch.from_numpy(m))) for m in (x, y))
        cosine = float(u @ v / (u.norm() * v.norm()))
        score = _value(measure, x, y)
        require(
            _gap(cosine, score) <= EXACT,
            f"{measure.name}: the cosine of embed()'s vectors is {cosine:.12g}, and the score "
            f"{score:.12g} (seed {seed}).",
        )


def _vector(measure: Measure, made: Prepared) -> torch.Tensor:
    require(
        made.form == "vector" and len(made.parts) >= 1 and made.parts[0].ndim == 1,
        f"{measure.name}: expected embed() to give Prepared(n, 'vector', (v, …)), got {made.form}.",
    )
    return made.parts[0].double()


CHECKS: tuple[Check, ...] = (
    check_description,
    *(_check_of(law) for law in LAWS),
    check_constant,
    check_repeated,
    check_single_precision,
    check_vectors,
)
