"""The labelled result: every representation of one set against every one of another.

``similarity_matrix`` takes mappings of arrays, ``compare_stored`` the files that extraction leaves;
both go through the planner and the one pair loop.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from stratigraph.engine import Engine, LocalEngine
from stratigraph.errors import InputError
from stratigraph.memory import physical_memory
from stratigraph.pairs.blocks import Wanted, cuts
from stratigraph.pairs.certified import (
    certified_matrix,
    certified_plan,
    check_tolerance,
    told,
)
from stratigraph.pairs.comparison import Comparison
from stratigraph.pairs.pairwise import PAIR_BLOCK, Progress, all_pairs
from stratigraph.pairs.planner import Plan, choose
from stratigraph.similarity.catalog import find_measure
from stratigraph.similarity.from_rows import cka_from_rows
from stratigraph.similarity.inputs import (
    IN_PARTS,
    as_matrices,
    check_probes,
    is_large,
    join_sides,
)
from stratigraph.similarity.measure import Measure, tell
from stratigraph.similarity.reduction import read_coordinates
from stratigraph.similarity.sizes import in_bytes, in_words
from stratigraph.similarity.streaming import shuffled_batches, stream_cka
from stratigraph.similarity.unfit import fit_entries, numbers_as_units, with_unfit

if TYPE_CHECKING:
    import xarray

__all__ = ["StoredComparison", "compare_stored", "explain", "similarity_matrix"]

MEMORY = 2 << 30


def similarity_matrix(
    a: Mapping[str, Any],
    b: Mapping[str, Any] | None = None,
    measure: str | Measure = "debiased_cka",
    *,
    tolerance: float | None = None,
    precision: float | None = None,
    memory: int | str = MEMORY,
    progress: Progress | None = None,
) -> xarray.DataArray:
    """Compare every representation of ``a`` with every one of ``b`` (of ``a`` where None).

    Args:
        a: name → activations ``(n, p…)`` of the same probes; axes beyond two are flattened. Rows
            that have labels (the index of a frame, the first coordinate of an xarray array, the ids
            of a file) are joined on them.
        b: the same for the other axis.
        measure: a name of the catalogue, or a `Measure`.
        tolerance: settle for scores within intervals no wider than this, which hold the exact ones
            for certain (`certified`); Procrustes and linear CKA only.
        precision: read probes in random batches until every 95 % interval is within ± this
            (`streaming`); debiased CKA only.
        memory: bytes of prepared vectors to hold, or words such as ``"2 GB"``; more goes to a
            scratch folder. Representations on a disk (`load_representations`) that would take more
            are read in parts, for CKA.
        progress: called with (tasks done, tasks in all).

    Returns:
        dims ``("x", "y")``, coordinates the names, float64; attributes ``measure``, ``plan`` (how
        it was computed, and why), ``reasons`` (JSON: name → why its scores are NaN) and ``notes``
        (JSON: name → what to keep in mind, such as a biased score with more units than probes).
        With a tolerance or a precision, the coordinates ``lower`` and ``upper`` (x, y) beside it.

    Raises:
        InputError: an entry cannot be compared; the message names it.

    """
    chosen, memory = find_measure(measure), in_bytes(memory)
    _check_inputs(a, b)
    if tolerance is not None and precision is not None:
        raise InputError("tolerance and precision: expected one of them, got both.")
    given = {"a": a} if b is None or b is a else {"a": a, "b": b}
    joined = join_sides({argument: numbers_as_units(side) for argument, side in given.items()})
    every = [value for side in joined for value in side.values()]
    if tolerance is None and precision is None and is_large(every, memory):
        return _in_parts(joined, chosen, memory)
    fit = {name: fit_entries(side, name) for name, side in zip(given, joined, strict=True)}
    sides, n = as_matrices(
        {name: some or side for (name, (some, _)), side in zip(fit.items(), joined, strict=True)},
        chosen.name,
        chosen.least,
    )
    left, right = sides[0], sides[1] if len(sides) > 1 else None
    found = _compared(left, right, chosen, n, tolerance, precision, memory, progress)
    for _, unfit in fit.values():
        for name, why in unfit.items():
            tell(chosen.name, repr(name), why, None, level=2)
        found = with_unfit(found, a, a if b is None else b, unfit)
    return found


def _compared(
    left: Mapping[str, Tensor],
    right: Mapping[str, Tensor] | None,
    chosen: Measure,
    n: int,
    tolerance: float | None,
    precision: float | None,
    memory: int,
    progress: Progress | None,
) -> xarray.DataArray:
    import xarray

    if tolerance is not None:
        return _certified(left, right, chosen, tolerance, progress)
    if precision is not None:
        return _streamed(left, right, chosen, precision)
    widths = [[m.shape[1] for m in side.values()] for side in (left, right) if side is not None]
    pairs = len(left) * len(right) if right is not None else len(left) * (len(left) + 1) // 2
    plan = choose(chosen, n, widths[0], widths[1] if right is not None else None, pairs, memory)
    _check_memory(len(left), len(left if right is None else right), n, plan.way)
    found = all_pairs(
        list(left.values()),
        None if right is None else list(right.values()),
        chosen,
        vectors=plan.way == "vectors",
        spill=plan.spill,
        progress=progress,
    )
    columns = left if right is None else right
    reasons = told(chosen.name, found, left, columns, level=4)
    return xarray.DataArray(
        found.all(),
        dims=("x", "y"),
        coords={"x": list(left), "y": list(columns)},
        name=chosen.name,
        attrs={
            "measure": chosen.name,
            "plan": str(plan),
            "reasons": json.dumps(reasons),
            "notes": json.dumps(_notes(chosen, n, {**left, **columns})),
        },
    )


def _in_parts(sides: list[dict[str, Any]], measure: Measure, memory: int) -> xarray.DataArray:
    """Of representations on a disk that would not fit in memory."""
    import xarray

    if measure.name not in IN_PARTS:
        size = sum(value.nbytes for side in sides for value in side.values())
        raise InputError(
            f"measure: {measure.name} needs every number at once, {in_words(size)} and copies, "
            f"with {in_words(memory)} allowed (memory=); {' and '.join(IN_PARTS)} do not."
        )
    right = sides[1] if len(sides) > 1 else None
    found = cka_from_rows(sides[0], right, measure.name == "debiased_cka", memory)
    for name, reason in found.reasons.items():
        tell(measure.name, repr(name), reason, None, level=3)
    columns = sides[0] if right is None else right
    ends = {"lower": found.lower, "upper": found.upper} if found.lower is not None else {}
    n = next(iter(sides[0].values())).shape[0]
    return xarray.DataArray(
        found.values,
        dims=("x", "y"),
        coords={
            "x": list(sides[0]),
            "y": list(columns),
            **{end: (("x", "y"), values) for end, values in ends.items()},
        },
        name=measure.name,
        attrs={
            "measure": measure.name,
            "plan": found.plan,
            "reasons": json.dumps(found.reasons),
            "notes": json.dumps(_notes(measure, n, {**sides[0], **columns})),
        },
    )


def _check_inputs(a: Mapping[str, Any], b: Mapping[str, Any] | None) -> None:
    """Refuse activations that `capture` read of different inputs."""
    left, right = (getattr(side, "inputs", None) for side in (a, b))
    if left and right and left != right:
        raise InputError(
            "a and b: they were captured of different inputs, or of the same in another order (a "
            "loader that shuffles, an iterator that went on). Use sg.compare, which shows both "
            "networks every batch; or, if row i is the same probe in another form, "
            "dict(a) and dict(b)."
        )


def _certified(
    left: Mapping[str, Tensor],
    right: Mapping[str, Tensor] | None,
    measure: Measure,
    tolerance: float,
    progress: Progress | None,
) -> xarray.DataArray:
    found = certified_matrix(left, right, measure=measure, tolerance=tolerance, progress=progress)
    n = len(next(iter(left.values())))
    attributes = {
        **found.attrs,
        "notes": json.dumps(_notes(measure, n, {**left, **(right or {})})),
    }
    return (
        found["value"]
        .rename(measure.name)
        .assign_coords(lower=found["lower"], upper=found["upper"])
        .assign_attrs(attributes)
    )


def _streamed(
    left: Mapping[str, Tensor],
    right: Mapping[str, Tensor] | None,
    measure: Measure,
    precision: float,
) -> xarray.DataArray:
    import xarray

    if measure.name != "debiased_cka":
        raise InputError(f"precision: only debiased_cka can be streamed, got {measure.name}.")
    found = stream_cka(shuffled_batches(left, right), precision=precision)
    for name, reason in found.reasons.items():
        tell(measure.name, repr(name), reason, None, level=4)
    return xarray.DataArray(
        found.values,
        dims=("x", "y"),
        coords={
            "x": list(found.names_x),
            "y": list(found.names_y),
            "lower": (("x", "y"), found.lower),
            "upper": (("x", "y"), found.upper),
        },
        name=measure.name,
        attrs={
            "measure": measure.name,
            "precision": precision,
            "plan": f"streamed: {found.probes} of {len(next(iter(left.values())))} probes in "
            f"{found.batches} random batches; widest 95 % interval ± {found.width:.2g}",
            "reasons": json.dumps(found.reasons),
            "notes": json.dumps({}),
        },
    )


def explain(
    n: int,
    widths: Sequence[int],
    others: Sequence[int] | None = None,
    measure: str | Measure = "debiased_cka",
    *,
    memory: int = MEMORY,
) -> Plan:
    """How representations of these sizes would be compared, at what cost, and why.

    >>> print(explain(5000, [10, 10]))
    features: 5e+06 flops in feature space, 5.8e+08 through Gram matrices
    """
    pairs = len(widths) * len(others) if others else len(widths) * (len(widths) + 1) // 2
    return choose(find_measure(measure), n, widths, others, pairs, memory)


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
    each runs on one thread, so the bits do not depend on how many workers the engine has.

    Args:
        paths: one ``.npy`` for each representation.
        measure: a name of the catalogue, or a `Measure`; one that a rotation of the units changes
            cannot be had from reduced coordinates.
        wanted: boolean ``(k, k)``, the pairs to compute (either order, for a symmetric measure), or
            a function of (rows, columns), both slices, that gives a block of it.
        tolerance: settle for intervals no wider than this, which hold the exact scores for certain
            (`certified`); Procrustes and linear CKA only.
        engine: where blocks run; None is this process, on one thread.
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
    plan = choose(chosen, n, [shape[1] for shape in shapes], None, pairs, memory)
    vectors = plan.way == "vectors" if tolerance is None else chosen.embed is not None
    _check_memory(0 if scratch else len(files), len(files), n, "vectors" if vectors else "pairs")
    found = all_pairs(
        files,
        None,
        chosen,
        vectors=vectors,
        wanted=wanted,
        tolerance=tolerance,
        engine=engine or LocalEngine(workers=1),
        spill=plan.spill,
        scratch=scratch,
        disk=disk,
        progress=progress,
    )
    return StoredComparison(found, str(plan) if tolerance is None else certified_plan(chosen.name))


def _count(wanted: np.ndarray | Wanted | None, count: int) -> int:
    if wanted is None:
        return count * (count + 1) // 2
    if not callable(wanted):
        return int(np.sum(wanted))
    return sum(int(wanted(cut, slice(0, count)).sum()) for cut in cuts(count, 1024))


def _check_memory(rows: int, columns: int, n: int, way: str) -> None:
    """Refuse what this machine cannot hold, before anything of it is allocated."""
    needed = 2 * 8 * rows * columns  # the matrix, and its blocks
    if way != "vectors":
        needed += 8 * n * n * min(2 * PAIR_BLOCK, rows + columns)
    there = physical_memory()
    if there is not None and needed > there:
        raise InputError(
            f"{rows or columns} × {columns} representations of {n} probes need about "
            f"{needed / 1e9:.1f} GB, and this machine has {there / 1e9:.1f} GB; compare fewer "
            "representations, or fewer probes, at a time."
        )


def _notes(measure: Measure, n: int, matrices: Mapping[str, Any]) -> dict[str, str]:
    if not measure.biased:
        return {}
    return {
        name: f"biased upwards: {matrix.shape[1]} units and only {n} probes; "
        "compare with debiased_cka, or with a permutation null"
        for name, matrix in matrices.items()
        if matrix.shape[1] > n
    }
