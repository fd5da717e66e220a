"""From estimates to verdicts: where the interval lies, adjusted for its family.

With the claim's least effect m (from 0, or from the value c that it is about), a question at level
α is decided where its interval of confidence 1 − α lies beyond +m, beyond −m, or wholly within ±m;
so, with p₊(b) and p₋(b) the one-sided p of being above and below b, at every α greater than

    p = 2 min{ p₊(m), p₋(−m), max[p₊(−m), p₋(m)] }.

Whatever the truth, the interval excludes it with probability α at most, and a verdict that is wrong
excludes it. A claim that is of one side of a margin c is one-sided, p = min{p₊(c), p₋(c)}: only one
of the two can be wrong.

The adjusted interval has the level of its question in its family (`stratigraph.evidence.family`);
a verdict is what that interval says. Of a study that is looked at while it grows the p are those of
all looks so far, the interval is that of the present one, and a verdict stays
(`stratigraph.evidence.sequential`).

Scores that are certified to a tolerance t are off by t/2 at most, and their intervals are widened
by what that can make of the contrast:

scores        a difference of mean scores is off by t at most, of four of them (claim 5) by 2t;
progress      a share P = (a − s)/(1 − s) of the room 1 − s ≥ r = `LEAST_ROOM`, a and s each off by
              t/2: it is off by (1 + |1 − P|) t/(2r), which is t/r at most for P from 0 to 1, and
              so a difference of two by 2t/r;
correlations  scores that trade ranks within t change them by any amount: nothing is bounded, so
              they are not asked of such a measure.

Source: Schuirmann 1987 (within two bounds).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from stratigraph.evidence.contrast import NOT_ASKED, Contrast, estimate
from stratigraph.evidence.estimate import Estimate, widen
from stratigraph.evidence.evidence import Evidence
from stratigraph.evidence.family import correct
from stratigraph.evidence.finding import Entered, Finding, Question, Reason, Verdict
from stratigraph.evidence.needs import need_of, tell_need
from stratigraph.evidence.sequential import Looks, Standing
from stratigraph.evidence.standing import over_looks, stand
from stratigraph.evidence.trajectories import LEAST_ROOM
from stratigraph.values import told_percent

__all__ = ["decide", "judge"]

BY_CKA_ALONE = (["debiased_cka"], ["linear_cka"])


def decide(one: Estimate, least: float, one_sided: bool) -> tuple[float, Verdict]:
    """The smallest level at which the interval decides, and what it says there.

    Of one replicate none does: an interval over probes alone says nothing of another run.
    """
    if one.replicates < 2:
        return math.nan, "undecided"
    least = 0.0 if one_sided else least
    above, below = one.null + least, one.null - least
    p: dict[Verdict, float] = {
        "supported": one.p_above(above),
        "contradicted": one.p_below(below),
    }
    if not one_sided:
        p["negligible"] = float(np.max([one.p_above(below), one.p_below(above)]))
    verdict = min(p, key=p.__getitem__)
    sides = 1 if one_sided else 2
    return float(np.minimum(1, sides * np.min(list(p.values())))), verdict


def judge(
    questions: Sequence[Question],
    way: str,
    evidence: Evidence,
    every: Sequence[Question] = (),
    looks: Looks | None = None,
) -> list[Finding]:
    """The findings of a study's questions.

    Args:
        questions: asked of the runs that learned.
        way: how the study was read.
        evidence: of all runs.
        every: the same questions, asked of all runs; empty where all learned.
        looks: where a study is that is looked at while it grows.

    """
    every = every or questions
    estimates = [_estimates(question, evidence.tolerances) for question in questions]
    of_all = [
        _estimates(question, evidence.tolerances)
        if question is not other and question.family != "measures"
        else {}
        for question, other in zip(every, questions, strict=True)
    ]
    decided = [
        decide(next(iter(found.values())), question.least, question.one_sided)
        if found and not question.missing
        else None
        for question, found in zip(questions, estimates, strict=True)
    ]
    own = np.array([math.nan if one is None else one[0] for one in decided])
    standing: dict[str, Standing] = {}
    if looks is not None:
        own, standing = over_looks(questions, decided, own, looks)
    corrected, levels = correct(questions, estimates, own)
    found = [
        _finding(question, other, way, evidence, one, of_all_runs, p, p_holm, level, looks)
        for question, other, one, of_all_runs, p, p_holm, level in zip(
            questions, every, estimates, of_all, own, corrected, levels, strict=True
        )
    ]
    if looks is None:
        return found
    return [
        stand(finding, standing[finding.question.key], looks)
        if finding.question.key in standing
        else finding
        for finding in found
    ]


def _estimates(question: Question, tolerances: Mapping[str, float]) -> dict[str, Estimate]:
    """The estimates of a question by each measure."""
    found = {}
    for measure, contrast in question.contrasts.items():
        tolerance = tolerances.get(measure, 0.0)
        if tolerance and question.unit == "correlations":
            continue
        one = estimate(contrast)
        if tolerance:
            off = 2 / LEAST_ROOM if question.unit == "progress" else _count_differences(contrast)
            one = widen(one, tolerance * off)
        found[measure] = one
    return found


def _count_differences(contrast: Contrast) -> float:
    """How many differences of mean scores a contrast sums: of four sides, two."""
    if "weight" not in contrast.table:
        return 1.0
    weights = contrast.table.drop_duplicates("cell")["weight"]
    return max(1.0, float(weights.abs().sum()) / 2)


def _finding(
    question: Question,
    every: Question,
    way: str,
    evidence: Evidence,
    estimates: dict[str, Estimate],
    of_all: dict[str, Estimate],
    p: float,
    p_holm: float,
    level: float,
    looks: Looks | None,
) -> Finding:
    nan = (math.nan, math.nan, math.nan)
    adjusted, why = nan, every.missing or question.missing
    verdict: Verdict = "not asked"
    reason: Reason = ""
    first = None if question.missing else next(iter(estimates.values()), None)
    if not question.missing:
        if first is not None and _has_interval(first):
            two_sided = 2 * level if question.one_sided else level
            if looks is not None and question.family != "measures":
                two_sided = looks.level(two_sided)
            adjusted = (*first.interval(1 - two_sided), 1 - two_sided)
        verdict, reason, why = _verdict(question, estimates, adjusted)
        if math.isnan(adjusted[0]) and _worse_for_failures(estimates, of_all):
            reason = "failed runs"
            why = _tell_failed(evidence, "There are too few replicates of a configuration.")
    elif evidence.failed and not every.missing:
        verdict, reason, why = "undecided", "failed runs", _tell_failed(evidence, why)
    need = None
    if reason == "replicates" and first is not None:
        need = need_of(first, question.least, question.one_sided, level)
        reason = "probes" if need.why == "probes" else reason
        why = f"{why} {tell_need(need)}".rstrip()
    uncertain = [m for m in every.contrasts if m in evidence.tolerances]
    if uncertain:
        why += _tell_tolerances(question, uncertain, evidence.tolerances)
    if question.note:
        why = f"{why} {question.note}"
    entered = _entered(question, evidence)
    return Finding(
        question,
        way,
        verdict,
        reason,
        why,
        estimates,
        of_all,
        float(p),
        float(p_holm),
        adjusted,
        entered,
        float(level),
        need,
        contrasts_of_all={measure: every.contrasts[measure] for measure in of_all},
    )


def _tell_failed(evidence: Evidence, why: str) -> str:
    """Why the runs that learned do not decide."""
    failed, runs = len(evidence.failed), len(evidence.runs)
    if failed == runs:
        return f"None of the {runs} runs learned."
    return f"{failed} of {runs} runs did not learn; of the others: {why}"


def _verdict(
    question: Question, estimates: Mapping[str, Estimate], adjusted: tuple[float, float, float]
) -> tuple[Verdict, Reason, str]:
    if not estimates:
        return "undecided", "undefined", "Undefined by any measure."
    measure, one = next(iter(estimates.items()))
    if not math.isfinite(one.value):
        return "undecided", "undefined", f"Undefined by {measure}."
    lower, upper, confidence = adjusted
    if one.replicates < 2:
        return (
            "undecided", "replicates",
            "One replicate: nothing says how another would have come out.",
        )  # fmt: skip
    if not math.isfinite(lower):
        return (
            "undecided", "undefined",
            "No interval: without one of the runs (or probes) the contrast is undefined, or none "
            "of them changes it; of pairs of runs it takes three replicates.",
        )  # fmt: skip
    alone = " By CKA alone." if list(estimates) in BY_CKA_ALONE else ""
    least, null = 0.0 if question.one_sided else question.least, one.null
    told = f"{told_percent(confidence)} % interval {lower:+.3g} to {upper:+.3g}"
    side = 0
    if lower > null + least:
        side = 1
    elif upper < null - least:
        side = -1
    against = [
        other
        for other, two in list(estimates.items())[1:]
        if side and (two.upper < two.null if side > 0 else two.lower > two.null)
    ]
    if against:
        values = ", ".join(f"{name} {estimates[name].value:+.3f}" for name in estimates)
        return "undecided", "measures disagree", f"The measures disagree: {values}."
    if side:
        bound = f"{null + side * least:+g}" if null or least else "0"
        verdict: Verdict = "supported" if side > 0 else "contradicted"
        return verdict, "", f"The {told} lies beyond {bound}.{alone}"
    if least and lower > null - least and upper < null + least:
        about = f"{null:g} " if null else ""
        return "negligible", "", f"The {told} lies within {about}±{least:g}.{alone}"
    return "undecided", "replicates", f"The {told} says neither.{alone}"


def _has_interval(one: Estimate) -> bool:
    """Whether there is an interval over replicates: one over probes alone decides nothing."""
    return one.replicates > 1 and math.isfinite(one.lower)


def _worse_for_failures(estimates: Mapping[str, Estimate], of_all: Mapping[str, Estimate]) -> bool:
    """Whether there would be an interval, had the failed runs counted."""
    return any(map(_has_interval, of_all.values())) and not any(
        map(_has_interval, estimates.values())
    )


def _tell_tolerances(
    question: Question, measures: Sequence[str], tolerances: Mapping[str, float]
) -> str:
    if question.unit == "correlations":
        return (
            f" It is not asked of {' and '.join(measures)}, whose scores are certified to a "
            "tolerance: that bounds no correlation of them."
        )
    said = " and ".join(f"{measure} to ± {tolerances[measure] / 2:g}" for measure in measures)
    return f" Scores are certified: {said}; intervals are widened by it."


def _entered(question: Question, evidence: Evidence) -> Entered:
    """The runs and layers of the contrast that decides, and why the others are not there."""
    first: Contrast | None = next(iter(question.contrasts.values()), None)
    runs = [] if first is None else list(first.runs["run"])
    none = evidence.runs.empty or question.family == "measures"
    every: list[str] = [] if none else list(evidence.runs["run"])
    reasons = {**(first.left_out if first else {}), **evidence.failed, **evidence.duplicates}
    left: dict[str, list[str]] = {}
    for run in every:
        if run not in runs:
            left.setdefault(reasons.get(run, NOT_ASKED), []).append(run)
    return Entered(
        runs, len(every), len(evidence.failed), [] if first is None else first.layers, left
    )
