"""What came of comparing all pairs: blocks of scores, from which any rows can be had.

Blocks lie in memory, or in files of a scratch folder. K × K scores are then never in memory as a
whole: 27,000 representations have 5.8 GB of them, and a band of rows at a time is enough to write
them down. A block above the diagonal of one set serves for the pairs below it too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stratigraph.similarity.blocks import Block, Notes

__all__ = ["Comparison", "middle"]


@dataclass(frozen=True)
class Comparison:
    """Scores of all pairs, in float64, NaN where a pair was not wanted or has none.

    Attributes:
        shape: (k, k′).
        blocks: which pairs were compared together.
        load: a block's number → its scores (l, r, c): l = 1; with a tolerance l = 4, the lower and
            the upper ends and the ranks kept of x and of y.
        mirror: the layers as they stand for the other order of a pair, or None where no block
            serves for it.
        notes_x, notes_y: for each representation why its scores are NaN or weak.

    """

    shape: tuple[int, int]
    blocks: Sequence[Block]
    load: Callable[[int], np.ndarray]
    mirror: tuple[int, ...] | None
    notes_x: Notes
    notes_y: Notes
    layers: int = 1

    def rows(self, chosen: np.ndarray) -> np.ndarray:
        """All scores of some representations: (l, len(chosen), k′)."""
        out = np.full((self.layers, len(chosen), self.shape[1]), math.nan)
        place = np.full(self.shape[0], -1)
        place[chosen] = np.arange(len(chosen))
        for number, block in enumerate(self.blocks):
            ways = [(block.rows, block.columns, False)]
            if self.mirror is not None:
                ways.append((block.columns, block.rows, True))
            scores = None
            for rows, columns, turned in ways:
                here = place[rows]
                if not (here >= 0).any():
                    continue
                scores = self.load(number) if scores is None else scores
                found = scores
                if turned and self.mirror is not None:
                    found = scores[list(self.mirror)].transpose(0, 2, 1)
                inside = here >= 0
                target = out[:, here[inside], columns]
                known = found[:, inside]
                out[:, here[inside], columns] = np.where(np.isnan(known), target, known)
        return out

    @cached_property
    def whole(self) -> np.ndarray:
        """Every row: (l, k, k′)."""
        return self.rows(np.arange(self.shape[0]))

    @property
    def values(self) -> np.ndarray:
        """The scores (k, k′); with a tolerance, the middle of each interval."""
        return middle(self.whole)


def middle(scores: np.ndarray) -> np.ndarray:
    """Scores (r, c) of layers (l, r, c)."""
    return scores[0] if len(scores) == 1 else np.asarray(scores[:2].mean(0))
