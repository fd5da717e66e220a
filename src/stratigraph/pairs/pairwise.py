"""All pairs: the only loop over pairs in this package.

K representations (or K against K′) are cut into fixed blocks, so that the bits of a result depend
neither on the number of workers nor on the order in which blocks finish. Three ways, each a value
that does it:

`InMemory`     the measure is a cosine of one vector for each representation; they are one array,
               and a block of pairs is one matrix product
`OutOfCore`    the same vectors in files of a scratch folder, made and multiplied by tasks
`PairByPair`   each block prepares its representations once and compares the pairs that are wanted

For a symmetric measure only the upper triangle is computed, then mirrored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from stratigraph.engine import Engine
from stratigraph.errors import InputError
from stratigraph.pairs.blocks import Progress, Source, Wanted, fold
from stratigraph.pairs.comparison import Comparison
from stratigraph.similarity.measure import Measure

__all__ = ["Progress", "Source", "Strategy", "all_pairs"]


class Strategy(Protocol):
    """A way to compare all pairs."""

    @property
    def name(self) -> str:
        """What a plan calls it."""

    def compare(
        self,
        sides: Sequence[Sequence[Source]],
        measure: Measure,
        wanted: Wanted,
        engine: Engine | None,
        progress: Progress | None,
    ) -> Comparison:
        """Scores of all pairs, NaN where they are not wanted.

        Args:
            sides: one list of sources, or two.
            measure: what to compute.
            wanted: the pairs wanted; of one set and a symmetric measure, each pair once.
            engine: where tasks run; None is this process, with as many threads as torch may use.
            progress: called with (tasks done, tasks in all).

        """


def all_pairs(
    xs: Sequence[Source],
    ys: Sequence[Source] | None,
    measure: Measure,
    strategy: Strategy,
    *,
    wanted: np.ndarray | Wanted | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compare every representation of ``xs`` with every one of ``ys`` (of ``xs`` where None).

    Args:
        xs: finite matrices of the same probes, or paths of stored coordinates.
        ys: the same for the other axis.
        measure: what to compute.
        strategy: how.
        wanted: boolean ``(k, k′)``, or a function that gives any block of it; other pairs are NaN.
            Within one set, a pair of a symmetric measure is wanted if either order is.
        engine: where tasks run; None is this process, with as many threads as torch may use.
        progress: called with (tasks done, tasks in all).

    """
    sides = [list(xs)] if ys is None else [list(xs), list(ys)]
    mask = _mask(wanted, len(sides[0]), len(sides[-1]))
    if ys is None and measure.symmetric:
        mask = fold(mask)
    return strategy.compare(sides, measure, mask, engine, progress)


def _mask(wanted: np.ndarray | Wanted | None, rows: int, columns: int) -> Wanted:
    if callable(wanted):
        return wanted
    if wanted is None:
        return lambda r, c: np.ones((r.stop - r.start, c.stop - c.start), bool)
    mask = np.asarray(wanted)
    if mask.shape != (rows, columns) or mask.dtype != bool:
        raise InputError(
            f"wanted: expected a boolean matrix of shape {(rows, columns)}, "
            f"got {mask.dtype} of shape {mask.shape}."
        )
    return lambda r, c: mask[r, c]
