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

Of K representations there are K² pairs, so a selection is never held as a whole: any block of it
can be asked for (`Selection`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

__all__ = ["POSTERIOR", "SELECTIONS", "Selection", "claim_pairs", "comparable", "select_pairs"]

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


def _codes(column: pd.Series) -> np.ndarray:
    return np.asarray(pd.factorize(column)[0])


ROWS = 512  # of the pairs counted at a time


class Selection:
    """The pairs asked for: symmetric, the diagonal included.

    Args:
        labels: one row a representation, with columns run, step, layer and probes.
        names: of `SELECTIONS`, all valid.

    """

    def __init__(self, labels: pd.DataFrame, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.count = len(labels)
        self._codes = {name: _codes(labels[name]) for name in ("run", "step", "layer", "probes")}
        last = labels["step"] == labels.groupby("run")["step"].transform("max")
        self._last = last.to_numpy()
        self._claims = np.empty(0, dtype=np.int64)
        if "claims" in names and "all" not in names:
            rows, columns = claim_pairs(labels).T
            both = np.concatenate([rows * self.count + columns, columns * self.count + rows])
            self._claims = np.unique(both)

    def block(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Which pairs of some rows of the labels with others are asked for: bool (r, c)."""
        return self._is_asked(rows[:, None], columns[None, :])

    def of(self, pairs: np.ndarray) -> np.ndarray:
        """Which of some pairs (m, 2) are asked for: bool (m,)."""
        return self._is_asked(pairs[:, 0], pairs[:, 1])

    def unordered(self) -> int:
        """How many pairs are asked for, each once, and each representation with itself."""
        every = np.arange(self.count)
        asked = sum(
            int(self.block(every[start : start + ROWS], every).sum())
            for start in range(0, self.count, ROWS)
        )
        return (asked + self.count) // 2

    def _is_asked(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        def same(name: str) -> np.ndarray:
            return np.asarray(self._codes[name][x] == self._codes[name][y])

        if "all" in self.names:
            return same("probes")
        ways: dict[str, Callable[[], np.ndarray]] = {
            "within_run": lambda: same("run"),
            "same_step": lambda: same("step"),
            "same_layer": lambda: same("layer"),
            "trajectory": lambda: same("run") & same("layer"),
            "to_final": lambda: same("run") & same("layer") & (self._last[x] | self._last[y]),
            "aligned": lambda: same("layer") & same("step"),
            "final": lambda: self._last[x] & self._last[y],
            "claims": lambda: np.isin(x * self.count + y, self._claims),
        }
        chosen = np.asarray(x == y)
        for name in self.names:
            chosen = chosen | ways[name]()
        return chosen & same("probes")


def comparable(labels: pd.DataFrame) -> np.ndarray:
    """Pairs of one set of probes: bool (k, k)."""
    return select_pairs(labels, ("all",))


def select_pairs(labels: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """The pairs asked for, as a whole: bool (k, k); see `Selection`."""
    every = np.arange(len(labels))
    return Selection(labels, names).block(every, every)
