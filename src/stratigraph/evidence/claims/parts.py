"""The pieces that claims are put together from: masks of layers and pairs, and ways to contrast.

A claim says which rows speak for it and which against (`sides`), and what of them is averaged
apart (`by`): every group of these, then every layer, then every configuration counts alike.

- `settling`: by how much one part of a network settles before another, a row a run and part;
- `pairs_of_runs`: the similarity of some pairs of runs less that of others, a row a pair and layer;
- `across`, `baseline`: pairs of configurations that differ in one thing, and of none.

Numbers of single runs are in `numbers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stratigraph.evidence.contrast import Contrast, weigh
from stratigraph.evidence.evidence import Evidence, Pairs
from stratigraph.evidence.settling import Kind, part_areas

__all__ = [
    "LATENTS",
    "TOO_LITTLE",
    "Mask",
    "across",
    "apart",
    "asked_for",
    "baseline",
    "configuration",
    "decoder",
    "encoder",
    "label_groups",
    "of_vaes",
    "one_run",
    "pairs_of_runs",
    "settling",
    "side_by_side",
]

# Not the sample: runs share the noise it is drawn with, so collapsed latents are alike in all.
# Networks of codes have, in place of mean and variance, the vectors before and after quantisation.
LATENTS = ("z_mean", "z_log_var", "z_encoded", "z_quantised")
TOO_LITTLE = "a part moved too little, or is undefined, so that no share of its way can be told"

Mask = Callable[[pd.DataFrame], np.ndarray]


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
    contrast: Callable[[Pairs], Contrast | None],
    keep: Callable[[Pairs], Pairs] = of_vaes,
) -> dict[str, Contrast]:
    """A contrast by CKA and by Procrustes similarity, of the pairs that are kept.

    A measure of which none of those pairs was computed is left out.
    """
    found = {}
    for measure in evidence.side_by_side:
        if measure not in kind:
            continue
        pairs = keep(kind[measure])
        one = contrast(pairs) if asked_for(pairs) else None
        if one is not None:
            found[measure] = one
    return found


def asked_for(pairs: Pairs) -> bool:
    """Whether any pair of two different representations has a score."""
    table = pairs.table
    apart = np.zeros(len(table), dtype=bool)
    for name in ("run", "step", "layer"):
        apart |= (table[f"{name}_x"] != table[f"{name}_y"]).to_numpy()
    return bool(np.isfinite(pairs.values[apart, 0]).any())


def settling(
    kind: Kind, earlier: Mask, later: Mask, by: Sequence[str] = ()
) -> Callable[[Pairs], Contrast | None]:
    """By how much one part of each network settles before another (`Evidence.to_final`).

    Args:
        kind: of similarity, or of progress above the untrained network.
        earlier: which layers are in the part that is claimed to settle first.
        later: which are in the other.
        by: labels, such as ``data``, within whose values configurations are averaged first.

    """

    def contrast(pairs: Pairs) -> Contrast | None:
        rows, (one, other), layers = part_areas(pairs, [earlier, later], kind)
        table = rows.assign(group=label_groups(rows, by), side="gap", layers=layers)
        values = one - other
        undefined = rows["run_x"][~np.isfinite(values[:, 0])]
        return weigh(
            one_run(table), values, {"gap": 1.0}, left_out=dict.fromkeys(undefined, TOO_LITTLE)
        )

    return contrast


def label_groups(rows: pd.DataFrame, by: Sequence[str]) -> pd.Series:
    """One label of several, for each row."""
    label = pd.Series("", index=rows.index, dtype=object)
    for name in by:
        label = label + rows[f"{name}_x"].astype(str).astype(object) + "\n"
    return label


def one_run(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of one run each: without what is known of the other side of a pair."""
    return table.drop(columns=[name for name in table if str(name).endswith("_y")])


def same(pairs: Pairs, *names: str) -> np.ndarray:
    """The pairs whose two sides agree in some labels."""
    table = pairs.table
    mask = np.ones(len(table), dtype=bool)
    for name in names:
        one, other = table[f"{name}_x"], table[f"{name}_y"]
        mask &= (one == other).to_numpy() | (one.isna() & other.isna()).to_numpy()
    return mask


def apart(pairs: Pairs) -> np.ndarray:
    """Pairs of runs that share no random streams, so that shared initial weights help no side."""
    return ~same(pairs, "stream") & ~same(pairs, "run")


def baseline(pairs: Pairs) -> np.ndarray:
    """Two replicates of one configuration."""
    return same(pairs, "config") & apart(pairs)


def across(pairs: Pairs, what: str) -> np.ndarray:
    """Two configurations that differ in strength alone, in objective, or in data."""
    return same(pairs, f"but_{what}") & ~same(pairs, what) & apart(pairs)


def pairs_of_runs(
    sides: Mapping[str, tuple[float, Callable[[Pairs], np.ndarray]]],
    by: Sequence[str] = (),
    null: float = 0.0,
) -> Callable[[Pairs], Contrast | None]:
    """Similarities of some pairs of runs less those of others, layer by layer (`Evidence.final`).

    Args:
        sides: name → its sign, and which pairs are on it.
        by: labels that both runs of a pair share, such as ``but_objective``, within whose values
            all sides are compared; pairs that do not share them do not enter.
        null: the value that the claim is about.

    """

    def contrast(pairs: Pairs) -> Contrast | None:
        side = np.full(len(pairs), "", dtype=object)
        for name, (_, mask) in sides.items():
            side[mask(pairs)] = name
        side[~same(pairs, *by)] = ""
        table = pairs.table.assign(
            group=label_groups(pairs.table, by), side=side, layer=pairs.table["layer_x"]
        )
        signs = {name: sign for name, (sign, _) in sides.items()}
        # Without one of two replicates there is no pair of them left.
        return weigh(table, pairs.values, signs, ["layer"], replicates=3, null=null)

    return contrast


def configuration(first: pd.Series) -> dict[str, Any]:
    """What details say of a configuration, from a row of one of its pairs."""
    return {
        "data": first["data_x"],
        "architecture": first["architecture_x"],
        "objective": first["objective_x"],
        "strength": float(first["strength_x"]),
    }
