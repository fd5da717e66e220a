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

__all__ = ["POSTERIOR", "SELECTIONS", "comparable", "select_pairs"]

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
    posterior = labels["layer"].isin(POSTERIOR).to_numpy()
    pairs: dict[str, Callable[[], np.ndarray]] = {
        "within_run": lambda: run,
        "same_step": lambda: step,
        "same_layer": lambda: layer,
        "trajectory": lambda: run & layer,
        "to_final": lambda: run & layer & end,
        "aligned": lambda: layer & step,
        "final": lambda: ends,
        "claims": lambda: (
            (run & layer & end)
            | (layer & ends)
            | (run & step & posterior[:, None] & posterior[None, :])
        ),
    }
    for name in names:
        chosen |= pairs[name]()
    return chosen & comparable(labels)
