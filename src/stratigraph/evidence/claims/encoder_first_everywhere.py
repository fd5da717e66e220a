"""Claim 2: claim 1 holds for every strength, objective, architecture and data set.

"Every" is an intersection: it is supported only where each configuration supports it, so its
interval is of the smallest gap (`stratigraph.evidence.estimate.least_of`). The few replicates of a
configuration tell little of their spread, so variances are moderated across configurations
(`stratigraph.evidence.moderation`). It is contradicted where one configuration is, corrected for
their number.

Sources: Berger 1982 (intersection-union test); Smyth 2004 (moderated variances).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from stratigraph.evidence.claims.encoder_first import (
    LEAST_GAP,
    VERSIONS,
    without_parts,
    without_untrained,
)
from stratigraph.evidence.claims.parts import (
    configuration,
    decoder,
    encoder,
    settling,
    side_by_side,
)
from stratigraph.evidence.contrast import Contrast
from stratigraph.evidence.estimate import (
    CONFIDENCE,
    Estimate,
    Part,
    estimate_from,
    least_of,
)
from stratigraph.evidence.evidence import Evidence
from stratigraph.evidence.finding import Question
from stratigraph.evidence.moderation import moderate
from stratigraph.evidence.variance import add_variances

__all__ = ["encoder_first_everywhere"]


def encoder_first_everywhere(evidence: Evidence) -> list[Question]:
    """The raw version, and progress."""
    questions = []
    for version, kind, what in VERSIONS:
        found = side_by_side(evidence, evidence.to_final, settling(kind, encoder, decoder))
        several = {
            measure: replace(contrast, estimator=_least)
            for measure, contrast in found.items()
            if contrast.runs["config"].nunique() > 1
        }
        lacking = (
            without_parts(evidence)
            or (version and without_untrained(evidence))
            or "The study has a single configuration."
        )
        questions.append(
            Question(
                f"encoder_first_everywhere{version}",
                2,
                f"In every configuration the encoder is learned before the decoder{what}.",
                "the smallest gap of any configuration",
                several,
                LEAST_GAP,
                [row for measure, one in several.items() for row in _rows(measure, one)],
                missing="" if several else lacking,
                unit="progress" if version else "scores",
                family="secondary" if version else "primary",
            )
        )
    return questions


def _least(contrast: Contrast) -> Estimate:
    """The estimate of the smallest gap."""
    whole = estimate_from(
        contrast.values.mean(axis=0),
        np.zeros((0, contrast.values.shape[1])),
        np.zeros(0),
        np.zeros(0),
        null=contrast.null,
    )
    runs = contrast.runs
    known = replace(
        whole,
        runs=len(runs),
        replicates=int(runs.groupby("config")["run"].size().min()),
    )
    return least_of([part for _, part in _each(contrast)], known)


def _each(contrast: Contrast) -> list[tuple[int, Part]]:
    """The gap of each configuration: the first of its rows, and its value and error."""
    rows = contrast.table["config_x"]
    found, counts = [], []
    for config in rows.unique():
        own = np.flatnonzero(rows == config)
        values = contrast.values[own]
        less = (values.sum(axis=0) - values) / max(len(own) - 1, 1)
        alone = estimate_from(values.mean(axis=0), less, np.zeros(len(own)), np.arange(len(own)))
        found.append((int(own[0]), alone))
        counts.append(len(own))
    n = np.array(counts)
    variances = np.array([one.error_replicates**2 for _, one in found]) * n
    if (n < 2).any() or not np.isfinite(variances).all():
        return [(row, Part(one.value, math.nan, math.nan)) for row, one in found]
    moderated, freedoms = moderate(variances, n - 1, _share_of_freedom(contrast))
    groups = contrast.values.shape[1] - 1
    parts = []
    for (row, one), variance, freedom in zip(found, moderated / n, freedoms, strict=True):
        of_probes = (one.error_probes**2, groups - 1.0)
        both = one.error_both**2
        parts.append((row, Part(one.value, *add_variances((variance, freedom), of_probes, both))))
    return parts


def _share_of_freedom(contrast: Contrast) -> float:
    """Σ_c S_cc²/Σ_cc' S_cc'², with S the covariances of configurations over the streams of runs."""
    scores = contrast.table[["config_x", "stream_x"]].assign(score=contrast.values[:, 0])
    apart = scores["score"] - scores.groupby("config_x")["score"].transform("mean")
    table = scores.assign(score=apart).pivot_table(
        index="stream_x", columns="config_x", values="score", aggfunc="sum", fill_value=0.0
    )
    covariances = table.to_numpy().T @ table.to_numpy()
    every = float((covariances**2).sum())
    return float((np.diag(covariances) ** 2).sum()) / every if every > 0 else 1.0


def _rows(measure: str, contrast: Contrast) -> list[dict]:
    rows = []
    for first, part in _each(contrast):
        reach = part.reach((1 - CONFIDENCE) / 2)
        config = contrast.table["config_x"].iloc[first]
        rows.append(
            {
                **configuration(contrast.table.iloc[first]),
                "measure": measure,
                "estimate": part.value,
                "lower": part.value - reach,
                "upper": part.value + reach,
                "p": 2 * min(part.above(0.0), part.below(0.0)),
                "runs": int((contrast.table["config_x"] == config).sum()),
            }
        )
    return rows
