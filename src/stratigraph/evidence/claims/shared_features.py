"""Claims 12 and 13: how the measures behave on matrices that share features.

Two Gaussian matrices of 50 features share 80, 50 or 0 % of them. With few probes both measures
find similarity where there is none, Procrustes more so; and CKA, which weighs directions by their
variance squared, misses a change in the directions of little variance. A draw takes a run's place.
The numbers do not depend on the study; they are the same in every one.

Checked against the values of the published figure that this project knows, in the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pandas as pd

from stratigraph.evidence.contrast import weigh
from stratigraph.evidence.evidence import Evidence
from stratigraph.evidence.finding import Question
from stratigraph.similarity.cka import debiased_cka, linear_cka
from stratigraph.similarity.procrustes import procrustes_similarity

__all__ = ["COUNTS", "FEATURES", "OF_MEASURES", "SHARES", "shared_features", "sharing"]

FEATURES = 50
SHARES = (0.8, 0.5, 0.0)
COUNTS = (50, 130, 290, 970)
DRAWS = 5
OF_MEASURES = (12, 13)  # the claims that ask no study
LEAST = 0.05
MEASURES: dict[str, Callable] = {
    "procrustes_similarity": procrustes_similarity,
    "linear_cka": linear_cka,
    "debiased_cka": debiased_cka,
}


@lru_cache(maxsize=1)
def sharing() -> pd.DataFrame:
    """The scores: share, probes, draw, and one column a measure."""
    rows = []
    for draw in range(DRAWS):
        rng = np.random.default_rng([12, draw])
        x, fresh = rng.standard_normal((2, max(COUNTS), FEATURES))
        for share in SHARES:
            shared = round(share * FEATURES)
            y = np.concatenate([x[:, :shared], fresh[:, shared:]], axis=1)
            for n in COUNTS:
                scores = {name: score(x[:n], y[:n]) for name, score in MEASURES.items()}
                rows.append({"share": share, "probes": n, "draw": draw, **scores})
    return pd.DataFrame(rows)


@lru_cache(maxsize=1)
def _small_change() -> np.ndarray:
    """How much more Procrustes than CKA is lost with the weaker half of 50 decaying directions."""
    lost = []
    for draw in range(DRAWS):
        rng = np.random.default_rng([13, draw])
        x = rng.standard_normal((2000, FEATURES)) / np.sqrt(np.arange(1, FEATURES + 1))
        y = x.copy()
        y[:, FEATURES // 2 :] = 0
        lost.append(debiased_cka(x, y) - procrustes_similarity(x, y))
    return np.array(lost)


def _question(
    key: str, claim: int, statement: str, contrast: str, draws: np.ndarray, least: float
) -> Question:
    names = [f"draw {i}" for i in range(len(draws))]
    rows = pd.DataFrame({"run_x": names, "config_x": "", "stream_x": names})
    found = weigh(rows.assign(group="", side="draw"), draws[:, None], {"draw": 1.0})
    return Question(
        key, claim, statement, contrast, {} if found is None else {"synthetic": found}, least,
        note="On synthetic matrices; draws stand for runs.", family="measures",
    )  # fmt: skip


def shared_features(evidence: Evidence) -> list[Question]:
    """Three questions of the measures themselves."""
    table = sharing()
    wide = table.pivot_table(index="draw", columns=["share", "probes"])
    above = (wide["procrustes_similarity"] - wide["linear_cka"]).to_numpy().min(axis=1)
    none = wide["procrustes_similarity"][0.0]
    few = none[COUNTS[0]] - none[COUNTS[-1]]
    return [
        _question(
            "procrustes_above_cka",
            12,
            "On matrices that share features, Procrustes is above CKA at every size and share.",
            "the smallest difference over shares and numbers of probes",
            above,
            0.0,
        ),
        _question(
            "procrustes_few_probes",
            13,
            "Procrustes overestimates when probes are few for the features.",
            f"Procrustes of unrelated matrices, {COUNTS[0]} probes less {COUNTS[-1]}",
            few.to_numpy(),
            LEAST,
        ),
        _question(
            "cka_small_changes",
            13,
            "CKA misses changes in directions of little variance that Procrustes sees.",
            "score lost without the weaker half of the directions, Procrustes less CKA",
            _small_change(),
            LEAST,
        ),
    ]
