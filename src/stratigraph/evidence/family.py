"""Questions corrected in their families, by Holm's procedure.

The primary questions (claims 1 to 5) are corrected together, and so are the other ones, those of
the measures, and those of a user's own: no verdict depends on how many questions of another kind
are asked. Each interval has the level α/k, k being the procedure's factor where it stops or passes.
A question that is answered by the number of one before it (the smallest gap is that of the only
fully-connected configuration) is not counted again, and has the level of that one.

Source: Holm 1979.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from stratigraph.evidence.estimate import Estimate
from stratigraph.evidence.finding import FAMILIES, Question

__all__ = ["LEVEL", "PRIMARY", "correct", "holm"]

LEVEL = 0.05
PRIMARY = (
    "encoder_first", "encoder_first_progress", "encoder_first_everywhere",
    "encoders_alike_across_strengths", "encoders_alike_across_objectives", "latents_exception",
)  # fmt: skip


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """p-values corrected together by Holm's procedure, (m,); NaN stays out of the family."""
    values = np.asarray(p, dtype=float)
    corrected = np.full(len(values), np.nan)
    order, factors = _factors(values)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(factors * values[order]))
    return corrected


def _factors(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The defined p by rank, and the factor of each."""
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    return order, np.arange(len(order), 0, -1)


def _levels(values: np.ndarray) -> np.ndarray:
    """The level at which each question's interval is taken, (m,): `LEVEL` over its factor.

    From the first that is not decided on, the factor stays.
    """
    levels = np.full(len(values), LEVEL)
    order, factors = _factors(values)
    stopped = np.flatnonzero(factors * values[order] >= LEVEL)
    if len(stopped):
        factors[stopped[0] :] = factors[stopped[0]]
    levels[order] = LEVEL / factors
    return levels


def correct(
    questions: Sequence[Question], estimates: Sequence[Mapping[str, Estimate]], own: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The p of each question corrected in its family, and the level of its interval."""
    corrected = np.full(len(own), np.nan)
    levels = np.full(len(own), LEVEL)
    counted: dict[tuple, int] = {}
    for family in FAMILIES:
        members = []
        for i, question in enumerate(questions):
            if question.family == family:
                number = _number(estimates[i], question, i)
                if counted.setdefault(number, i) == i:
                    members.append(i)
        corrected[members] = holm(own[members])
        levels[members] = _levels(own[members])
    for i, question in enumerate(questions):
        first = counted[_number(estimates[i], question, i)]
        if first != i:
            levels[i] = levels[first]
            corrected[i] = min(1.0, own[i] * LEVEL / levels[i])
    return corrected, levels


def _number(estimates: Mapping[str, Estimate], question: Question, place: int) -> tuple:
    """What two questions share that are answered by one number."""
    value = next((one.value for one in estimates.values()), math.nan)
    if not math.isfinite(value):
        return (place,)
    null = next(iter(estimates.values())).null
    return round(value, 12), null, question.least, question.one_sided
