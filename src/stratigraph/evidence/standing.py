"""What a finding says after a look: a verdict that was given stays, and an open one is given up."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

from stratigraph.evidence.family import LEVEL
from stratigraph.evidence.finding import Finding, Verdict
from stratigraph.evidence.needs import find_outlook
from stratigraph.evidence.sequential import Looks, Standing

__all__ = ["stand"]


def stand(finding: Finding, now: Standing, looks: Looks) -> Finding:
    """The finding as it stands after this look.

    Args:
        finding: what this look's interval says.
        now: where its question stands with this look's p.
        looks: where the study is.

    """
    why = f"With {looks.replicates} replicates (of at most {looks.counts[-1]}): {finding.why}"
    if finding.verdict == "undecided" and not now.settled:
        if finding.reason not in ("replicates", "probes") or not finding.p_holm < LEVEL:
            now = replace(now, outlook=_outlook(finding, looks))
            told = f" It is {now.outlook}." if now.outlook else ""
            return replace(finding, why=why + told, standing=now)
        # The level that it has now was reached at a look before.
    elif not now.settled:
        return replace(
            finding, why=why, standing=replace(now, verdict=finding.verdict, settled=True)
        )
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
