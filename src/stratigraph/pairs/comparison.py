"""What came of comparing all pairs: blocks of scores, from which any rows can be read.

Blocks lie in memory, or in files of a scratch folder. K × K scores are then never in memory as a
whole: 27,000 representations have 5.8 GB of them, and a band of rows at a time is enough to write
them down. A block above the diagonal of one set serves for the pairs below it too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from stratigraph.pairs.blocks import Block, Notes

__all__ = ["LAYERS", "Comparison", "Part"]

Part: TypeAlias = Literal["values", "lower", "upper", "rank_x", "rank_y"]

LAYERS: tuple[Part, ...] = ("lower", "upper", "rank_x", "rank_y")
TURNED: dict[Part, Part] = {"rank_x": "rank_y", "rank_y": "rank_x"}


@dataclass(frozen=True)
class Comparison:
    """Scores of all pairs, in float64, NaN where a pair was not wanted or has none.

    Attributes:
        shape: (k, k′).
        blocks: which pairs were compared together.
        load: a block's number → its scores (1, r, c); or, within a tolerance, (4, r, c): the ends
            of the intervals, lower and upper, and the ranks that were kept of x and of y.
        mirrored: a block serves for the pairs below the diagonal too.
        notes_x, notes_y: for each representation why its scores are NaN or weak.

    """

    shape: tuple[int, int]
    blocks: Sequence[Block]
    load: Callable[[int], np.ndarray]
    mirrored: bool
    notes_x: Notes
    notes_y: Notes

    def rows(self, chosen: np.ndarray, part: Part = "values") -> np.ndarray:
        """Some rows of the scores, (len(chosen), k′).

        Args:
            chosen: places of x, each once.
            part: the scores (within a tolerance the middles of their intervals), or what gave them.

        """
        out = np.full((len(chosen), self.shape[1]), math.nan)
        place = np.full(self.shape[0], -1)
        place[chosen] = np.arange(len(chosen))
        for number, block in enumerate(self.blocks):
            here = place[block.rows] >= 0
            there = place[block.columns] >= 0 if self.mirrored else np.zeros(0, bool)
            if not (here.any() or there.any()):
                continue
            scores = self.load(number)
            if here.any():
                _put(out, place[block.rows][here], block.columns, _part(scores, part)[here])
            if there.any():
                turned = _part(scores, TURNED.get(part, part)).T
                _put(out, place[block.columns][there], block.rows, turned[there])
        return out

    def all(self, part: Part = "values") -> np.ndarray:
        """Every row, (k, k′)."""
        return self.rows(np.arange(self.shape[0]), part)


def _part(scores: np.ndarray, part: Part) -> np.ndarray:
    if len(scores) == 1:
        return np.asarray(scores[0])
    return np.asarray(scores[:2].mean(0) if part == "values" else scores[LAYERS.index(part)])


def _put(out: np.ndarray, rows: np.ndarray, columns: slice, scores: np.ndarray) -> None:
    """Write what is known; a block on the diagonal comes twice, each time with one half of it."""
    out[rows, columns] = np.where(np.isnan(scores), out[rows, columns], scores)
