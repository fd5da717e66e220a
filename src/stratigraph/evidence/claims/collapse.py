"""Claim 6: CKA of mean and sample tracks posterior collapse; and whether it warns of it.

A collapsed latent's sample is noise that its mean knows nothing of, so the similarity of mean and
sample falls with the number of passive latents. `collapse_tracked` is minus Spearman's rank
correlation, over the runs of one data set and architecture, of the similarity at the last step with
the number of passive latents there; the groups in which that number varies are averaged, and the
runs of the others do not enter.

A rank correlation of few runs saturates, and then hardly a run left out changes it. So it is
estimated as z = artanh r, the r of a group at most half an exchange of two neighbours from 1, with
a standard error of at least 1.03/√(N − 3) of N runs; of G groups of N_g runs, at least
1.03 √(Σ 1/(N_g − 3))/G.

`collapse_warning` asks whether the similarity *during* training foretells the number of passive
latents at its end better than its rivals do, which cost nothing: the number of passive latents so
far, and the KL term so far. It is the area over log(1 + t) of the similarity's correlation with the
final number, less the larger of the rivals' at each step. Runs of all strengths are pooled, and
the strength is known beforehand: what it foretells, all three can. The lead time stands beside it:
the first steps from which each correlation stays at `TOLD` or more, and the doublings of training
between them.

Scores of the input with the sample stand in the details.

Source: Fieller, Hartley and Pearson 1957 (the standard error of z of ranks).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import scipy

from stratigraph.evidence.claims.parts import of_vaes
from stratigraph.evidence.contrast import Contrast, jackknife, keep_replicated, runs_of
from stratigraph.evidence.estimate import Estimate, raise_error
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.finding import Question

__all__ = ["FEW", "LEAST", "TOLD", "below_one", "collapse", "rank_estimate"]

LEAST = 0.3
TOLD = 0.7
FEW = 4  # runs below which a rank correlation says nothing
NOT_VARYING = "it has no score, or its data and architecture too few runs that collapse unlike"


def _track(evidence: Evidence, measure: str, first: str) -> Pairs:
    """Pairs (input or mean, sample) with the number of passive latents of their step and run."""
    every = of_vaes(evidence.within[measure])
    ends = pd.DataFrame({"x": every.table["layer_x"], "y": every.table["layer_y"]})
    mask = ((ends["x"] == first) & (ends["y"] == "z_sample")) | (
        (ends["y"] == first) & (ends["x"] == "z_sample")
    )
    pairs = every.where(mask)
    counts = evidence.latents[["run", "step", "passive", "kl"]]
    last = counts.loc[counts.groupby("run")["step"].idxmax(), ["run", "passive"]]
    table = pairs.table.merge(
        counts, left_on=["run_x", "step_x"], right_on=["run", "step"], how="left"
    ).drop(columns=["run", "step"])
    table = table.merge(
        last.rename(columns={"passive": "passive_last", "run": "run_x"}), on="run_x", how="left"
    )
    return Pairs(table, pairs.values)


def _rank(values: np.ndarray, passive: np.ndarray) -> np.ndarray:
    """Minus Spearman's correlation of each column with the counts; NaN where either is constant."""
    known = np.isfinite(values).all(axis=1) & np.isfinite(passive)
    if known.sum() < FEW or len(np.unique(passive[known])) < 2:
        return np.full(values.shape[1], np.nan)
    ranks = scipy.stats.rankdata(values[known], axis=0)
    counts = scipy.stats.rankdata(passive[known])
    ranks, counts = ranks - ranks.mean(axis=0), counts - counts.mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        return -(ranks * counts[:, None]).sum(axis=0) / np.sqrt(
            (ranks**2).sum(axis=0) * (counts**2).sum()
        )


def _ends(sample: Pairs) -> list[np.ndarray]:
    """The rows of each data and architecture at the end of training."""
    table = sample.table
    groups = table.groupby(["data_x", "architecture_x"], sort=False)
    return [own.index[own["last_x"]].to_numpy() for _, own in groups]


def below_one(r: np.ndarray, runs: int) -> np.ndarray:
    """Rank correlations at most half an exchange of two neighbours from 1."""
    most = 1 - 6 / (runs * (runs**2 - 1)) if runs > 1 else 0.0
    return np.clip(r, -most, most)


def _at_the_end(sample: Pairs) -> np.ndarray:
    """The correlation at the end of training, the mean over groups; nowhere quite 1."""
    passive = sample.table["passive"].to_numpy(dtype=float)
    found = []
    for rows in _ends(sample):
        found.append(below_one(_rank(sample.values[rows], passive[rows]), len(rows)))
    # Of fixed groups: one that is undefined without a run leaves nothing, and not the others' mean.
    return np.mean(found, axis=0) if found else np.full(sample.values.shape[1], np.nan)


def _entering(sample: Pairs) -> np.ndarray:
    """The rows (m,) of runs in whose group the number of passive latents varies at the end."""
    entering = np.zeros(len(sample), dtype=bool)
    for rows in _ends(sample):
        own = sample.table.iloc[rows]
        known = np.isfinite(sample.values[rows]).all(axis=1) & own["passive"].notna().to_numpy()
        if known.sum() >= FEW and np.ptp(own["passive"][known]) > 0:
            entering |= sample.table["run_x"].isin(own["run_x"][known]).to_numpy()
    return entering


def _contrast(every: Pairs, correlation: bool) -> Contrast | None:
    """The correlation at the end, or the lead over rivals; None where too few runs differ."""
    columns = [*(f"{name}_x" for name in ("run", "config", "stream", "data", "architecture", "step",
                                         "last")), "passive", "passive_last", "kl"]  # fmt: skip
    slim = Pairs(every.table[[c for c in columns if c in every.table]], every.values)
    several = slim.where(slim.table.index.isin(keep_replicated(slim.table).index))
    sample = several.where(_entering(several))
    if not len(sample):
        return None
    runs = runs_of(sample.table)
    place = pd.Index(runs["run"]).get_indexer(sample.table["run_x"])
    left_out = dict.fromkeys(every.table["run_x"], "too few replicates of its configuration")
    left_out |= dict.fromkeys(several.table["run_x"], NOT_VARYING)

    def statistic(keep: np.ndarray) -> np.ndarray:
        kept = sample.where(keep[place])
        return np.asarray(np.arctanh(_at_the_end(kept))) if correlation else _ahead(kept)

    return Contrast(
        runs, statistic, sample.table, sample.values, left_out,
        correlation=correlation, estimator=rank_estimate if correlation else None,
    )  # fmt: skip


def rank_estimate(contrast: Contrast) -> Estimate:
    """The jackknife's, with the standard error of ranks as the least."""
    found = jackknife(contrast)
    if found.replicates < 2 or found.runs <= FEW or not math.isfinite(found.value):
        return found
    groups = contrast.table.groupby(["data_x", "architecture_x"], sort=False)
    sizes = np.array([size for _, own in groups if (size := len(runs_of(own))) >= FEW])
    return raise_error(found, 1.03 * math.sqrt((1 / (sizes - 3)).sum()) / len(sizes))


def _why_not(evidence: Evidence) -> str:
    if evidence.latents.empty:
        return (
            "No run has Gaussian latents that were observed: networks of codes and classifiers "
            "have none, those of VAEs are observed by `stratigraph extract`."
        )
    if not any(len(_track(evidence, m, "z_mean")) for m in evidence.side_by_side):
        return "The study does not compare the mean with the sample."
    if evidence.latents["run"].nunique() < FEW:
        return f"Fewer than {FEW} runs."
    return "The number of passive latents is the same in every run of a data set and architecture."


def _foretell(sample: Pairs) -> pd.DataFrame:
    """At each step after 0: the two correlations with the final number of passive latents."""
    rows = []
    passive, finals, kls = (
        sample.table[name].to_numpy(dtype=float) for name in ("passive", "passive_last", "kl")
    )
    place = sample.table.groupby(["data_x", "architecture_x"], sort=False).ngroup().to_numpy()
    steps = sample.table["step_x"].to_numpy(dtype=int)
    for step in np.unique(steps):
        scores, counts = [], []
        for group in np.unique(place):
            own = np.flatnonzero((steps == step) & (place == group))
            final = finals[own]
            score = _rank(sample.values[own, :1], final)
            if np.isfinite(score[0]):
                now = np.column_stack([passive[own], kls[own]])
                if not np.isfinite(now).all():
                    continue
                scores.append(score[0])
                # A count rises with the count at the end, the KL falls; what is the same in every
                # run foretells nothing.
                rivals = np.nan_to_num(_rank(now, final)) * [-1, 1]
                counts.append(rivals)
        if scores and step > 0:
            count, kl = np.mean(counts, axis=0)
            rows.append({"step": step, "score": np.mean(scores), "count": count, "kl": kl})
    return pd.DataFrame(rows, columns=["step", "score", "count", "kl"])


def _ahead(sample: Pairs) -> np.ndarray:
    table = _foretell(sample)
    if len(table) < 2:
        return np.array([np.nan])
    time = np.log1p(table["step"].to_numpy(dtype=float))
    difference = (table["score"] - table[["count", "kl"]].max(axis=1)).to_numpy()
    return np.array([np.trapezoid(difference, time) / (time[-1] - time[0])])


def _first_told(table: pd.DataFrame, column: str) -> float:
    """The first step from which the correlation stays at `TOLD` or more; NaN if it never does."""
    below = np.flatnonzero(table[column].to_numpy() < TOLD)
    start = below[-1] + 1 if len(below) else 0
    return float(table["step"].iloc[start]) if start < len(table) else float("nan")


def collapse(evidence: Evidence) -> list[Question]:
    """Tracking at the end of training, and warning during it."""
    tracked: dict[str, Contrast] = {}
    warned: dict[str, Contrast] = {}
    details: list[dict[str, Any]] = []
    lead: list[dict[str, Any]] = []
    if not evidence.latents.empty:
        for measure in evidence.side_by_side:
            sample = _track(evidence, measure, "z_mean")
            at_end = _contrast(sample.where(sample.table["last_x"]), correlation=True)
            before = _contrast(sample, correlation=False)
            if at_end is None or before is None:
                continue
            tracked[measure], warned[measure] = at_end, before
            table = _foretell(sample)
            steps = {c: _first_told(table, c) for c in ("score", "count", "kl")}
            ratio = steps["count"] / steps["score"]
            lead.append(
                {
                    "measure": measure,
                    "step_score": steps["score"],
                    "step_count": steps["count"],
                    "step_kl": steps["kl"],
                    "doublings": float(np.log2(ratio)) if np.isfinite(ratio) else float("nan"),
                }
            )
            lead += [
                {"measure": measure, **{str(k): v for k, v in row.items()}}
                for row in table.to_dict("records")
            ]
            details += _by_strength(sample, measure)
            other = _track(evidence, measure, "input")
            if len(other):
                value = float(_at_the_end(other.where(_entering(other)))[0])
                details.append(
                    {"measure": measure, "pair": "input and sample", "correlation": value}
                )
    missing = "" if tracked else _why_not(evidence)
    note = ""
    if lead and np.isfinite(lead[0]["doublings"]):
        first = lead[0]
        note = (
            f"The score foretells the end from step {first['step_score']:,.0f} on, the count from "
            f"{first['step_count']:,.0f}: {first['doublings']:+.1f} doublings of training (the KL "
            f"from {first['step_kl']:,.0f})."
        )
    return [
        Question(
            "collapse_tracked",
            6,
            "CKA of mean and sample falls as latents collapse.",
            "minus Spearman correlation with the number of passive latents, last step",
            tracked,
            LEAST,
            details,
            missing,
            unit="correlations",
        ),
        Question(
            "collapse_warning",
            6,
            "CKA of mean and sample warns of collapse before the latents can be counted.",
            "area of the correlation with the final number of passive latents, less the rivals'",
            warned,
            0.05,
            lead,
            missing,
            note,
            unit="correlations",
        ),
    ]


def _by_strength(sample: Pairs, measure: str) -> list[dict[str, Any]]:
    """Per objective: the mean score and number of passive latents at each strength, last step."""
    table = sample.table
    last = table[table["last_x"]].assign(score=sample.values[table["last_x"].to_numpy(), 0])
    keys = ["data_x", "architecture_x", "objective_x", "strength_x"]
    means = last.groupby(keys, dropna=False)[["score", "passive"]].mean().reset_index()
    return [
        {
            "measure": measure,
            "pair": "mean and sample",
            "data": row["data_x"],
            "architecture": row["architecture_x"],
            "objective": row["objective_x"],
            "strength": row["strength_x"],
            "score": row["score"],
            "passive": row["passive"],
        }
        for row in means.to_dict("records")
    ]
