"""What every measure promises, as checks: functions of a `Measure`.

What it does not promise is not asked of it. Every check takes ``probes``, how many the
representations have: fewer for a measure that is slow.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import torch

from stratigraph.errors import InputError
from stratigraph.similarity.measure import Measure, between
from stratigraph.testing.laws import (
    LAWS,
    OTHER_UNITS,
    PROBES,
    distance_from,
    draw,
    gap,
    is_promised,
    value,
)
from stratigraph.testing.require import require

__all__ = ["CHECKS"]

SEEDS = range(6)
EXACT = 1e-8
ROOT = 1e-6  # a distance near 0 is the root of a rounding error
SINGLE = 1e-3  # of what float32 holds


class Check(Protocol):
    """A check of a measure, on representations of so many probes."""

    __name__: str

    def __call__(self, measure: Measure, probes: int = PROBES) -> None:
        """Raise an AssertionError unless the measure keeps its promise."""
        ...


def _check_of(law: str) -> Check:
    """The check of one promise."""

    def check(measure: Measure, probes: int = PROBES) -> None:
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


def check_description(measure: Measure, probes: int = PROBES) -> None:
    """It says where it is from and what it means, and its own score is within its bounds."""
    for text in ("name", "source", "larger", "cost"):
        require(getattr(measure, text), f"measure {measure.name}: {text} is empty; describe it.")
    low, high = measure.bounds
    within = (low is None or low <= measure.itself) and (high is None or measure.itself <= high)
    require(
        within, f"{measure.name}: itself={measure.itself} lies outside bounds={measure.bounds}."
    )


def check_constant(measure: Measure, probes: int = PROBES) -> None:
    """A constant representation has a reason, and no score."""
    constant = measure.prepare(torch.full((probes, 4), 2.5))
    require(
        constant.reason,
        f"{measure.name}: expected prepare() to say why a constant representation has no score: "
        "Prepared(n, form, reason='constant: …').",
    )
    whole = measure.prepare(torch.from_numpy(draw(probes, 0)[0]))
    require(whole.reason is None, f"{measure.name}: no score of normal draws: {whole.reason}.")


def check_repeated(measure: Measure, probes: int = PROBES) -> None:
    """The same matrices have the same score, a float, and are left as they were."""
    x, y, _ = draw(probes, 0)
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


def check_single_precision(measure: Measure, probes: int = PROBES) -> None:
    """What is given in float32 has the score of the same numbers in float64, or raises a doubt."""
    for what, factor, offset in (
        ("in float32", 1.0, 0.0),
        ("in float32, times 1e20", 1e20, 0.0),
        ("in float32, times 1e-20", 1e-20, 0.0),
        ("in float32, with an offset of 1e4", 1.0, 1e4),
    ):
        drawn = draw(probes, 0)[:2]
        given = [torch.from_numpy((m * factor + offset).astype(np.float32)) for m in drawn]
        found = [measure.prepare(m) for m in given]
        score = between(measure, *found)
        exact = between(measure, *(measure.prepare(m.double()) for m in given))
        require(
            math.isclose(score, exact, rel_tol=SINGLE) or any(one.doubt for one in found),
            f"{measure.name}: {what}, two representations score {score:.6g}, and in float64 "
            f"{exact:.6g}. Centre and scale them in float64 first, or say `doubt` in Prepared.",
        )


def check_vectors(measure: Measure, probes: int = PROBES) -> None:
    """Where it gives vectors, their cosines are the scores; ``entries`` says how long they are."""
    embed, write, most = measure.embed, measure.write, measure.entries(probes)

    def check(how: str, u: np.ndarray, v: np.ndarray, score: float, seed: int) -> None:
        cosine = float(u @ v / (np.linalg.norm(u) * np.linalg.norm(v)))
        require(
            gap(cosine, score) <= EXACT,
            f"{measure.name}: the cosine of {how}()'s vectors is {cosine:.12g}, and the score "
            f"{score:.12g} (seed {seed}).",
        )

    for seed in SEEDS if embed or write else ():
        x, y, _ = draw(probes, seed)
        score = value(measure, x, y)
        if embed:
            u, v = (embed(torch.from_numpy(m)).parts[0].double().numpy() for m in (x, y))
            require(len(u) <= most, f"{measure.name}: entries says {most}, a vector has {len(u)}.")
            check("embed", u, v, score, seed)
        if write:
            rows = np.zeros((2, most))
            for m, row in zip((x, y), rows, strict=True):
                write(m, row)
            check("write", rows[0], rows[1], score, seed)


def check_permuted_probes(measure: Measure, probes: int = PROBES) -> None:
    """Where it says how to permute what was prepared, that is as of the permuted probes."""
    for seed, units in enumerate((OTHER_UNITS, 2 * probes)):
        x, y, rng = draw(probes, seed, units)
        order = rng.permutation(probes)
        one, other, moved = (torch.from_numpy(m) for m in (x, y, y[order]))
        if measure.permute is not None and _takes(measure, other):
            wanted = value(measure, x, y[order])
            again = measure.permute(measure.prepare(other), order)
            found = between(measure, measure.prepare(one), again)
            require(
                gap(found, wanted) <= ROOT,
                f"{measure.name}: permute() gives {found:.12g}, and the permuted probes "
                f"{wanted:.12g}.",
            )
        if measure.places is not None and measure.embed is not None:
            v, w = (measure.embed(m).parts[0].numpy() for m in (other, moved))
            places = measure.places(probes)
            there = places >= 0
            turned = np.empty_like(v)
            turned[places[there]] = v[places[order][:, order][there]]
            require(
                float(np.abs(turned - w).max()) <= EXACT,
                f"{measure.name}: places() puts the vector's numbers elsewhere than embed() does "
                "for permuted probes.",
            )


def _takes(measure: Measure, x: torch.Tensor) -> bool:
    """Whether it does not refuse so many units for the probes."""
    try:
        measure.prepare(x)
    except InputError:
        return False
    return True


CHECKS: tuple[Check, ...] = (
    check_description,
    *(_check_of(law) for law in LAWS),
    check_constant,
    check_repeated,
    check_single_precision,
    check_vectors,
    check_permuted_probes,
)
