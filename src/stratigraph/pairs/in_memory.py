"""All pairs in memory, by a measure that is a cosine of one vector for each representation.

1. Every vector is written once, as a row of one float32 array (K, length).
2. A block of pairs is the product of two slices of it, summed over tiles of columns in float64.
3. Divided by the vectors' lengths, products are scores.

Layers (or the tiles of one, where layers are few) and products are shared out over threads, each
with a BLAS of one thread. What a task computes depends neither on which thread takes it nor on how
many there are, so neither do the bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from stratigraph.engine import Engine
from stratigraph.pairs.blocks import (
    Block,
    Notes,
    Progress,
    Source,
    Wanted,
    blocks,
    device_of,
    is_square,
    read_matrix,
    write_source,
)
from stratigraph.pairs.comparison import Comparison
from stratigraph.pairs.products import PART, as_cosines, in_float64, multiply
from stratigraph.similarity.measure import Measure
from stratigraph.similarity.threads import Each, spread_over_threads
from stratigraph.similarity.vectors import Vector

__all__ = ["InMemory", "write_sides"]

BLOCK = 256  # representations a side of a block of pairs


@dataclass(frozen=True)
class InMemory:
    """A vector for each representation, all of them in one array.

    Attributes:
        threads: that share the work (`threads`); no bit depends on it.

    """

    name: ClassVar[str] = "vectors"  # what a plan calls it
    threads: int | None = None

    def compare(
        self,
        sides: Sequence[Sequence[Source]],
        measure: Measure,
        wanted: Wanted,
        engine: Engine | None,
        progress: Progress | None,
    ) -> Comparison:
        """See `Strategy`; an engine is not needed."""
        shape = (len(sides[0]), len(sides[-1]))
        found = blocks(wanted, shape, BLOCK)
        length = measure.entries(len(read_matrix(sides[0][0], measure)))
        cuts = [slice(start, min(start + PART, length)) for start in range(0, length, PART)]
        count = sum(map(len, sides)) + len(found) * len(cuts)
        ticks = iter(range(1, count + 1))

        def tick() -> None:
            done = next(ticks)
            if progress:
                progress(done, count)

        totals: dict[str, np.ndarray] = {}
        with spread_over_threads(self.threads) as (each, workers):
            rows, vectors = write_sides(sides, length, measure, each, workers, tick)
            tasks = [(block, cut) for block in found for cut in cuts]
            double = in_float64(sum(block.pairs for block in found), length)
            product = partial(_product, rows, double, device_of(sides[0][0]))
            for (block, _), part in zip(tasks, each(product, tasks), strict=True):
                totals[block.name] = totals[block.name] + part if block.name in totals else part
                tick()

        norms = [np.sqrt([vector.squared for vector in side]) for side in vectors]
        scores = [
            as_cosines(
                totals[block.name],
                (norms[0][block.rows], norms[-1][block.columns]),
                is_square(sides, block),
                wanted(block.rows, block.columns),
                measure.bounds,
            )
            for block in found
        ]
        notes = [Notes.of_each(side) for side in vectors]
        mirrored = len(sides) == 1 and measure.symmetric
        return Comparison(shape, found, scores.__getitem__, mirrored, notes[0], notes[-1])


def write_sides(
    sides: Sequence[Sequence[Source]],
    length: int,
    measure: Measure,
    each: Each,
    workers: int,
    tick: Callable[[], None] = lambda: None,
) -> tuple[list[np.ndarray], list[list[Vector]]]:
    """Every side's vectors as rows of float32 (k, length), and what is known of each."""
    rows: list[np.ndarray] = []
    vectors: list[list[Vector]] = []
    for side in sides:
        rows.append(np.zeros((len(side), length), np.float32))
        vectors.append([])
        for vector in _write_rows(side, rows[-1], measure, each, workers):
            vectors[-1].append(vector)
            tick()
    return rows, vectors


def _write_rows(
    side: Sequence[Source], rows: np.ndarray, measure: Measure, each: Each, workers: int
) -> Iterator[Vector]:
    """Write the vector of each source: many at once, or the tiles of one after another."""
    write = partial(write_source, measure)
    if any(device_of(source) != "cpu" for source in side):
        yield from map(write, side, rows)  # a GPU is one, whoever asks it
    elif len(side) >= workers or measure.write is None:
        yield from each(write, side, rows)
    else:
        yield from map(partial(write, each=each), side, rows)


def _product(
    rows: list[np.ndarray], double: bool, device: str, task: tuple[Block, slice]
) -> np.ndarray:
    block, cut = task
    right = None if is_square(rows, block) else rows[-1][block.columns, cut]
    return multiply(rows[0][block.rows, cut], right, double, device)
