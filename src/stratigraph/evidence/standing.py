"""What a finding says after a look: a verdict that was given stays, and an open one is given up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from stratigraph.evidence.family import LEVEL
from stratigraph.evidence.finding import Finding, Question, Verdict
from stratigraph.evidence.needs import find_outlook
from stratigraph.evidence.sequential import Looks, Standing, follow

__all__ = ["over_looks", "stand"]


def over_looks(
    questions: Sequence[Question],
    decided: Sequence[tuple[float, Verdict] | None],
    own: np.ndarray,
    looks: Looks,
) -> tuple[np.ndarray, dict[str, Standing]]:
    """The p of each question over all looks, (m,), and where it stands; undefined ones have 1.

    So an undefined question is counted in its family, which does not grow when it is defined; and
    one that cannot be asked any more, since its runs are now held not to have learned, stands where
    it stood.
    """
    nothing: tuple[float, Verdict] = (math.nan, "undecided")
    followed = [
        (i, question, one or nothing)
        for i, (question, one) in enumerate(zip(questions, decided, strict=True))
        if (one or question.key in looks.before) and question.family != "measures"
    ]
    standing = follow(
        looks,
        {q.key: p * (2 if q.one_sided else 1) for _, q, (p, _) in followed},
        {q.key: verdict for _, q, (_, verdict) in followed},
    )
    over = own.copy()
    for i, question, _ in followed:
        p = standing[question.key].p / (2 if question.one_sided else 1)
        over[i] = 1.0 if math.isnan(p) else p
    return over, standing


def stand(finding: Finding, now: Standing, looks: Looks) -> Finding:
    """The finding as it stands after this look.

    Args:
        finding: what this look's interval says.
        now: where its question stands with this look's p.
        looks: where the study is.

    """
    why = f"With {looks.replicates} replicates (of at most {looks.counts[-1]}): {finding.why}"
    if not now.settled:
        if finding.verdict == "not asked":
            return replace(finding, standing=now)
        if finding.verdict != "undecided":
            return replace(
                finding, why=why, standing=replace(now, verdict=finding.verdict, settled=True)
            )
        if finding.reason not in ("replicates", "probes") or not finding.p_holm < LEVEL:
            now = replace(now, outlook=_outlook(finding, looks))
            told = f" It is {now.outlook}." if now.outlook else ""
            return replace(finding, why=why + told, standing=now)
        # The level that it has now was reached at a look before.
    now = replace(now, settled=True)
    if finding.verdict != now.verdict:
        why = f"Decided with {now.replicates} replicates, which stays. {why}"
    return replace(
        finding, verdict=cast(Verdict, now.verdict), reason="", why=why, need=None, standing=now
    )


def _outlook(finding: Finding, looks: Looks) -> str:
    question = finding.question
    first = next(iter(finding.estimates.values()), None)
    if first is None or math.isnan(finding.adjusted[0]):
        return "out of budget" if looks.last else ""
    return find_outlook(first, question.least, question.one_sided, finding.level, looks)
