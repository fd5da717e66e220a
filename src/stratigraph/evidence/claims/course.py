"""The course of a disentanglement score over training, beside that of layers.

A score s_t of a run's latents (`stratigraph.latents.scores`) takes the place of a layer's
similarity to its final state: its area over the logarithm of training
(`stratigraph.evidence.settling`) as progress is

    (area − s_0) / (s_T − s_0),

near 1 where the gain comes early. Where s_T − s_0 is below `LEAST_GAIN` nothing was gained, and it
is NaN. Scores are of all probes: whatever stands beside them has its first column alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from stratigraph.evidence.claims.numbers import Numbers
from stratigraph.evidence.claims.parts import of_vaes, one_run
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.settling import areas

__all__ = [
    "DECIDES", "LEAST_GAIN", "course", "is_mean", "score_areas", "scores_over_training", "why_none",
]  # fmt: skip

DECIDES = "mig"  # is of every compared step, has no chance part, and needs no classifier
LEAST_GAIN = 0.02


def is_mean(rows: pd.DataFrame) -> np.ndarray:
    """The mean of q(z|x)."""
    return (rows["layer_x"] == "z_mean").to_numpy()


def scores_over_training(evidence: Evidence) -> list[str]:
    """The scores that some run has of several steps, the one that decides first."""
    if evidence.scores.empty:
        return []
    steps = evidence.scores.groupby(["score", "run"])["step"].nunique().groupby("score").max()
    found = [str(name) for name, count in steps.items() if count > 1]
    return sorted(found, key=lambda name: (name != DECIDES, name))


def course(evidence: Evidence, score: str, measure: str | None = None) -> Pairs:
    """A score of each run at each step, in the place of its mean's similarity to the end."""
    pairs = of_vaes(evidence.to_final[measure or evidence.cka])
    pairs = pairs.where(is_mean(pairs.table))
    keys = ["run", "step"]
    own = evidence.scores
    own = own[own["score"] == score] if len(own) else pd.DataFrame(columns=[*keys, "value"])
    place = own.drop_duplicates(keys).set_index(keys)["value"]
    wanted = pd.MultiIndex.from_arrays([pairs.table["run_x"], pairs.table["step_x"]])
    values = place.reindex(wanted).to_numpy(dtype=float)
    return Pairs(pairs.table, values[:, None]).where(np.isfinite(values))


def score_areas(evidence: Evidence, score: str) -> Numbers:
    """How early each run's gain in a score comes, (r, 1)."""
    pairs = course(evidence, score)
    rows, area, untrained = areas(pairs)
    last = pairs.where(pairs.table["last_x"].astype(bool))
    ends = dict(zip(last.table["run_x"], last.values[:, 0], strict=True))
    gain = np.array([ends.get(run, np.nan) for run in rows["run_x"]]) - untrained[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(gain >= LEAST_GAIN, (area[:, 0] - untrained[:, 0]) / gain, np.nan)
    none: list[Any] = [() for _ in range(len(rows))]
    table = one_run(rows).assign(layers=none)
    return Numbers(table, share[:, None])


def why_none(evidence: Evidence) -> str:
    """Why nothing can be asked of scores over training; "" where it can."""
    if evidence.scores.empty:
        return (
            "No latents were scored: the data have fewer than two known factors, or the networks "
            "no mean."
        )
    if DECIDES not in scores_over_training(evidence):
        return "The latents were scored at one step only."
    return ""
