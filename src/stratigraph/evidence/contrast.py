"""What a question contrasts: scores in cells, weighed; and what it is without each run.

A row is a score of one run (the area of its encoder) or of two (the similarity of one layer). Rows
stand in cells, cells in levels, and every level is a mean of what is in it, so that every
configuration, layer and group counts alike however many runs it has:

    θ = mean over groups of  Σ_side sign(side) · mean over levels … of mean over configurations
        of mean over rows.

A group lacking a side tells nothing. The weights of cells are thus the study's, and stay as they
are while runs are left out (`stratigraph.evidence.estimate`).

Runs of configurations with too few replicates to tell their spread do not enter, where others have
enough; all that do not enter are named, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import scipy

from stratigraph.evidence.estimate import Estimate, estimate_from

__all__ = ["NOT_ASKED", "Contrast", "estimate", "jackknife", "keep_replicated", "runs_of", "weigh"]

NOT_ASKED = "of a network that the question is not of, or with none to compare it with"
UNDEFINED = "undefined: none of its scores that the question is of is a number"
FEW = "too few replicates of its configuration to estimate their spread"
ALONE = "nothing to compare it with: of its group, what is on the other side did not enter"

Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Contrast:
    """A statistic of runs, any of which can be left out.

    Attributes:
        runs: one row a run that entered: run, config, stream (`Evidence.runs`).
        statistic: which of them are kept, bool (r,) → (1 + g,): of all probes, then without each
            group of them; g may be 0.
        table: the rows that it rests on, with their ``weight`` where it is a weighed sum.
        values: the scores of these rows (m, 1 + g).
        left_out: run → why it did not enter.
        null: the value that the claim is about.
        correlation: the statistic is z = artanh r of a correlation r.
        estimator: how it is estimated, if not by the jackknife.
        scores: what the columns of ``values`` are, if not all probes and groups of them left out.

    """

    runs: pd.DataFrame
    statistic: Statistic
    table: pd.DataFrame
    values: np.ndarray
    left_out: Mapping[str, str] = field(default_factory=dict)
    null: float = 0.0
    correlation: bool = False
    estimator: Callable[[Contrast], Estimate] | None = None
    scores: tuple[str, ...] = ()

    @property
    def layers(self) -> list[str]:
        """The layers that entered, in their order."""
        if "layers" in self.table:
            return list(dict.fromkeys(name for names in self.table["layers"] for name in names))
        return list(dict.fromkeys(self.table["layer_x"])) if "layer_x" in self.table else []

    def without_each(self) -> np.ndarray:
        """The statistic without each run, (r, 1 + g)."""
        keep = ~np.eye(len(self.runs), dtype=bool)
        return np.array([self.statistic(one) for one in keep])


def estimate(contrast: Contrast) -> Estimate:
    """The contrast's estimate, with its interval."""
    if contrast.estimator is not None:
        return contrast.estimator(contrast)
    return jackknife(contrast)


def jackknife(contrast: Contrast) -> Estimate:
    """Runs left out in turn."""
    whole = contrast.statistic(np.ones(len(contrast.runs), dtype=bool))
    return estimate_from(
        whole,
        contrast.without_each().reshape(len(contrast.runs), len(whole)),
        contrast.runs["config"].to_numpy(),
        contrast.runs["stream"].to_numpy(),
        null=contrast.null,
        correlation=contrast.correlation,
    )


def weigh(
    table: pd.DataFrame,
    values: np.ndarray,
    signs: Mapping[str, float],
    levels: Sequence[str] = (),
    *,
    replicates: int = 2,
    null: float = 0.0,
    correlation: bool = False,
    left_out: Mapping[str, str] | None = None,
) -> Contrast | None:
    """The contrast of rows in cells; None where no group has every side.

    Args:
        table: one row a score: ``run_x``, ``config_x``, ``stream_x`` and, of two runs, the same
            with ``_y``; ``group`` and ``side``; and the columns of ``levels``.
        values: the scores (m, 1 + g); rows with an undefined one do not enter.
        signs: side → its sign and weight in the sum.
        levels: columns, the outermost first, between group and configuration.
        replicates: the runs that a configuration needs, for its spread to be told: two, of pairs
            of runs of one configuration three.
        null: the value that the claim is about.
        correlation: the values are z = artanh r.
        left_out: run → why its rows are not here.

    """
    reasons = dict(left_out or {})
    table = table.reset_index(drop=True)
    table = _keep(table, table["side"].isin(list(signs)), NOT_ASKED, reasons)
    table = _keep(table, np.isfinite(values[table.index, 0]), UNDEFINED, reasons)
    before = None
    while before != len(table):  # a run that leaves may leave its configuration with too few
        before = len(table)
        kept = keep_replicated(table, replicates)
        table = _keep(table, table.index.isin(kept.index), FEW, reasons)
        # A group that lacks a side tells nothing.
        sides = table.groupby("group", sort=False)["side"].transform("nunique")
        table = _keep(table, sides == len(signs), ALONE, reasons)
    if table.empty:
        return None
    values = values[table.index.to_numpy()]
    table = table.reset_index(drop=True)
    runs = runs_of(table)
    cells, weights = _cells(table, signs, levels)
    place = pd.Index(runs["run"])
    x = place.get_indexer(table["run_x"])
    y = place.get_indexer(table["run_y"]) if "run_y" in table else x
    spread = scipy.sparse.csr_array(
        (np.ones(len(cells)), (cells, np.arange(len(cells)))), (len(weights), len(cells))
    )

    def statistic(keep: np.ndarray) -> np.ndarray:
        kept = keep[x] & keep[y]
        counts = spread @ kept.astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = (spread @ np.where(kept[:, None], values, 0.0)) / counts[:, None]
        return np.asarray(weights @ means)

    rows = table.assign(cell=cells, weight=weights[cells])
    return Contrast(runs, statistic, rows, values, reasons, null, correlation)


def _keep(table: pd.DataFrame, mask: Any, why: str, reasons: dict[str, str]) -> pd.DataFrame:
    """The rows of the mask; runs of which none is left get the reason, where they have none yet."""
    kept = table[np.asarray(mask)]
    rest = set(runs_of(kept)["run"])
    for run in runs_of(table)["run"]:
        if run not in rest:
            reasons.setdefault(str(run), why)
    return kept


def runs_of(table: pd.DataFrame) -> pd.DataFrame:
    """The runs of rows: run, config, stream, each once."""
    names = ["run", "config", "stream"]
    sides = [
        table[[f"{name}{suffix}" for name in names]].set_axis(names, axis=1)
        for suffix in ("_x", "_y")
        if f"run{suffix}" in table
    ]
    return pd.concat(sides).drop_duplicates("run").reset_index(drop=True)


def keep_replicated(table: pd.DataFrame, replicates: int = 2) -> pd.DataFrame:
    """The rows of runs whose configurations have enough replicates; all rows, where none has."""
    runs = runs_of(table)
    count = runs.groupby("config")["run"].transform("size")
    few = set(runs["run"][count < replicates])
    kept = ~table["run_x"].isin(few)
    if "run_y" in table:
        kept &= ~table["run_y"].isin(few)
    return table[kept] if kept.any() else table


def _cells(
    table: pd.DataFrame, signs: Mapping[str, float], levels: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """The cell of each row (m,), and the weight of each cell (c,)."""
    last = table["config_x"].astype(str)
    if "config_y" in table:
        other = table["config_y"].astype(str)
        swap = last > other
        last = last.where(~swap, other) + "\n" + other.where(~swap, last)
    keyed = table[["group", "side", *levels]].assign(cell=last)
    names = list(keyed.columns)
    cells = keyed.groupby(names, sort=False, dropna=False).ngroup().to_numpy()
    first = np.unique(cells, return_index=True)[1]
    unique = keyed.iloc[first].reset_index(drop=True)
    weights = unique["side"].map(signs).to_numpy(dtype=float) / unique["group"].nunique()
    for depth in range(2, len(names)):
        own = unique[names[: depth + 1]].drop_duplicates()
        size = own.groupby(names[:depth], sort=False, dropna=False).size().rename("children")
        children = unique[names[:depth]].merge(size.reset_index(), on=names[:depth], how="left")[
            "children"
        ]
        weights /= children.to_numpy()
    return cells, weights
