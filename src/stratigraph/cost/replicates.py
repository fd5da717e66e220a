"""How many replicates a study will take to decide, before anything of it has run.

What is known then is how far replicates spread in kept studies: ``spreads.csv`` holds, for each
primary question, its estimate, and its spread, the standard error over replicates times √(C n), C
the configurations and n the replicates of each. A study of C' configurations and n' replicates
should have the error spread/√(C' n'), of C' (n' − 1) degrees of freedom, if all of its
configurations enter and spread alike, each run with luck of its own. Where a kept study's seeds
were shared its spread holds what configurations share, and is the larger for it. Claim 2 asks each
configuration for itself, and takes more than claim 1. The table is made by
``python benchmarks/spreads.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import pandas as pd
import scipy

from stratigraph.evidence.family import LEVEL, PRIMARY
from stratigraph.evidence.power import POWER, Known, find_need, power
from stratigraph.study import StudyConfig
from stratigraph.training import stratum

__all__ = ["Expected", "count_configurations", "expect_replicates", "read_spreads"]

STEPS = 200  # effects that are tried


@dataclass(frozen=True)
class Expected:
    """What is to be expected of a primary question.

    Attributes:
        question: its key.
        study: the kept study that the spread is of.
        effect: what that study found.
        needed: replicates that decide an effect of this size with power 0.8; None: more than 1,000.
        low: the same, of the smallest spread of the 80 % that the kept study leaves.
        high: the same, of the largest.
        replicates: those that the planned study has.
        decided: how far from the bound an effect is that these decide with power 0.8.

    """

    question: str
    study: str
    effect: float
    needed: int | None
    low: int | None
    high: int | None
    replicates: int
    decided: float | None


def read_spreads() -> pd.DataFrame:
    """The spreads of kept studies, a row a primary question of each."""
    with files("stratigraph.cost").joinpath("spreads.csv").open() as table:
        return pd.read_csv(table)


def count_configurations(config: StudyConfig) -> int:
    """How many configurations of VAEs a study has; runs that differ in their seed alone are one."""
    return len({stratum(run) for run in config.runs if not run.supervised})


def expect_replicates(config: StudyConfig) -> list[Expected]:
    """How many replicates each primary question will take, by each kept study."""
    configurations = count_configurations(config)
    replicates = len({run.seed for run in config.runs})
    if not configurations:
        return []
    level = LEVEL / len(PRIMARY)
    found = []
    for _, row in read_spreads().iterrows():
        lower, upper = (row.null, row.null) if row.one_sided else (-row.least, row.least)
        two_sided = 2 * level if row.one_sided else level
        # A kept study has few degrees of freedom, so that its spread is itself uncertain.
        sure = row.freedom / scipy.stats.chi2.ppf([0.9, 0.1], row.freedom)
        needed, low, high = (
            _needed(row.value, row.spread * factor, configurations, lower, upper, two_sided)
            for factor in (1.0, *np.sqrt(sure))
        )
        decided = None
        if replicates > 1:
            now = row.spread / np.sqrt(configurations * replicates)
            free = configurations * (replicates - 1)
            for beyond in np.geomspace(0.01, 100, STEPS) * now:
                one = Known(upper + beyond, now, 0.0, free, replicates)
                if power([one], np.array([replicates]), lower, upper, two_sided)[0] >= POWER:
                    decided = float(beyond)
                    break
        found.append(
            Expected(
                row.question, row.study, row.value, needed, low, high, replicates, decided,
            )
        )  # fmt: skip
    return found


def _needed(
    value: float, spread: float, configurations: int, lower: float, upper: float, level: float
) -> int | None:
    """The replicates that decide, of a spread: told as the error that two would have."""
    two = Known(value, spread / np.sqrt(2 * configurations), 0.0, float(configurations), 2)
    return find_need([two], lower, upper, level).replicates
