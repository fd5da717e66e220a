"""The labelled result: every representation of one set against every one of another.

``similarity_matrix`` takes mappings of arrays, ``compare_stored`` the files that extraction leaves;
both go through the planner and the one pair loop.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from stratigraph.engine import Engine, LocalEngine
from stratigraph.errors import InputError
from stratigraph.similarity.catalog import find_measure
from stratigraph.similarity.certified import certified_matrix
from stratigraph.similarity.inputs import as_matrix, check_finite, check_probes
from stratigraph.similarity.measure import Measure, tell
from stratigraph.similarity.pairwise import PAIR_BLOCK, Comparison, Progress, all_pairs
from stratigraph.similarity.planner import Plan, choose
from stratigraph.similarity.reduction import read_coordinates
from stratigraph.similarity.streaming import shuffled_batches, stream_cka

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
    memory: int = MEMORY,
    progress: Progress | None = None,
) -> xarray.DataArray:
    """Compare every representation of ``a`` with every one of ``b`` (of ``a`` where None).

    Args:
        a: name → activations ``(n, p…)`` of the same probes; axes beyond two are flattened.
        b: the same for the other axis.
        measure: a name of the catalogue, or a `Measure`.
        tolerance: settle for scores within intervals no wider than this, which hold the exact ones
            for certain (`certified`); Procrustes and linear CKA only.
        precision: read probes in random batches until every 95 % interval is within ± this
            (`streaming`); debiased CKA only.
        memory: bytes of prepared vectors to hold; more goes to a scratch folder.
        progress: called with (tasks done, tasks in all).

    Returns:
        dims ``("x", "y")``, coordinates the names, float64; attributes ``measure``, ``plan`` (how
        it was computed, and why), ``reasons`` (JSON: name → why its scores are NaN) and ``notes``
        (JSON: name → what to keep in mind, such as a biased score with more units than probes).
        With a tolerance or a precision, the coordinates ``lower`` and ``upper`` (x, y) beside it.

    Raises:
        InputError: an entry cannot be compared; the message names it.

    """
    import xarray

    chosen = find_measure(measure)
    _check_inputs(a, b)
    left = _matrices(a, "a")
    right = None if b is None or b is a else _matrices(b, "b")
    n = _shared_probes([left, right or {}], chosen)
    if tolerance is not None and precision is not None:
        raise InputError("tolerance and precision: expected one of them, got both.")
    if tolerance is not None:
        return _certified(left, right, chosen, tolerance)
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
    reasons = _told(chosen.name, found, left, columns)
    return xarray.DataArray(
        found.values,
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
) -> xarray.DataArray:
    found = certified_matrix(left, right, measure=measure, tolerance=tolerance)
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
        tell(measure.name, repr(name), reason, None, level=3)
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
        values: float64 ``(k, k)``; NaN where a pair was not wanted or has no score.
        reasons: for each representation, why it has no score, or None.
        plan: how the scores were computed, and why.

    """

    values: np.ndarray
    reasons: tuple[str | None, ...]
    plan: str


def compare_stored(
    paths: Sequence[Path | str],
    measure: str | Measure = "debiased_cka",
    *,
    wanted: np.ndarray | None = None,
    engine: Engine | None = None,
    memory: int = MEMORY,
    scratch: Path | None = None,
    progress: Progress | None = None,
) -> StoredComparison:
    """Compare stored reductions all with all: K files of `reduce_units`, of the same probes.

    The files are memory-mapped when a block needs them; tasks carry paths. The blocks are fixed and
    each runs on one thread, so the bits do not depend on how many workers the engine has.

    Args:
        paths: one ``.npy`` for each representation.
        measure: a name of the catalogue, or a `Measure`; one that a rotation of the units changes
            cannot be had from reduced coordinates.
        wanted: boolean ``(k, k)``, the pairs to compute (either order, for a symmetric measure).
        engine: where blocks run; None is this process, on one thread.
        memory: bytes of prepared vectors to hold in this process; more goes to a scratch folder.
        scratch: a folder that outlives the call, for these files, measure and pairs alone: blocks
            that an interrupted call finished are not computed again. The caller removes it.
        progress: called with (tasks done, tasks in all).

    Raises:
        StorageError: there is no room for the prepared vectors.
        InputError: the measure needs the original units, or the numbers of probes differ.
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
    pairs = len(files) * (len(files) + 1) // 2 if wanted is None else int(np.sum(wanted))
    plan = choose(chosen, n, [shape[1] for shape in shapes], None, pairs, memory)
    _check_memory(len(files), len(files), n, plan.way)
    found = all_pairs(
        files,
        None,
        chosen,
        vectors=plan.way == "vectors",
        wanted=wanted,
        engine=engine or LocalEngine(workers=1),
        spill=plan.spill,
        scratch=scratch,
        progress=progress,
    )
    return StoredComparison(found.values, found.reasons_x, str(plan))


def _check_memory(rows: int, columns: int, n: int, way: str) -> None:
    """Refuse what this machine cannot hold, before anything of it is allocated."""
    needed = 3 * 8 * rows * columns
    if way != "vectors":
        needed += 8 * n * n * min(2 * PAIR_BLOCK, rows + columns)
    try:
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # a system that does not say
        return
    if needed > there:
        raise InputError(
            f"{rows} × {columns} representations of {n} probes need about {needed / 1e9:.1f} GB, "
            f"and this machine has {there / 1e9:.1f} GB; compare fewer representations, or fewer "
            "probes, at a time."
        )


def _matrices(given: Mapping[str, Any], argument: str) -> dict[str, Tensor]:
    if not isinstance(given, Mapping):
        raise InputError(
            f"{argument}: expected a mapping from names to activations, "
            f"got a {type(given).__name__}; for one pair, call debiased_cka(x, y)."
        )
    if not given:
        raise InputError(f"{argument}: expected at least one representation, got an empty mapping.")
    matrices = {}
    for name, value in given.items():
        matrices[name] = as_matrix(value, f"{argument}[{name!r}]")
        check_finite(matrices[name], f"{argument}[{name!r}]")
    return matrices


def _shared_probes(sides: Sequence[Mapping[str, Tensor]], measure: Measure) -> int:
    first, n = "", 0
    for argument, side in zip("ab", sides, strict=True):
        for name, matrix in side.items():
            if not first:
                first, n = f"{argument}[{name!r}]", len(matrix)
                check_probes(n, measure.least, measure.name, first)
            elif len(matrix) != n:
                raise InputError(
                    f"{argument}[{name!r}]: expected the same {n} probes as {first}, "
                    f"got {len(matrix)} rows."
                )
    return n


def _told(
    measure: str, found: Comparison, x: Mapping[str, Tensor], y: Mapping[str, Tensor]
) -> dict[str, str]:
    reasons: dict[str, str] = {}
    seen: set[str] = set()
    both = (
        *zip(x, found.reasons_x, found.doubts_x, strict=True),
        *zip(y, found.reasons_y, found.doubts_y, strict=True),
    )
    for name, reason, doubt in both:
        if name not in seen:
            seen.add(name)
            tell(measure, repr(name), reason, doubt, level=3)
        if reason:
            reasons[name] = reason
    return reasons


def _notes(measure: Measure, n: int, matrices: Mapping[str, Tensor]) -> dict[str, str]:
    if not measure.biased:
        return {}
    return {
        name: f"biased upwards: {matrix.shape[1]} units and only {n} probes; "
        "compare with debiased_cka, or with a permutation null"
        for name, matrix in matrices.items()
        if matrix.shape[1] > n
    }
