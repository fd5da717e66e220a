"""Claim 2: claim 1 holds for every strength, objective, architecture and data set.

"Every" is an intersection: it is supported only where each configuration supports it, so its p is
the largest of the configurations' (intersection-union test; Berger 1982), and its estimate the
smallest gap. It is contradicted where one configuration is, so then its p is the smallest one,
corrected for their number (Holm).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stratigraph.evidence.claims.encoder_first import LEAST_GAP
from stratigraph.evidence.claims.parts import configuration, decoder, encoder, of_vaes, row
from stratigraph.evidence.estimate import Estimate, estimate
from stratigraph.evidence.evidence import Evidence
from stratigraph.evidence.finding import Question, holm
from stratigraph.evidence.settling import Kind, gap

__all__ = ["encoder_first_everywhere"]


def encoder_first_everywhere(evidence: Evidence) -> list[Question]:
    """The raw version, and progress."""
    questions = []
    for version, kind, what in (
        ("", "similarity", ""),
        ("_progress", "progress", ", counted from the untrained network"),
    ):
        estimates, details = {}, []
        for measure in evidence.side_by_side:
            found = _each(evidence, measure, kind)  # type: ignore[arg-type]
            details += [row(measure, one, **about) for about, one in found]
            if found:
                estimates[measure] = _least([one for _, one in found])
        few = not details or len(details) == len(estimates)
        questions.append(
            Question(
                f"encoder_first_everywhere{version}",
                2,
                f"In every configuration the encoder is learned before the decoder{what}.",
                "the smallest gap of any configuration",
                {} if few else estimates,
                LEAST_GAP,
                details,
                missing="The study has a single configuration." if few else "",
                unit="progress" if version else "scores",
            )
        )
    return questions


def _each(evidence: Evidence, measure: str, kind: Kind) -> list[tuple[dict, Estimate]]:
    pairs = of_vaes(evidence.to_final[measure])
    found = []
    for config in pairs.table["config_x"].unique():
        own = pairs.where(pairs.table["config_x"] == config)
        if not np.isfinite(own.values[:, 0]).any():
            continue
        found.append((configuration(own.table.iloc[0]), estimate(own, gap(kind, encoder, decoder))))
    return found


def _least(estimates: list[Estimate]) -> Estimate:
    """The estimate that decides, with the p of all configurations together."""
    undefined = [e for e in estimates if not np.isfinite(e.p)]
    if undefined:
        return undefined[0]
    corrected = holm([e.p for e in estimates])
    below = [(p, e) for p, e in zip(corrected, estimates, strict=True) if e.value < e.null]
    if below:
        p, one = min(below, key=lambda pair: pair[0])
        return replace(one, p=float(p))
    smallest = min(estimates, key=lambda e: e.value)
    return replace(smallest, p=max(e.p for e in estimates))
