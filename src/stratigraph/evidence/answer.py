"""Every question of a study, asked of its evidence and answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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

    """
    if not evidence.failed:
        return judge(ask(evidence, claims), way, evidence, looks=looks)
    learned = evidence.without(evidence.failed)
    return judge(ask(learned, claims), way, evidence, ask(evidence, claims), looks)
