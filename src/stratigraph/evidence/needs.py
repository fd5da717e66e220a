"""What a question lacks to be decided: replicates, and whether the looks to come would do."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from stratigraph.evidence.estimate import Estimate
from stratigraph.evidence.power import Known, Need, find_need, predicted_power
from stratigraph.evidence.sequential import FUTILE, Looks

__all__ = ["bounds_of", "find_outlook", "known_of", "need_of", "tell_need"]


def known_of(one: Estimate) -> list[Known]:
    """The numbers of an estimate, on the scale that its errors are of."""
    if one.parts:
        return [Known(p.value, p.error, 0.0, p.freedom, one.replicates) for p in one.parts]
    value = one.scale(one.value)
    if not one.replicates > 1 or math.isnan(one.error_replicates):
        return [Known(value, math.nan, math.nan, math.nan, one.replicates)]
    # What a run and a group of probes do together falls with runs.
    stays = np.nan_to_num(one.error_probes) ** 2 - np.nan_to_num(one.error_both) ** 2
    return [Known.split(value, one.error, max(float(stays), 0.0), one.freedom, one.replicates)]


def bounds_of(one: Estimate, least: float, one_sided: bool) -> tuple[float, float]:
    """The bounds that the interval has to be beyond or within, on the scale of the errors."""
    least = 0.0 if one_sided else least
    return one.scale(one.null - least), one.scale(one.null + least)


def need_of(one: Estimate, least: float, one_sided: bool, level: float) -> Need:
    """How many replicates of each configuration decide a question that is undecided.

    Args:
        one: the estimate that decides.
        least: the least effect of the question.
        one_sided: whether it is of one side of a threshold.
        level: that its interval is taken at in its family, one-sided where the question is.

    """
    two_sided = 2 * level if one_sided else level
    found = find_need(known_of(one), *bounds_of(one, least, one_sided), two_sided)
    # It is undecided with those that it has, whatever they would do another time.
    more = one.replicates + 1
    counts = (n if n is None else max(n, more) for n in (found.replicates, found.low, found.high))
    replicates, low, high = counts
    return replace(found, replicates=replicates, low=low, high=high)


def tell_need(need: Need) -> str:
    """The need as a sentence for people."""
    if need.why == "probes":
        return "No number of replicates decides it: the error over probes alone is too large."
    if need.why in ("undefined", "one replicate"):
        return ""
    low = "more than 1,000" if need.low is None else f"{need.low:,}"
    high = "more than 1,000" if need.high is None else f"{need.high:,}"
    between = f"80 % range {low} to {high}"
    if need.low is None:
        between = "more than 1,000 in 90 of 100 cases"
    if need.why == "boundary":
        return (
            f"Its estimate lies on a bound, so even 1,000 replicates do not decide it ({between})."
        )
    return f"{need.replicates:,} replicates would decide it with power 0.8 ({between})."


def find_outlook(one: Estimate, least: float, one_sided: bool, level: float, looks: Looks) -> str:
    """Why an undecided question is given up: ``futile``, ``out of budget``, or "" where it is not.

    Args:
        one: the estimate at this look.
        least: the least effect of the question.
        one_sided: whether it is of one side of a threshold.
        level: that of its intervals over all looks, one-sided where the question is.
        looks: where the study is.

    """
    if looks.last:
        return "out of budget"
    two_sided = looks.last_level(2 * level if one_sided else level)
    # Runs that did not learn are fewer at the last look too.
    last = round(looks.counts[-1] * one.replicates / looks.replicates)
    chance = predicted_power(known_of(one), last, *bounds_of(one, least, one_sided), two_sided)
    return "futile" if chance < FUTILE else ""
