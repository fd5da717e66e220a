"""Claims 3 and 4: encoder layers before mean and variance are alike across strengths, objectives.

The contrast is the mean similarity of a layer of two runs that differ in strength (in objective)
less that of two runs of one configuration, the baseline; within each data set, architecture and
(for strengths) objective, averaged over those that have both; of runs that share no random streams,
so that shared initial weights help neither side. "Alike" is a margin: supported where the contrast
is above −`MARGIN`, contradicted where it is below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from stratigraph.evidence.claims.parts import (
    across,
    baseline,
    of_vaes,
    pairs_of_runs,
    side_by_side,
)
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.finding import Question
from stratigraph.similarity.uncertainty import permutation_bound

__all__ = ["MARGIN", "by_layer", "chance", "encoders_alike", "layer_mean"]

MARGIN = 0.1


def layer_mean(pairs: Pairs, mask: np.ndarray) -> float:
    """The mean over layers of the mean over pairs; NaN where there are none."""
    chosen = mask & np.isfinite(pairs.values[:, 0])
    if not chosen.any():
        return float("nan")
    scores = pairs.table["layer_x"][chosen].to_frame().assign(score=pairs.values[chosen, 0])
    return float(scores.groupby("layer_x")["score"].mean().mean())


def by_layer(
    kinds: Mapping[str, Pairs],
    layers: Iterable[str],
    masks: Mapping[str, Callable[[Pairs], np.ndarray]],
) -> list[dict[str, Any]]:
    """Details: the mean score of each layer over the pairs of some masks, by measure.

    Args:
        kinds: measure → pairs of two runs.
        layers: those to show.
        masks: what a mean is called → which pairs it is over.

    """
    return [
        {
            "layer": layer,
            "measure": measure,
            **{name: layer_mean(one, mask(one)) for name, mask in masks.items()},
        }
        for layer in layers
        for measure, pairs in kinds.items()
        for one in [pairs.where(pairs.table["layer_x"] == layer)]
    ]


def encoder_pairs(pairs: Pairs) -> Pairs:
    """Pairs of encoder layers of VAEs."""
    vaes = of_vaes(pairs)
    return vaes.where(vaes.table["part_x"] == "encoder")


def encoders_alike(evidence: Evidence) -> list[Question]:
    """Across strengths, and across objectives."""
    questions = []
    for number, what, plural in ((3, "strength", "strengths"), (4, "objective", "objectives")):
        other = partial(across, what=what)
        contrast = pairs_of_runs(
            {"across": (1.0, other), "baseline": (-1.0, baseline)},
            [f"but_{what}"],
            null=-MARGIN,
        )
        pairs = encoder_pairs(evidence.final[evidence.cka])
        found: Mapping[str, Any] = {}
        asked = bool(other(pairs).any() and baseline(pairs).any())
        if asked:
            found = side_by_side(evidence, evidence.final, contrast, encoder_pairs)
        questions.append(
            Question(
                f"encoders_alike_across_{plural}",
                number,
                f"Encoder layers before mean and variance are alike across {plural}.",
                f"similarity across {plural} less across replicates, encoder layers, last step; "
                f"margin {MARGIN}",
                found,
                details=by_layer(
                    {measure: encoder_pairs(evidence.final[measure]) for measure in found},
                    dict.fromkeys(pairs.table["layer_x"]),
                    {"across": other, "baseline": baseline},
                ),
                missing="" if asked else f"The study has no two {plural}, or a single replicate.",
                note=chance(evidence, pairs, other(pairs)) if asked else "",
                one_sided=True,
                family="primary",
            )
        )
    return questions


def chance(evidence: Evidence, pairs: Pairs, mask: np.ndarray) -> str:
    """How far the similarity across is above what permuted probes score; debiased CKA only."""
    if evidence.cka != "debiased_cka" or evidence.probes < 4:
        return ""
    mean = layer_mean(pairs, mask)
    bound = permutation_bound(mean, evidence.probes)
    return f"Mean similarity {mean:.2f}; permuted probes score as much with p ≤ {bound:.1e}."
