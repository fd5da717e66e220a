"""Every measure, by name."""

from __future__ import annotations

from stratigraph.errors import InputError, suggest
from stratigraph.similarity.cka import DEBIASED_CKA, LINEAR_CKA
from stratigraph.similarity.measure import Measure
from stratigraph.similarity.procrustes import PROCRUSTES_SIMILARITY

__all__ = ["MEASURES", "find_measure"]

MEASURES: dict[str, Measure] = {
    "linear_cka": LINEAR_CKA,
    "debiased_cka": DEBIASED_CKA,
    "procrustes_similarity": PROCRUSTES_SIMILARITY,
}

# What people type: the short names of papers and of other libraries.
ALIASES = {"cka": "debiased_cka", "procrustes": "procrustes_similarity"}


def find_measure(measure: str | Measure) -> Measure:
    """A measure by its name; a `Measure` of one's own passes through.

    Raises:
        InputError: no measure has this name; near names are suggested.

    """
    if isinstance(measure, Measure):
        return measure
    if measure in MEASURES:
        return MEASURES[measure]
    if measure in ALIASES:
        return MEASURES[ALIASES[measure]]
    raise InputError(
        f"measure: no measure is named {measure!r}." + suggest(measure, [*MEASURES, *ALIASES])
    )
