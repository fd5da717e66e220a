"""Procrustes similarity at a fraction of the cost, in an interval that holds it for certain.

It is found from the leading columns of each representation (`similarity.procrustes`). What was left
out is bounded by proof, so the interval is a fact, not a confidence, but for rounding, of which an
estimate of some 3e-7 is added at either end; its midpoint is off by half its width at most.

CKA has no such form: exact, it is one product of what was prepared, and any bound costs more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stratigraph.errors import InputError
from stratigraph.pairs.comparison import Comparison
from stratigraph.pairs.pair_by_pair import PairByPair
from stratigraph.pairs.pairwise import Progress, all_pairs
from stratigraph.similarity.inputs import as_matrices
from stratigraph.similarity.measure import tell, tell_all
from stratigraph.similarity.procrustes import PROCRUSTES_SIMILARITY
from stratigraph.values import is_number

if TYPE_CHECKING:
    import xarray

__all__ = [
    "CERTIFIED_PLAN",
    "CHEAP",
    "Bracket",
    "certified_matrix",
    "certified_procrustes",
    "check_tolerance",
    "tell_reasons",
]

CERTIFIED_PLAN = "certified: leading columns of factors, the rest bounded"
CHEAP = ("linear_cka", "debiased_cka")  # exact for less than any bound
LEAST = 1e-6  # what is called exact is computed to no more


class Bracket(NamedTuple):
    """An interval that holds the exact score, and the ranks that gave it."""

    lower: float
    upper: float
    rank_x: int
    rank_y: int


def check_tolerance(measure: str, tolerance: float) -> None:
    """Refuse a tolerance that cannot be kept.

    Raises:
        InputError: it is no number from 1e-6 to 1, or the measure has no certified form.

    """
    if not is_number(tolerance) or not LEAST <= tolerance < 1:
        raise InputError(
            f"tolerance: expected a number from {LEAST:g} to 1, the widest interval allowed, got "
            f"{tolerance!r}."
        )
    if measure in CHEAP:
        raise InputError(
            f"tolerance: exact {measure} is cheaper than any interval around it; "
            "leave the tolerance out."
        )
    if measure != PROCRUSTES_SIMILARITY.name:
        raise InputError(
            f"tolerance: {measure} has no certified form; {PROCRUSTES_SIMILARITY.name} has. "
            "Leave the tolerance out for the exact score."
        )


def certified_procrustes(x: Any, y: Any, tolerance: float = 1e-3) -> Bracket:
    """An interval that holds the Procrustes similarity of two representations of the same probes.

    Args:
        x: activations ``(n, p…)``.
        y: activations ``(n, q…)``.
        tolerance: the widest that it may be, from 1e-6 to 1.

    Returns:
        NaN at both ends, with an `UndefinedWarning`, where either is constant.

    Raises:
        InputError: the tolerance cannot be kept, or x or y cannot be compared.

    """
    found = certified_matrix({"x": x}, {"y": y}, tolerance=tolerance)
    return Bracket(
        float(found["lower"][0, 0]),
        float(found["upper"][0, 0]),
        int(found["rank_x"][0, 0]),
        int(found["rank_y"][0, 0]),
    )


def certified_matrix(
    a: Mapping[str, Any],
    b: Mapping[str, Any] | None = None,
    *,
    tolerance: float = 1e-3,
    progress: Progress | None = None,
) -> xarray.Dataset:
    """Procrustes of all pairs within a tolerance: ``value`` (the midpoint), ``lower``, ``upper``.

    Args:
        a: name → activations ``(n, p…)`` of the same probes.
        b: the same for the other axis; None is ``a``.
        tolerance: the widest that an interval may be, from 1e-6 to 1.
        progress: called with (tasks done, tasks in all).

    Returns:
        dims ``("x", "y")``; beside the three, ``rank_x`` and ``rank_y``, the directions kept; the
        attributes ``measure``, ``tolerance``, ``plan`` and ``reasons`` (JSON: name → why).

    Raises:
        InputError: the tolerance cannot be kept, or an entry cannot be compared.

    """
    import xarray

    import stratigraph.accessor  # noqa: F401 - which gives matrices their `sg`

    chosen = PROCRUSTES_SIMILARITY
    check_tolerance(chosen.name, tolerance)
    given = {"a": a} if b is None else {"a": a, "b": b}
    sides, _ = as_matrices(given, chosen.name, chosen.least)
    found = all_pairs(
        list(sides[0].values()),
        None if b is None else list(sides[1].values()),
        chosen,
        PairByPair("pairs", None, tolerance),
        progress=progress,
    )
    values = {"value": found.all(), "lower": found.all("lower"), "upper": found.all("upper")}
    values |= {"rank_x": found.all("rank_x"), "rank_y": found.all("rank_y")}
    ranks = values["rank_x"][np.isfinite(values["rank_x"])]
    kept = f" ({np.median(ranks):.0f} in the median)" if len(ranks) else ""
    return xarray.Dataset(
        {name: (("x", "y"), value) for name, value in values.items()},
        coords={"x": list(a), "y": list(a if b is None else b)},
        attrs={
            "measure": chosen.name,
            "tolerance": tolerance,
            "plan": f"{CERTIFIED_PLAN}{kept}",
            "reasons": json.dumps(tell_reasons(chosen.name, found, sides[0], sides[-1], level=7)),
        },
    )


def tell_reasons(
    measure: str, found: Comparison, x: Mapping[str, Any], y: Mapping[str, Any], level: int = 3
) -> dict[str, str]:
    """Warn once of every representation that has no score or few digits; name → why no score."""
    reasons: dict[str, str] = {}
    doubts: dict[str, list[str]] = {}
    seen: set[str] = set()
    for names, notes in ((x, found.notes_x), (y, found.notes_y)):
        for name, reason, doubt in zip(names, notes.reasons, notes.doubts, strict=True):
            if reason:
                reasons[name] = reason
            elif doubt and name not in seen:
                doubts.setdefault(doubt, []).append(repr(name))
            seen.add(name)
    tell_all(measure, reasons, level=level)
    for doubt, of in doubts.items():
        tell(measure, ", ".join(of), None, doubt, level=level)
    return reasons
