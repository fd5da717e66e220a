"""Claim 18: networks whose means are alike are disentangled alike.

Over pairs of runs of one data set and architecture that share no random streams, minus Spearman's
rank correlation of the similarity of their means at the last step with the distance |s − s'| of
their scores there; averaged over data sets and architectures. It is estimated as z = artanh r, with
a standard error of at least 1.03/√(N − 3) of N runs, as `stratigraph.evidence.claims.collapse` has
it; pairs share runs, so whole runs are left out.

MIG decides; every other score stands in the details.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy

from stratigraph.evidence.claims.collapse import FEW, LEAST, below_one, rank_estimate
from stratigraph.evidence.claims.course import DECIDES, is_mean
from stratigraph.evidence.claims.parts import apart, of_vaes
from stratigraph.evidence.contrast import Contrast, keep_replicated, runs_of
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.finding import Question

__all__ = ["means_alike"]


def _ends(scores: pd.DataFrame, score: str) -> pd.Series:
    """Each run's score at its last step."""
    own = scores[scores["score"] == score].dropna(subset=["value"])
    return own.loc[own.groupby("run")["step"].idxmax()].set_index("run")["value"]


def _pairs(evidence: Evidence, measure: str) -> Pairs:
    """The means of two runs of one data set and architecture."""
    pairs = of_vaes(evidence.final[measure])
    table = pairs.table
    alike = (table["data_x"] == table["data_y"]) & (
        table["architecture_x"] == table["architecture_y"]
    )
    return pairs.where(is_mean(table) & alike.to_numpy() & apart(pairs))


def _contrast(pairs: Pairs, ends: pd.Series) -> Contrast | None:
    distance = np.abs(
        pairs.table["run_x"].map(ends).to_numpy(dtype=float)
        - pairs.table["run_y"].map(ends).to_numpy(dtype=float)
    )
    known = np.isfinite(distance) & np.isfinite(pairs.values[:, 0])
    table = pairs.table.assign(distance=distance)[known]
    table = keep_replicated(table)
    values = pairs.values[table.index, :1]
    table = table.reset_index(drop=True)
    runs = runs_of(table) if len(table) else pd.DataFrame(columns=["run", "config", "stream"])
    if len(runs) < FEW:
        return None
    place = pd.Index(runs["run"])
    x, y = place.get_indexer(table["run_x"]), place.get_indexer(table["run_y"])
    group = table.groupby(["data_x", "architecture_x"], sort=False).ngroup().to_numpy()

    def correlation(keep: np.ndarray) -> float:
        kept = keep[x] & keep[y]
        found = [
            _rank(values[kept & (group == g), 0], table["distance"].to_numpy()[kept & (group == g)])
            for g in np.unique(group)
        ]
        known = [one for one in found if np.isfinite(one)]
        return float(np.mean(known)) if known else np.nan

    def statistic(keep: np.ndarray) -> np.ndarray:
        return np.asarray(np.arctanh(below_one(np.array([correlation(keep)]), int(keep.sum()))))

    if not np.isfinite(correlation(np.ones(len(runs), dtype=bool))):
        return None
    return Contrast(runs, statistic, table, values, correlation=True, estimator=rank_estimate)


def _rank(similarity: np.ndarray, distance: np.ndarray) -> float:
    """Minus Spearman's correlation; NaN where either is constant, or of few pairs."""
    if len(similarity) < FEW or np.ptp(similarity) == 0 or np.ptp(distance) == 0:
        return np.nan
    return -float(scipy.stats.spearmanr(similarity, distance).statistic)


def means_alike(evidence: Evidence) -> list[Question]:
    """One question."""
    found: dict[str, Contrast] = {}
    details: list[dict[str, Any]] = []
    scores = evidence.scores
    names = [] if scores.empty else sorted(scores["score"].unique())
    for measure in evidence.side_by_side:
        pairs = _pairs(evidence, measure)
        for score in sorted(names, key=lambda name: (name != DECIDES, name)):
            one = _contrast(pairs, _ends(scores, score)) if len(pairs) else None
            if one is None:
                continue
            if score == DECIDES:
                found[measure] = one
            z = one.statistic(np.ones(len(one.runs), dtype=bool))[0]
            details.append(
                {"measure": measure, "score": score, "correlation": float(np.tanh(z)),
                 "runs": len(one.runs)}
            )  # fmt: skip
    missing = (
        "No latents were scored: the data have fewer than two known factors, or the networks no "
        "mean." if not names else
        f"Fewer than {FEW} runs whose means were compared and scored, or all score alike."
    )  # fmt: skip
    return [
        Question(
            "means_alike_disentangle_alike",
            18,
            "Networks whose means are alike are disentangled alike.",
            "minus Spearman correlation of the means' similarity with the distance of their MIG, "
            "last step",
            found,
            LEAST,
            details if found else [],
            "" if found else missing,
            unit="correlations",
        )
    ]
