"""Two ways of reading the same weights, compared as they are: by their paired difference.

With θ_a and θ_b a contrast read both ways, of the runs that entered both, d = θ_a − θ_b is what the
reading changes. Runs are left out of both at once, so that what they share cancels. The probes are
others in each way, and add up:

    v = v_r(d) + v_p(θ_a) + v_p(θ_b),

v_r over runs and v_p over probes as in `stratigraph.evidence.estimate`, degrees of freedom by
Satterthwaite. Nothing is taken off for what is of a run and a group of probes together, so the
interval is rather too wide than too short. Correlations are compared as such, not as z.

A verdict that changes is no measure of the change: each verdict is where an interval lies, and the
difference of two may be next to nothing (Gelman & Stern 2006).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stratigraph.evidence.contrast import Contrast
from stratigraph.evidence.estimate import Estimate, Part, add_errors, estimate_from
from stratigraph.evidence.finding import Finding, Question

__all__ = ["Change", "compare_ways"]


@dataclass(frozen=True)
class Change:
    """What another way of reading changes in the answer of a question.

    Attributes:
        question: as it was asked the first way.
        decides: whether it is of the runs that learned; of all runs, where too few did.
        measures: by which it was answered, the first way and the other.
        values: the estimates of the runs that both ways have.
        difference: the first less the other.

    """

    question: Question
    decides: bool
    measures: tuple[str, str]
    values: tuple[float, float]
    difference: Estimate


def compare_ways(findings: Sequence[Finding], others: Sequence[Finding]) -> list[Change]:
    """The difference of every question that both ways answer, by every measure they share.

    The measure that decides is compared with that of the other way, whichever they are; Procrustes
    with Procrustes. Questions of the measures themselves, and those of a smallest number (claim 2),
    which is no sum over runs, are not compared.
    """
    asked = {finding.question.key: finding for finding in others}
    found = []
    for finding in findings:
        other = asked.get(finding.question.key)
        if other is None or finding.question.family == "measures":
            continue
        decide = bool(finding.estimates and other.estimates)
        estimates, contrasts = _of_runs(finding, decide)
        _, theirs = _of_runs(other, decide)
        for measure, estimate in estimates.items():
            twin = _find_twin(measure, contrasts, theirs)
            if twin is None or estimate.parts:
                continue
            change = _difference(contrasts[measure], theirs[twin])
            if change is not None:
                found.append(Change(finding.question, decide, (measure, twin), *change))
    return found


def _of_runs(
    finding: Finding, decide: bool
) -> tuple[Mapping[str, Estimate], Mapping[str, Contrast]]:
    """Estimates and contrasts of the runs that decide, or of all."""
    if decide:
        return finding.estimates, finding.question.contrasts
    return finding.every, finding.contrasts_of_all


def _find_twin(
    measure: str, own: Mapping[str, Contrast], theirs: Mapping[str, Contrast]
) -> str | None:
    """The same measure of the other way; of a CKA that it has not, the CKA that only it has."""
    if measure in theirs:
        return measure
    return next((name for name in theirs if name not in own), None)


def _difference(one: Contrast, two: Contrast) -> tuple[tuple[float, float], Estimate] | None:
    """Both values and their difference, of the runs of both; None where it is not defined."""
    runs = one.runs[one.runs["run"].isin(two.runs["run"])].reset_index(drop=True)
    if runs.empty:
        return None
    first, second = (_leave_out(contrast, runs["run"].to_numpy()) for contrast in (one, two))
    whole = first[0][:1] - second[0][:1]
    if not math.isfinite(whole[0]):
        return None
    found = estimate_from(
        whole, first[1] - second[1], runs["config"].to_numpy(), runs["stream"].to_numpy()
    )
    probes = [_of_probes(values) for values, _ in (first, second)]
    return (float(first[0][0]), float(second[0][0])), add_errors(found, probes)


def _leave_out(contrast: Contrast, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The statistic of these runs, (1 + g,), and of all probes without each of them, (r, 1)."""
    place = pd.Index(contrast.runs["run"]).get_indexer(runs)
    every = np.zeros(len(contrast.runs), dtype=bool)
    every[place] = True
    less = np.tile(every, (len(runs), 1))
    less[np.arange(len(runs)), place] = False
    whole = contrast.statistic(every)
    values = np.array([contrast.statistic(mask)[:1] for mask in less])
    return (np.tanh(whole), np.tanh(values)) if contrast.correlation else (whole, values)


def _of_probes(values: np.ndarray) -> Part:
    """The standard error over probes; NaN where none were left out."""
    groups = len(values) - 1
    if groups < 2:
        return Part(math.nan, math.nan, math.nan)
    return Part(float(values[0]), math.sqrt((groups - 1) * float(values[1:].var())), groups - 1.0)
