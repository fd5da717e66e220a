"""Findings: a claim, what was estimated of it, and what may be concluded.

A claim asks one or more `Question`s. Each is answered by a contrast, estimated by debiased CKA and
by Procrustes similarity side by side, and compared with a null value (0: no difference; a margin,
where the claim is that two things are alike). Its p is the larger of the two measures', or 1 where
they point in different directions. The questions of a study are corrected together by Holm's
procedure. A question is

``supported``      its corrected p is below 0.05, beyond the null in the direction of the claim, by
                   at least the smallest effect that matters;
``contradicted``   the same, in the other direction;
``inconclusive``   otherwise: among others always with a single seed;
``not asked``      the study has no runs that it could be asked of.

Scores that are certified to a tolerance t are off by t/2 at most, and an effect smaller than what
that can make of nothing never matters. It depends on what a question is counted in:

scores        a difference of mean scores is off by t at most;
progress      a share P = (a − s)/(1 − s) of the room 1 − s ≥ r = `LEAST_ROOM`, a and s each off by
              t/2: it is off by (1 + |1 − P|) t/(2r), which is t/r at most for P from 0 to 1, and
              so a difference of two by 2t/r;
correlations  scores that trade ranks within t change them by any amount: nothing is bounded, so
              they are not asked of such a measure.

Source: Holm 1979.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from stratigraph.evidence.estimate import Estimate
from stratigraph.evidence.trajectories import LEAST_ROOM

__all__ = ["LEVEL", "Finding", "Question", "Verdict", "holm", "judge", "within_tolerances"]

LEVEL = 0.05
Verdict = Literal["supported", "contradicted", "inconclusive", "not asked"]
Unit = Literal["scores", "progress", "correlations"]


@dataclass(frozen=True)
class Question:
    """What a claim asks of the evidence.

    Attributes:
        key: its name, a file's and a program's.
        claim: the number of the claim in the list of `stratigraph.evidence.claims`.
        statement: what is claimed, a sentence.
        contrast: what is estimated, in words; positive values speak for the claim.
        estimates: measure → estimate, the CKA first; empty where it cannot be asked.
        least: the smallest distance from the null that matters.
        details: rows that show where the estimate comes from, each a mapping of plain values.
        missing: why it cannot be asked, or "".
        note: what a reader should know beside the verdict, or "".
        of_study: whether the study is asked, and not the measures themselves; those are corrected
            apart, being the same for every study.
        unit: what the contrast is counted in.

    """

    key: str
    claim: int
    statement: str
    contrast: str
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    least: float = 0.0
    details: Sequence[Mapping[str, Any]] = ()
    missing: str = ""
    note: str = ""
    of_study: bool = True
    unit: Unit = "scores"


@dataclass(frozen=True)
class Finding:
    """A question, answered."""

    question: Question
    way: str
    verdict: Verdict
    p: float
    p_holm: float
    why: str


def holm(p: Sequence[float]) -> np.ndarray:
    """p-values corrected together by Holm's procedure, (m,); NaN stays out of the family."""
    values = np.asarray(p, dtype=float)
    corrected = np.full(len(values), np.nan)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(factors * values[order]))
    return corrected


def _joint_p(question: Question) -> float:
    """The larger p of the measures; 1 where they point in different directions; NaN without one."""
    estimates = list(question.estimates.values())
    if not estimates or any(not math.isfinite(e.p) for e in estimates):
        return math.nan
    if len({np.sign(e.value - e.null) for e in estimates}) > 1:
        return 1.0
    return max(e.p for e in estimates)


def within_tolerances(
    questions: Sequence[Question], tolerances: Mapping[str, float]
) -> list[Question]:
    """The same questions, of scores of which some are certified to a tolerance.

    Args:
        questions: as they were asked.
        tolerances: measure → the widest that an interval of its scores may be.

    """
    found = []
    for question in questions:
        own = {measure: t for measure, t in tolerances.items() if measure in question.estimates}
        if not own:
            found.append(question)
        elif question.unit == "correlations":
            found.append(_leave_out(question, list(own)))
        else:
            said = " and ".join(f"{measure} to ± {t / 2:g}" for measure, t in own.items())
            times = 2 / LEAST_ROOM if question.unit == "progress" else 1.0
            found.append(
                replace(
                    question,
                    least=max(question.least, *(times * t for t in own.values())),
                    note=f"{question.note} Scores are certified: {said}.".strip(),
                )
            )
    return found


def _leave_out(question: Question, measures: Sequence[str]) -> Question:
    """The question, not asked of some measures."""
    why = (
        f"It is not asked of {' and '.join(measures)}, whose scores are certified to a tolerance: "
        "that bounds no correlation of them."
    )
    rest = {m: e for m, e in question.estimates.items() if m not in measures}
    if rest:
        return replace(question, estimates=rest, note=f"{question.note} {why}".strip())
    return replace(question, estimates={}, missing=why)


def judge(questions: Sequence[Question], way: str) -> list[Finding]:
    """The findings of a study's questions, corrected together."""
    raw = [_joint_p(question) for question in questions]
    asked = [p if _seeds(q) > 1 else math.nan for p, q in zip(raw, questions, strict=True)]
    corrected = np.empty(len(questions))
    for own in (True, False):  # what is known of the measures is no test of the study
        family = [i for i, question in enumerate(questions) if question.of_study is own]
        corrected[family] = holm([asked[i] for i in family])
    found = []
    for question, p, p_holm in zip(questions, raw, corrected, strict=True):
        verdict, why = _verdict(question, float(p_holm))
        if question.note:
            why = f"{why} {question.note}"
        found.append(Finding(question, way, verdict, p, float(p_holm), why))
    return found


def _seeds(question: Question) -> int:
    return min((e.seeds for e in question.estimates.values()), default=0)


def _verdict(question: Question, p: float) -> tuple[Verdict, str]:
    estimates = question.estimates
    if question.missing:
        return "not asked", question.missing
    undefined = [m for m, e in estimates.items() if not math.isfinite(e.value)]
    if undefined or not estimates:
        return "inconclusive", f"Undefined by {', '.join(undefined) or 'any measure'}."
    if _seeds(question) < 2:
        return "inconclusive", "One seed: nothing says how another would have come out."
    if not math.isfinite(p):
        few = "; it takes three seeds" if _seeds(question) < 3 else ""
        return (
            "inconclusive",
            "No interval: without one of the seeds (or probes) the contrast is undefined, or none "
            f"of them changes it{few}.",
        )
    signs = {m: e.value - e.null for m, e in estimates.items()}
    apart = [m for m, e in estimates.items() if e.p < LEVEL]
    if apart and min(signs.values()) < 0 < max(signs.values()):
        told = ", ".join(f"{measure} {estimates[measure].value:+.3f}" for measure in signs)
        return "inconclusive", f"The measures disagree: {told}."
    alone = " By CKA alone." if list(estimates) in (["debiased_cka"], ["linear_cka"]) else ""
    if p >= LEVEL:
        if apart and len(apart) < len(estimates):
            return "inconclusive", f"Beyond chance (uncorrected) by {', '.join(apart)} only."
        return "inconclusive", f"Not beyond chance once all questions are corrected for.{alone}"
    beyond = min(signs.values(), key=abs)
    if abs(beyond) < question.least:
        return "inconclusive", f"Beyond chance, but smaller than what matters, {question.least:g}."
    if beyond > 0:
        return "supported", f"Corrected p {_p(p)}.{alone}"
    return "contradicted", f"The other way, corrected p {_p(p)}.{alone}"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"
