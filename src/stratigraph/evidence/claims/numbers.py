"""The pieces of claims about single runs: a number of each, contrasted within runs or between them.

A number is taken of a part of a run's network, from `Evidence.to_final` of a measure or from what
was observed of the layers instead (`observed`: the factors that can be read, how far the weights
still are, dimensions):

- `area`: how early the part settles (`stratigraph.evidence.settling`);
- `at_share`: the part's mean at some share of training.

`within_runs` contrasts two numbers of every run, `between_runs` one number of runs on different
sides. A side is a mask of the table of runs: `weakest` and `strongest` are of strengths, `where` is
of a label: objective, data, architecture, config.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from stratigraph.evidence.claims.parts import TOO_LITTLE, Mask, label_groups, one_run
from stratigraph.evidence.contrast import Contrast, weigh
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.settling import Kind, part_areas

__all__ = [
    "Numbers",
    "area",
    "at_share",
    "between_runs",
    "observed",
    "strongest",
    "weakest",
    "where",
    "within_runs",
]


@dataclass(frozen=True)
class Numbers:
    """A number of each run: labels ``<name>_x`` and its layers (r, …), and values (r, 1 + g)."""

    table: pd.DataFrame
    values: np.ndarray


def observed(evidence: Evidence, column: str) -> Pairs:
    """What was observed of every layer at every step, in the place of its similarity to the end.

    Args:
        evidence: of a study.
        column: of `Evidence.layers`: ``decodable`` and ``decodable_<factor>``, ``remaining``,
            ``two_nn``, ``levina_bickel``; what was not observed is NaN.

    """
    pairs = evidence.to_final[evidence.cka]
    keys = ["run", "layer", "step"]
    if column not in evidence.layers:
        return Pairs(pairs.table, np.full((len(pairs), 1), np.nan))
    values = pairs.table[[f"{key}_x" for key in keys]].merge(
        evidence.layers[[*keys, column]],
        left_on=[f"{key}_x" for key in keys],
        right_on=keys,
        how="left",
    )
    return Pairs(pairs.table, values[column].to_numpy(dtype=float)[:, None])


def area(pairs: Pairs, part: Mask, kind: Kind = "similarity") -> Numbers:
    """How early a part of each network settles: its area, pooled over layers."""
    rows, (values,), layers = part_areas(pairs, [part], kind)
    return Numbers(one_run(rows).assign(layers=layers), values)


def at_share(pairs: Pairs, part: Mask, share: float) -> Numbers:
    """The mean over a part's layers, each at its last snapshot of a share of training.

    Args:
        pairs: `Evidence.to_final` of a measure, or `observed`.
        part: which layers are in it.
        share: of the steps, from 0 (untrained) to 1.

    """
    table = pairs.table
    known = part(table) & np.isfinite(pairs.values[:, 0])
    kept = pairs.where(known & (table["step_x"] <= share * table["step_y"]).to_numpy())
    latest = kept.table.groupby(["run_x", "layer_x"])["step_x"].transform("max")
    kept = kept.where(kept.table["step_x"] == latest)
    run, _ = pd.factorize(kept.table["run_x"])
    values = np.zeros((run.max() + 1 if len(run) else 0, kept.values.shape[1]))
    np.add.at(values, run, kept.values)
    values /= np.bincount(run, minlength=len(values))[:, None]
    layers = kept.table.groupby(run)["layer_x"].agg(tuple)
    rows = one_run(kept.table.drop_duplicates("run_x").reset_index(drop=True))
    return Numbers(rows.assign(layers=layers), values)


def within_runs(one: Numbers, other: Numbers, by: Sequence[str] = ()) -> Contrast | None:
    """One number of each run less another; None where no run has both.

    Args:
        one: that speaks for the claim.
        other: that speaks against it.
        by: labels, such as ``data``, within whose values configurations are averaged first.

    """
    place = pd.Index(other.table["run_x"]).get_indexer(one.table["run_x"])
    both = one.table[place >= 0].reset_index(drop=True)
    values = one.values[place >= 0] - other.values[place[place >= 0]]
    layers = [
        (*mine, *theirs)
        for mine, theirs in zip(
            both["layers"], other.table["layers"].iloc[place[place >= 0]], strict=True
        )
    ]
    return _contrast(Numbers(both.assign(layers=layers), values), "gap", {"gap": 1.0}, by)


def between_runs(
    numbers: Numbers, sides: Mapping[str, tuple[float, Mask]], by: Sequence[str] = ()
) -> Contrast | None:
    """A number of some runs less that of others; None where no group has all sides.

    Args:
        numbers: of the runs.
        sides: name → its sign, and which runs are on it.
        by: labels that runs have to share to be compared, such as ``but_strength``: all of the
            configuration but its strength.

    """
    side = np.full(len(numbers.table), "", dtype=object)
    for name, (_, mask) in sides.items():
        side[mask(numbers.table)] = name
    return _contrast(numbers, side, {name: sign for name, (sign, _) in sides.items()}, by)


def _contrast(
    numbers: Numbers, side: str | np.ndarray, signs: Mapping[str, float], by: Sequence[str]
) -> Contrast | None:
    table = numbers.table
    undefined = table["run_x"][~np.isfinite(numbers.values[:, 0])]
    return weigh(
        table.assign(group=label_groups(table, by), side=side),
        numbers.values,
        signs,
        left_out=dict.fromkeys(undefined, TOO_LITTLE),
    )


def weakest(table: pd.DataFrame) -> np.ndarray:
    """The runs of the smallest strength of configurations that are else the same."""
    return _at_end(table, "min")


def strongest(table: pd.DataFrame) -> np.ndarray:
    """The runs of the largest strength of configurations that are else the same."""
    return _at_end(table, "max")


def _at_end(table: pd.DataFrame, end: Literal["min", "max"]) -> np.ndarray:
    strengths = table.groupby("but_strength_x")["strength_x"]
    several = strengths.transform("nunique") > 1
    return ((table["strength_x"] == strengths.transform(end)) & several).to_numpy()


def where(label: str, *values: object) -> Callable[[pd.DataFrame], np.ndarray]:
    """The runs of which a label has one of some values: ``where("objective", "beta_vae")``."""

    def mask(table: pd.DataFrame) -> np.ndarray:
        return table[f"{label}_x"].isin(values).to_numpy()

    return mask
