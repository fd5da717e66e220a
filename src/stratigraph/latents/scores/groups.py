"""Draws of rows that share a factor's value: what a generator with that factor held would give.

A draw first takes a factor, then a row, whose value is held, each with equal chances; so a value is
held as often as it occurs. Then come rows of that group. Rows with no companion are never taken.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stratigraph.latents.scores.table import Table, read_table

__all__ = ["CHUNK", "Groups", "grouped"]

CHUNK = 1000  # draws whose rows are in memory at a time


class Groups:
    """The rows of a table by the value of each factor."""

    def __init__(self, table: Table) -> None:
        self.order = np.argsort(table.values, axis=0, kind="stable").T  # (v, n)
        counts = [np.bincount(column, minlength=size) for column, size in
                  zip(table.values.T, table.sizes, strict=True)]  # fmt: skip
        starts = [np.cumsum(count) - count for count in counts]
        columns, shape = table.values.T, self.order.shape
        self.count = np.array([c[v] for c, v in zip(counts, columns, strict=True)]).reshape(shape)
        self.start = np.array([s[v] for s, v in zip(starts, columns, strict=True)]).reshape(shape)
        self.held = [np.flatnonzero(count > 1) for count in self.count]

    @property
    def usable(self) -> np.ndarray:
        """The factors of which two rows share a value."""
        return np.flatnonzero([len(rows) > 0 for rows in self.held])

    def draw(self, rng: np.random.Generator, draws: int) -> tuple[np.ndarray, np.ndarray]:
        """Factors, and a row each whose value is held: two times (draws,)."""
        factor = rng.choice(self.usable, draws)
        share, row = rng.random(draws), np.empty(draws, dtype=np.int64)
        for k in self.usable:
            chosen = factor == k
            rows = self.held[k]
            row[chosen] = rows[(share[chosen] * len(rows)).astype(np.int64)]
        return factor, row

    def members(
        self, rng: np.random.Generator, factor: np.ndarray, row: np.ndarray, size: int
    ) -> np.ndarray:
        """Rows of each draw's group, independently: (draws, size)."""
        count, start = self.count[factor, row], self.start[factor, row]
        place = (rng.random((len(row), size)) * count[:, None]).astype(np.int64)
        found: np.ndarray = self.order[factor[:, None], start[:, None] + place]
        return found

    def pairs(
        self, rng: np.random.Generator, factor: np.ndarray, row: np.ndarray, size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of two different rows of each draw's group: two times (draws, size)."""
        count, start = self.count[factor, row][:, None], self.start[factor, row][:, None]
        first = (rng.random((len(row), size)) * count).astype(np.int64)
        further = 1 + (rng.random((len(row), size)) * (count - 1)).astype(np.int64)
        second = (first + further) % count
        which = factor[:, None]
        return self.order[which, start + first], self.order[which, start + second]


def grouped(codes: np.ndarray, factors: np.ndarray) -> tuple[Table, Groups]:
    """Codes and factors, checked, and the groups to draw two factors or more from.

    The table has a reason where there are none.

    Raises:
        InputError: codes and factors do not fit each other.

    """
    table = read_table(codes, factors, varying=2)
    groups = Groups(table)
    if not table.reason and len(groups.usable) < 2:
        table = replace(table, reason="rows share a value of fewer than 2 factors")
    return table, groups
