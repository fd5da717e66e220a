"""Parts of a network, as masks over rows of layers, and small things that claims share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from stratigraph.evidence.estimate import Estimate, estimate
from stratigraph.evidence.evidence import Evidence, Pairs

__all__ = [
    "LATENTS",
    "asked_for",
    "configuration",
    "decoder",
    "encoder",
    "of_vaes",
    "row",
    "side_by_side",
]

# Not the sample: runs share the noise it is drawn with, so collapsed latents are alike in all.
# Networks of codes have, in place of mean and variance, the vectors before and after quantisation.
LATENTS = ("z_mean", "z_log_var", "z_encoded", "z_quantised")


def encoder(rows: pd.DataFrame) -> np.ndarray:
    """The encoder's layers before mean and variance."""
    return (rows["part_x"] == "encoder").to_numpy()


def decoder(rows: pd.DataFrame) -> np.ndarray:
    """The decoder's layers."""
    return (rows["part_x"] == "decoder").to_numpy()


def of_vaes(pairs: Pairs) -> Pairs:
    """The pairs of VAEs: neither run is a classifier."""
    return pairs.where(~(pairs.table["supervised_x"] | pairs.table["supervised_y"]).astype(bool))


def side_by_side(
    evidence: Evidence,
    kind: Mapping[str, Pairs],
    statistic: Callable[[Pairs], np.ndarray],
    keep: Callable[[Pairs], Pairs] = of_vaes,
    null: float = 0.0,
) -> dict[str, Estimate]:
    """A statistic by CKA and by Procrustes similarity, of the pairs that are kept.

    A measure of which none of those pairs was computed is left out.
    """
    found = {}
    for measure in evidence.side_by_side:
        pairs = keep(kind[measure])
        if asked_for(pairs):
            found[measure] = estimate(pairs, statistic, null)
    return found


def asked_for(pairs: Pairs) -> bool:
    """Whether any pair of two different representations has a score."""
    table = pairs.table
    apart = np.zeros(len(table), dtype=bool)
    for name in ("run", "step", "layer"):
        apart |= (table[f"{name}_x"] != table[f"{name}_y"]).to_numpy()
    return bool(np.isfinite(pairs.values[apart, 0]).any())


def configuration(first: pd.Series) -> dict[str, Any]:
    """What details say of a configuration, from a row of one of its pairs."""
    return {
        "data": first["data_x"],
        "architecture": first["architecture_x"],
        "objective": first["objective_x"],
        "strength": float(first["strength_x"]),
    }


def row(measure: str, one: Estimate, **about: Any) -> dict[str, Any]:
    """A row of details: what it is about, then the estimate."""
    return {
        **about,
        "measure": measure,
        "estimate": one.value,
        "lower": one.lower,
        "upper": one.upper,
        "p": one.p,
        "seeds": one.seeds,
        "runs": one.runs,
    }
