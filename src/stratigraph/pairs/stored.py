"""Stored representations, all with all: the files that extraction leaves, out of core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stratigraph.engine import Engine, LocalEngine
from stratigraph.errors import InputError
from stratigraph.pairs.blocks import Wanted, cuts
from stratigraph.pairs.certified import CERTIFIED_PLAN, check_tolerance
from stratigraph.pairs.comparison import Comparison
from stratigraph.pairs.coordinates import read_coordinates
from stratigraph.pairs.pair_by_pair import PairByPair
from stratigraph.pairs.pairwise import Progress, Strategy, all_pairs
from stratigraph.pairs.planner import MEMORY, check_room, choose
from stratigraph.similarity.catalog import find_measure
from stratigraph.similarity.inputs import check_probes
from stratigraph.similarity.measure import Measure

__all__ = ["StoredComparison", "compare_stored"]


@dataclass(frozen=True)
class StoredComparison:
    """Scores of stored representations.

    Attributes:
        scores: all of them, block by block; with a scratch folder they are read from it, and are
            never in memory as a whole unless `values` is asked for.
        plan: how the scores were computed, and why.

    """

    scores: Comparison
    plan: str

    @property
    def values(self) -> np.ndarray:
        """Float64 ``(k, k)``; NaN where a pair was not wanted or has no score."""
        return self.scores.all()

    @property
    def reasons(self) -> tuple[str | None, ...]:
        """For each representation, why it has no score, or None."""
        return self.scores.notes_x.reasons


def compare_stored(
    paths: Sequence[Path | str],
    measure: str | Measure = "debiased_cka",
    *,
    wanted: np.ndarray | Wanted | None = None,
    tolerance: float | None = None,
    engine: Engine | None = None,
    memory: int = MEMORY,
    scratch: Path | None = None,
    disk: int | None = None,
    progress: Progress | None = None,
) -> StoredComparison:
    """Compare stored reductions all with all: K files of `reduce_units`, of the same probes.

    The files are memory-mapped when a block needs them; tasks carry paths. The blocks are fixed and
    each runs on one thread, so the bits depend neither on how many workers the engine has nor on
    how many threads share the blocks of a comparison in memory.

    Args:
        paths: one ``.npy`` for each representation.
        measure: a name of the catalogue, or a `Measure`; one that a rotation of the units changes
            cannot be computed from reduced coordinates.
        wanted: boolean ``(k, k)``, the pairs to compute (either order, for a symmetric measure), or
            a function of (rows, columns), both slices, that gives a block of it.
        tolerance: settle for intervals no wider than this, which hold the exact scores for certain
            (`certified`); Procrustes only.
        engine: where blocks run; None is this process. Vectors that all fit in memory are compared
            here too, unless the engine has several workers, by as many threads as torch may use.
        memory: bytes of prepared vectors to hold in this process; more goes to a scratch folder.
        scratch: a folder that outlives the call, for these files, measure and pairs alone: blocks
            that an interrupted call finished are not computed again, and the result is read from
            it. The caller removes it.
        disk: bytes that prepared vectors may take in it (None: what is free); with less than they
            all need, they are made by panels, some of them more than once.
        progress: called with (tasks done, tasks in all).

    Raises:
        StorageError: there is no room for the prepared vectors.
        InputError: the measure needs the original units or has no certified form, or the numbers of
            probes differ.
        DataError: a file is missing or is not a reduction.

    """
    chosen = find_measure(measure)
    if not chosen.rotation:
        raise InputError(
            f"measure: {chosen.name} depends on the units themselves, which stored coordinates "
            "do not keep; compare the activations with similarity_matrix."
        )
    files = [Path(path) for path in paths]
    if not files:
        raise InputError("paths: expected at least one stored representation, got none.")
    shapes = [tuple(read_coordinates(path).shape) for path in files]
    n = shapes[0][0]
    for path, shape in zip(files, shapes, strict=True):
        if shape[0] != n:
            raise InputError(
                f"{path}: expected {n} probes, as in {files[0]}, got {shape[0]}; "
                "only representations of the same probes can be compared."
            )
    check_probes(n, chosen.least, chosen.name, str(files[0]))
    if tolerance is not None:
        check_tolerance(chosen.name, tolerance)
    pairs = _count(wanted, len(files))
    strategy: Strategy
    if tolerance is None:
        plan = choose(
            chosen,
            n,
            [shape[1] for shape in shapes],
            None,
            pairs,
            memory,
            folder=scratch,
            disk=disk,
            workers=1 if engine is None else engine.workers,
        )
        strategy, words = plan.strategy, str(plan)
    else:
        strategy, words = PairByPair("pairs", scratch, tolerance), CERTIFIED_PLAN
    check_room(0 if scratch else len(files), len(files), n, strategy)
    engine = engine or LocalEngine(workers=1)
    found = all_pairs(
        files, None, chosen, strategy, wanted=wanted, engine=engine, progress=progress
    )
    return StoredComparison(found, words)


def _count(wanted: np.ndarray | Wanted | None, count: int) -> int:
    if wanted is None:
        return count * (count + 1) // 2
    if not callable(wanted):
        return int(np.sum(wanted))
    return sum(int(wanted(cut, slice(0, count)).sum()) for cut in cuts(count, 1024))
