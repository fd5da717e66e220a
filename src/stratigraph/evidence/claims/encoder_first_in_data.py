"""Claim 2, over data: claim 1 holds in every data set.

The gap of a data set is the mean of its configurations' (`encoder_first`). It holds in every one
where it does in that with the smallest gap: an intersection, as over configurations
(`encoder_first_everywhere`), but of fewer and better known numbers: what is left out in turn are
all runs of a data set, so nothing has to be borrowed from the spread of others.

Sources: arXiv 2205.08399 (claim); Berger 1982 (intersection-union test).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stratigraph.evidence.claims.encoder_first import (
    LEAST_GAP,
    VERSIONS,
    without_parts,
    without_untrained,
)
from stratigraph.evidence.claims.parts import decoder, encoder, settling, side_by_side
from stratigraph.evidence.contrast import Contrast, estimate, weigh
from stratigraph.evidence.estimate import Estimate, Part, least_of
from stratigraph.evidence.evidence import Evidence
from stratigraph.evidence.finding import Question

__all__ = ["encoder_first_in_data"]


def encoder_first_in_data(evidence: Evidence) -> list[Question]:
    """The raw version, and progress."""
    questions = []
    for version, kind, what in VERSIONS:
        found = side_by_side(
            evidence, evidence.to_final, settling(kind, encoder, decoder, ["data"])
        )
        several = {
            measure: replace(contrast, estimator=_least)
            for measure, contrast in found.items()
            if contrast.table["data_x"].nunique() > 1
        }
        lacking = (
            without_parts(evidence)
            or (version and without_untrained(evidence))
            or "The study has a single data set."
        )
        questions.append(
            Question(
                f"encoder_first_in_every_data_set{version}",
                2,
                f"In every data set the encoder is learned before the decoder{what}.",
                "the smallest gap of any data set",
                several,
                LEAST_GAP,
                [row for measure, one in several.items() for row in _rows(measure, one)],
                missing="" if several else lacking,
                unit="progress" if version else "scores",
            )
        )
    return questions


def _each(contrast: Contrast) -> dict[str, Estimate]:
    """The gap of each data set."""
    found = {}
    for data, rows in contrast.table.groupby("data_x", sort=False):
        own = weigh(rows.reset_index(drop=True), contrast.values[rows.index], {"gap": 1.0})
        if own is not None:
            found[str(data)] = estimate(own)
    return found


def _least(contrast: Contrast) -> Estimate:
    """The estimate of the smallest gap."""
    every = list(_each(contrast).values())
    known = replace(
        every[0],
        runs=len(contrast.runs),
        replicates=min(one.replicates for one in every),
    )
    return least_of([Part(one.value, one.error, one.freedom) for one in every], known)


def _rows(measure: str, contrast: Contrast) -> list[dict[str, Any]]:
    return [
        {
            "data": data,
            "measure": measure,
            "estimate": one.value,
            "lower": one.lower,
            "upper": one.upper,
            "p": one.p,
            "runs": one.runs,
        }
        for data, one in _each(contrast).items()
    ]
