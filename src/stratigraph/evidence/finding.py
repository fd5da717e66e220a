"""Findings: a claim, what was estimated of it, and what may be concluded.

A claim asks one or more `Question`s, each of a contrast (`stratigraph.evidence.contrast`), by
debiased CKA, which decides, and by Procrustes similarity, which stands beside it. The verdict is
where the interval of the runs that learned lies, adjusted for its family
(`stratigraph.evidence.verdict`):

``supported``      beyond the least effect that matters, or the margin, on the side of the claim;
``contradicted``   beyond it on the other side;
``negligible``     wholly within the least effect: nothing that matters is there;
``undecided``      otherwise, with the reason;
``not asked``      the study has no runs that it could be asked of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from stratigraph.evidence.contrast import Contrast
from stratigraph.evidence.estimate import Estimate
from stratigraph.evidence.power import Need
from stratigraph.evidence.sequential import Standing

__all__ = ["FAMILIES", "Entered", "Family", "Finding", "Question", "Reason", "Unit", "Verdict"]

Verdict = Literal["supported", "contradicted", "negligible", "undecided", "not asked"]
Unit = Literal["scores", "progress", "correlations"]
Family = Literal["primary", "secondary", "measures", "own"]
Reason = Literal["", "replicates", "failed runs", "measures disagree", "undefined", "probes"]
FAMILIES: tuple[Family, ...] = ("primary", "secondary", "measures", "own")


@dataclass(frozen=True)
class Question:
    """What a claim asks of the evidence.

    Attributes:
        key: its name, a file's and a program's.
        claim: the number of the claim in the list of `stratigraph.evidence.claims`; 0 of a user's
            own.
        statement: what is claimed, a sentence.
        contrast: what is estimated, in words; positive values speak for the claim.
        contrasts: measure → what is estimated, the one that decides first; empty where it cannot
            be asked.
        least: the smallest distance from the contrasts' ``null``, which is 0 if nothing is said,
            that matters; none where the claim is one-sided, of a margin or threshold: the null.
        details: rows that show where the estimate comes from, each a mapping of plain values.
        missing: why it cannot be asked, or "".
        note: what a reader should know beside the verdict, or "".
        unit: what the contrast is counted in.
        one_sided: the claim is of one side of a margin or threshold.
        family: the questions that it is corrected together with.

    """

    key: str
    claim: int
    statement: str
    contrast: str
    contrasts: Mapping[str, Contrast] = field(default_factory=dict)
    least: float = 0.0
    details: Sequence[Mapping[str, Any]] = ()
    missing: str = ""
    note: str = ""
    unit: Unit = "scores"
    one_sided: bool = False
    family: Family = "secondary"


@dataclass(frozen=True)
class Entered:
    """Which runs and layers an estimate rests on.

    Attributes:
        runs: those that entered.
        of: how many runs the study has.
        failed: how many of these are known not to have learned.
        layers: those that entered.
        left_out: reason → runs.

    """

    runs: Sequence[str]
    of: int
    failed: int
    layers: Sequence[str]
    left_out: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Finding:
    """A question, answered.

    Attributes:
        question: what was asked.
        way: how the study was read (`stratigraph.study.ways`).
        verdict: what may be concluded.
        reason: why it is undecided, in a word of `Reason`.
        why: the verdict's reasons, for people.
        estimates: measure → estimate, of the runs that learned; the one that decides first.
        every: the same of all runs, where some did not learn.
        p: the smallest level at which the interval of its own decides.
        p_holm: the same, corrected for the family.
        adjusted: the interval that the verdict is of, and its two-sided confidence.
        entered: the runs and layers that it rests on.
        level: of its interval in its family, over all looks; one-sided where the question is.
        need: how many replicates would decide it, where it lacks them.
        standing: where it stands, of a study that is looked at while it grows; ``p`` and ``p_holm``
            are then of all looks so far.
        contrasts_of_all: the contrasts that ``every`` estimates.

    """

    question: Question
    way: str
    verdict: Verdict
    reason: Reason
    why: str
    estimates: Mapping[str, Estimate]
    every: Mapping[str, Estimate]
    p: float
    p_holm: float
    adjusted: tuple[float, float, float]
    entered: Entered
    level: float = math.nan
    need: Need | None = None
    standing: Standing | None = None
    contrasts_of_all: Mapping[str, Contrast] = field(default_factory=dict)
