"""Every question of a study, asked of its evidence and answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stratigraph.errors import ConfigError
from stratigraph.evidence.claims import CLAIMS, ask
from stratigraph.evidence.evidence import Evidence
from stratigraph.evidence.finding import Finding, Question
from stratigraph.evidence.sequential import Looks
from stratigraph.evidence.verdict import judge

__all__ = ["answer"]


def answer(
    evidence: Evidence,
    way: str,
    claims: Sequence[Callable[[Evidence], list[Question]]] = CLAIMS,
    looks: Looks | None = None,
) -> list[Finding]:
    """The findings: of the runs that learned, with the estimates of all runs beside them.

    Args:
        evidence: of all runs.
        way: how the study was read.
        claims: those to ask.
        looks: where a study is that is looked at while it grows.

    Raises:
        ConfigError: a claim asks other questions of the runs that learned than of all.

    """
    every = ask(evidence, claims)
    if not evidence.failed:
        return judge(every, way, evidence, looks=looks)
    learned = ask(evidence.without(evidence.failed), claims)
    here, there = ([question.key for question in asked] for asked in (learned, every))
    if here != there:
        other = sorted({*here} ^ {*there}) or here
        raise ConfigError(
            f"claims: {', '.join(other)} differ between all runs and those that learned; a claim "
            "asks the same questions of every study, and says in `missing` what cannot be asked."
        )
    return judge(learned, way, evidence, every, looks)
