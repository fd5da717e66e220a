"""Which pairs of representations a measure is asked for.

All of them, or a union of:

==================  ===========================================================================
``within_run``      two representations of one run, any steps and layers
``same_step``       two runs at one step, any layers (and one run with itself at that step)
``same_layer``      one layer, any runs and steps
``trajectory``      one layer of one run, over its own training
``to_final``        one layer of one run, each step against the last
``aligned``         one layer at one step, across runs
``final``           the last step of each run, any runs and layers
``claims``          what the findings read: ``to_final``; one layer at the last step, across
                    runs; and input, mean and sample of one run at one step
==================  ===========================================================================

Two representations can only be compared when they are of the same probes, so pairs of different
data sets are never asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

__all__ = ["POSTERIOR", "SELECTIONS", "claim_pairs", "comparable", "select_pairs"]

POSTERIOR = ("input", "z_mean", "z_sample")

SELECTIONS = (
    "all",
    "within_run",
    "same_step",
    "same_layer",
    "trajectory",
    "to_final",
    "aligned",
    "final",
    "claims",
)


def claim_pairs(labels: pd.DataFrame) -> np.ndarray:
    """The pairs that findings read, as rows (m, 2) of the labels, each once; see ``claims``."""
    table = labels[["run", "step", "layer", "probes"]].assign(row=np.arange(len(labels)))
    last = table[table["step"] == table.groupby("run")["step"].transform("max")]
    posterior = table[table["layer"].isin(POSTERIOR)]
    found = [
        one.merge(other, on=list(keys))[["row_x", "row_y"]].to_numpy()
        for one, other, keys in (
            (table, last, ("run", "layer")),
            (last, last, ("layer", "probes")),
            (posterior, posterior, ("run", "step")),
        )
    ]
    pairs = np.sort(np.concatenate(found), axis=1)
    return np.unique(pairs, axis=0)


def _mask(labels: pd.DataFrame) -> np.ndarray:
    rows, columns = claim_pairs(labels).T
    mask = np.zeros((len(labels), len(labels)), dtype=bool)
    mask[rows, columns] = mask[columns, rows] = True
    return mask


def _equal(column: pd.Series) -> np.ndarray:
    codes, _ = pd.factorize(column)
    return codes[:, None] == codes[None, :]


def comparable(labels: pd.DataFrame) -> np.ndarray:
    """Pairs of one set of probes: bool (k, k)."""
    return _equal(labels["probes"])


def select_pairs(labels: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """The pairs asked for: bool (k, k), symmetric, the diagonal included.

    Args:
        labels: one row a representation, with columns run, step, layer and probes.
        names: of `SELECTIONS`, all valid.

    """
    if "all" in names:
        return comparable(labels)
    run, step, layer = (_equal(labels[name]) for name in ("run", "step", "layer"))
    last = (labels["step"] == labels.groupby("run")["step"].transform("max")).to_numpy()
    chosen = np.eye(len(labels), dtype=bool)
    end, ends = last[:, None] | last[None, :], last[:, None] & last[None, :]
    pairs: dict[str, Callable[[], np.ndarray]] = {
        "within_run": lambda: run,
        "same_step": lambda: step,
        "same_layer": lambda: layer,
        "trajectory": lambda: run & layer,
        "to_final": lambda: run & layer & end,
        "aligned": lambda: layer & step,
        "final": lambda: ends,
        "claims": lambda: _mask(labels),
    }
    for name in names:
        chosen |= pairs[name]()
    return chosen & comparable(labels)
