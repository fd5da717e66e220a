"""What a measure of representational similarity promises.

A measure is a value: its name, its source, the promises that the law tests hold it to, and three
functions. ``prepare`` does, once for each representation, everything that does not depend on the
partner; ``compare`` scores two prepared representations. Where a score is a cosine of vectors that
depend on one representation each, ``embed`` gives that vector, and a block of pairs is one matrix
product.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.labels import join_rows
from stratigraph.similarity.inputs import (
    IN_PARTS,
    MEMORY,
    as_matrix,
    check_finite,
    check_probes,
    is_large,
    only,
)
from stratigraph.similarity.packed import Packed, packed_length

__all__ = [
    "Measure",
    "PrecisionWarning",
    "Prepared",
    "UndefinedWarning",
    "between",
    "permute_rows",
    "score",
    "tell",
    "tell_all",
]


SOME = 3  # names that a warning has


class UndefinedWarning(UserWarning):
    """A score is NaN because a representation has no geometry."""


class PrecisionWarning(UserWarning):
    """A score rests on digits that the input's dtype hardly holds."""


@dataclass(frozen=True)
class Prepared:
    """One representation, ready for many comparisons.

    ``form`` names what ``parts`` holds (each measure documents its own); ``reason`` says why the
    representation has no score, and then ``parts`` is empty; ``doubt`` why it has few digits.
    """

    n: int
    form: str
    parts: tuple[Any, ...] = ()
    reason: str | None = None
    doubt: str | None = None


@dataclass(frozen=True)
class Measure:
    """A score of two representations, and what it promises.

    Attributes:
        name: its key in the catalogue.
        source: the publication that defines it.
        larger: what a larger value means.
        cost: of preparing one representation and of one pair (n probes, p units).
        prepare: finite matrix ``(n, p)`` → `Prepared`.
        compare: two `Prepared` that have a geometry → float.
        embed: finite matrix → `Prepared` of form ``vector``, whose cosines are the scores; or None.
        entries: n → the numbers that such a vector of n probes holds.
        write: finite array ``(n, p)``, and a row of so many numbers → `Packed`: the vector, of any
            length, straight into the row; or None, and ``embed`` gives it.
        places: n → where the entry of probes i and j stands in that vector, (n, n), −1 for none;
            or None. Then a vector of permuted probes is the same numbers in other places.
        permute: what was prepared, and an order of the probes → what would have been prepared of
            them in that order; or None. Without either, a permutation prepares anew.
        bounds: the interval that no score leaves (None: unbounded).
        itself: the score of a representation with itself.
        symmetric: compare(x, y) = compare(y, x).
        metric: obeys the triangle inequality.
        rotation, scale, translation, affine: what may be done to either side without changing the
            score: an orthogonal map of the units, a positive factor, an offset for each unit, any
            invertible affine map.
        permutation: the order of the units does not matter (implied by ``rotation``).
        least: the fewest probes with which it is defined.
        biased: independent representations score high where units outnumber probes.
        sampled: the units are taken for a sample of more, of which what they have in common tells;
            a single one, or such as have nothing in common, has no score.

    """

    name: str
    source: str
    larger: str
    cost: str
    prepare: Callable[[Tensor], Prepared]
    compare: Callable[[Prepared, Prepared], float]
    embed: Callable[[Tensor], Prepared] | None = None
    entries: Callable[[int], int] = packed_length
    write: Callable[..., Packed] | None = None
    places: Callable[[int], np.ndarray] | None = None
    permute: Callable[[Prepared, np.ndarray], Prepared] | None = None
    bounds: tuple[float | None, float | None] = (0.0, 1.0)
    itself: float = 1.0
    symmetric: bool = True
    metric: bool = False
    rotation: bool = True
    scale: bool = True
    translation: bool = True
    affine: bool = False
    permutation: bool = True
    least: int = 2
    biased: bool = False
    sampled: bool = False


def between(measure: Measure, x: Prepared, y: Prepared) -> float:
    """The score of two prepared representations: NaN where either has no geometry."""
    if x.reason or y.reason:
        return math.nan
    return measure.compare(x, y)


def permute_rows(x: Prepared, order: np.ndarray) -> Prepared:
    """The same with its probes in another order, where every part has a row for each of them."""
    return replace(x, parts=tuple(part[order] for part in x.parts))


def tell(measure: str, name: str, reason: str | None, doubt: str | None, level: int = 2) -> None:
    """Warn that a representation has no score, or few digits of one."""
    if reason:
        text = f"{measure} is NaN for {name}, which is {reason}."
        warnings.warn(text, UndefinedWarning, stacklevel=level + 1)
    elif doubt:
        warnings.warn(f"{name}: {doubt}.", PrecisionWarning, stacklevel=level + 1)


def tell_all(measure: str, reasons: Mapping[str, str], level: int = 2) -> None:
    """Warn of every representation that has no score, those of one reason at once.

    Args:
        measure: that they have no score of.
        reasons: name → why.
        level: of the warnings, as of `tell`.

    """
    alike: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        alike.setdefault(reason, []).append(repr(name))
    for reason, names in alike.items():
        some = ", ".join(names[:SOME]) + (
            f" and {rest} more" if (rest := len(names) - SOME) > 0 else ""
        )
        tell(measure, some, reason, None, level=level + 1)


def score(
    measure: Measure,
    x: Any,
    y: Any,
    prepare: tuple[Callable[[Tensor], Prepared], ...] | None = None,
) -> float:
    """One measure of two representations as a caller has them: the body of the pair functions.

    Rows that have labels are joined on them. What lies on a disk is read whole, but for CKA of what
    would not fit in 2 GiB, which is read in parts. ``prepare`` is for x and y, where something is
    known of each that its numbers do not say; the measure's own by default.

    Raises:
        InputError: either is not a finite real matrix, or the numbers of probes differ.

    """
    found = join_rows({"x": only(x, "x"), "y": only(y, "y")})
    if measure.name in IN_PARTS and is_large(found.values(), MEMORY):
        from stratigraph.similarity.from_rows import cka_from_rows  # which imports the measures

        a, b = ({name: value} for name, value in found.items())
        return _told(measure, cka_from_rows(a, b, measure.name == "debiased_cka", MEMORY))
    left, right = as_matrix(found["x"], "x"), as_matrix(found["y"], "y")
    if len(left) != len(right):
        raise InputError(
            "x and y: expected the same probes in the same order, "
            f"got {len(left)} and {len(right)} rows."
        )
    check_probes(len(left), measure.least, measure.name, "x and y")
    prepared = []
    each = prepare or (measure.prepare, measure.prepare)
    for name, matrix, made in zip("xy", (left, right), each, strict=True):
        check_finite(matrix, name)
        prepared.append(made(matrix))
        tell(measure.name, name, prepared[-1].reason, prepared[-1].doubt, level=3)
    return between(measure, prepared[0], prepared[1])


def _told(measure: Measure, found: Any) -> float:
    for name, reason in found.reasons.items():
        tell(measure.name, name, reason, None, level=4)
    if found.lower is not None:
        warnings.warn(f"{measure.name} is {found.plan}.", PrecisionWarning, stacklevel=4)
    return float(found.values[0, 0])
