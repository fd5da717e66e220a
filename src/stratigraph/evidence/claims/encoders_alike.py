"""Claims 3 and 4: encoder layers before mean and variance are alike across strengths, objectives.

The contrast is the mean similarity of a layer of two runs that differ in strength (in objective)
less that of two runs of one configuration, the baseline; within each data set, architecture and
(for strengths) objective, averaged over those that have both; of runs with different seeds, so that
shared initial weights help neither side. "Alike" is a margin: supported where the contrast is above
−`MARGIN` beyond chance, contradicted where it is below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from stratigraph.evidence.claims.parts import of_vaes, side_by_side
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.finding import Question
from stratigraph.similarity.uncertainty import permutation_bound

__all__ = [
    "MARGIN",
    "across",
    "baseline",
    "by_layer",
    "chance",
    "encoders_alike",
    "layer_mean",
    "over_groups",
]

MARGIN = 0.1


def _same(pairs: Pairs, *names: str) -> np.ndarray:
    table = pairs.table
    mask = np.ones(len(table), dtype=bool)
    for name in names:
        one, other = table[f"{name}_x"], table[f"{name}_y"]
        mask &= (one == other).to_numpy() | (one.isna() & other.isna()).to_numpy()
    return mask


def baseline(pairs: Pairs) -> np.ndarray:
    """Two seeds of one configuration."""
    return _same(pairs, "config") & ~_same(pairs, "seed")


def across(pairs: Pairs, what: str) -> np.ndarray:
    """Two seeds, of configurations that differ in strength alone, or in objective."""
    return _same(pairs, f"but_{what}") & ~_same(pairs, what) & ~_same(pairs, "seed")


def layer_mean(pairs: Pairs, mask: np.ndarray) -> np.ndarray:
    """The mean over layers of the mean over pairs, (1 + g,): every layer counts alike."""
    chosen = mask & np.isfinite(pairs.values[:, 0])
    if not chosen.any():
        return np.full(pairs.values.shape[1], np.nan)
    layers = pairs.table["layer_x"].to_numpy()[chosen]
    values = pairs.values[chosen]
    return np.stack([values[layers == layer].mean(axis=0) for layer in np.unique(layers)]).mean(0)


def over_groups(
    pairs: Pairs, by: str, difference: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """The mean over groups of what a function of their mask gives, where it is defined.

    Args:
        pairs: of two runs.
        by: a label that both runs of a pair share within a group, such as ``but_objective``.
        difference: mask of a group (m,) → (1 + g,).

    """
    labels = pairs.table[f"{by}_x"].to_numpy()
    shared = _same(pairs, by)
    found = [difference(shared & (labels == group)) for group in dict.fromkeys(labels[shared])]
    known = [one for one in found if np.isfinite(one[0])]
    return np.mean(known, axis=0) if known else np.full(pairs.values.shape[1], np.nan)


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
            **{name: float(layer_mean(one, mask(one))[0]) for name, mask in masks.items()},
        }
        for layer in layers
        for measure, pairs in kinds.items()
        for one in [pairs.where(pairs.table["layer_x"] == layer)]
    ]


def contrast(what: str) -> Callable[[Pairs], np.ndarray]:
    """Across less baseline."""

    def statistic(pairs: Pairs) -> np.ndarray:
        other, same = across(pairs, what), baseline(pairs)
        return over_groups(
            pairs,
            f"but_{what}",
            lambda group: layer_mean(pairs, other & group) - layer_mean(pairs, same & group),
        )

    return statistic


def encoder_pairs(pairs: Pairs) -> Pairs:
    """Pairs of encoder layers of VAEs."""
    vaes = of_vaes(pairs)
    return vaes.where(vaes.table["part_x"] == "encoder")


def encoders_alike(evidence: Evidence) -> list[Question]:
    """Across strengths, and across objectives."""
    questions = []
    for number, what, plural in ((3, "strength", "strengths"), (4, "objective", "objectives")):
        pairs = encoder_pairs(evidence.final[evidence.cka])
        asked = bool(across(pairs, what).any() and baseline(pairs).any())
        estimates, details = {}, []
        if asked:
            estimates = side_by_side(
                evidence, evidence.final, contrast(what), encoder_pairs, null=-MARGIN
            )
            details = by_layer(
                {measure: encoder_pairs(evidence.final[measure]) for measure in estimates},
                dict.fromkeys(pairs.table["layer_x"]),
                {"across": partial(across, what=what), "baseline": baseline},
            )
        questions.append(
            Question(
                f"encoders_alike_across_{plural}",
                number,
                f"Encoder layers before mean and variance are alike across {plural}.",
                f"similarity across {plural} less across seeds, encoder layers, last step; "
                f"margin {MARGIN}",
                estimates,
                details=details,
                missing="" if asked else f"The study has no two {plural}, or a single seed.",
                note=chance(evidence, pairs, across(pairs, what)) if asked else "",
            )
        )
    return questions


def chance(evidence: Evidence, pairs: Pairs, mask: np.ndarray) -> str:
    """How far the similarity across is above what permuted probes score; debiased CKA only."""
    if evidence.cka != "debiased_cka" or evidence.probes < 4:
        return ""
    mean = float(layer_mean(pairs, mask)[0])
    bound = permutation_bound(mean, evidence.probes)
    return f"Mean similarity {mean:.2f}; permuted probes score as much with p ≤ {bound:.1e}."
