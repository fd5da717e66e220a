"""What findings will cost: the claims are asked of random scores, on the pairs of the study's runs.

What it takes is of the questions, of the runs that are left out in turn, and of the pairs that are
read. All pairs are taken of a small study; of a large one those of as many configurations as have
some `ENOUGH`, and with R' of its R runs among them

    seconds(P) = (1 + R)/(1 + R') · P/P' · seconds(P').
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pandas as pd

from stratigraph.engine import one_thread
from stratigraph.evidence.answer import answer
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.from_study import sides
from stratigraph.identity import canonical
from stratigraph.pairs.group_sums import groups_of
from stratigraph.pairs.jackknife import JACKKNIFED
from stratigraph.study import CORRECTED, claim_pairs
from stratigraph.training import RunConfig

__all__ = ["Judging", "judge_sample"]

ENOUGH = 20_000  # pairs that are judged
SCORES = ("procrustes_similarity", CORRECTED.cka)  # that claims read


@dataclass(frozen=True)
class Judging:
    """The findings of a study, to be timed in a worker.

    Args:
        labels: of every representation, as a comparison has them.
        runs: of the study.
        measures: that it is compared by.
        probes: how many there are.

    """

    labels: pd.DataFrame
    runs: Sequence[RunConfig]
    measures: Sequence[str]
    probes: int


def judge_sample(task: Judging) -> tuple[int, float]:
    """How many pairs the findings will read, and the seconds of judging them one way."""
    pairs = claim_pairs(task.labels)
    taken = _some(task, len(pairs))
    configs = {run.run_id: run for run in taken}
    labels = task.labels[task.labels["run"].isin(configs)].reset_index(drop=True)
    evidence = _random_evidence(task, sides(labels, configs))
    with one_thread():
        answer(evidence, CORRECTED.name)  # what it imports is of no pair
        began = time.perf_counter()
        answer(evidence, CORRECTED.name)
        seconds = time.perf_counter() - began
    judged = len(claim_pairs(labels))
    times = (1 + len(task.runs)) / (1 + len(taken))
    return len(pairs), seconds * times * len(pairs) / max(judged, 1)


def _some(task: Judging, pairs: int) -> Sequence[RunConfig]:
    """The runs of the first configurations that have pairs enough, with all of their seeds."""
    if pairs <= ENOUGH:
        return task.runs
    kinds: dict[str, list[RunConfig]] = {}
    for run in task.runs:
        kinds.setdefault(canonical({**run.to_dict(), "seed": 0}), []).append(run)
    every, count = list(kinds.values()), 1
    while count < len(every):
        count *= 2
        taken = list(chain(*every[:count]))
        own = task.labels["run"].isin([run.run_id for run in taken])
        if len(claim_pairs(task.labels[own].reset_index(drop=True))) > ENOUGH:
            return taken
    return task.runs


def _random_evidence(task: Judging, labels: pd.DataFrame) -> Evidence:
    """Scores that fall with the distance of layers and steps; what else is observed is random."""
    rng = np.random.default_rng(0)
    pairs = claim_pairs(labels)
    table = Pairs.label(labels, pairs)
    place = labels["layer"].factorize()[0] + 0.2 * np.log1p(labels["step"].to_numpy())
    scores = 1 / (1 + np.abs(place[pairs[:, 0]] - place[pairs[:, 1]]))
    kinds: dict[str, tuple[Pairs, Pairs, Pairs]] = {}
    for measure in task.measures:
        if measure in SCORES:
            columns = 1 + (groups_of(task.probes) if measure in JACKKNIFED else 0)
            noise = 0.02 * rng.random((len(pairs), columns))
            kinds[measure] = Pairs(table, scores[:, None] + noise).split()
    to_final, final, within = (
        {measure: own[kind] for measure, own in kinds.items()} for kind in range(3)
    )
    steps = labels[["run", "step"]].drop_duplicates()
    latents = steps.assign(
        active=3, mixed=3, passive=rng.integers(0, 4, len(steps)), kl=rng.random(len(steps))
    )
    layers = labels[["run", "step", "layer"]].assign(
        remaining=rng.random(len(labels)), decodable=rng.random(len(labels))
    )
    return Evidence(CORRECTED.cka, to_final, final, within, latents, layers, probes=task.probes)
