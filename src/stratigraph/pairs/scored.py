"""Scores of all pairs of two sets of representations, and what stands beside them, as one array.

The planner says how, and the one pair loop does it; of files that extraction left, see `stored`.
What a caller of the package sees is `matrix`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.pairs.certified import (
    certified_matrix,
    check_tolerance,
    tell_reasons,
)
from stratigraph.pairs.chance import join_groups, with_chance
from stratigraph.pairs.labelled import label_matrix
from stratigraph.pairs.pairwise import Progress, all_pairs
from stratigraph.pairs.planner import MEMORY, check_room, choose
from stratigraph.similarity.catalog import find_measure
from stratigraph.similarity.from_rows import cka_from_rows
from stratigraph.similarity.inputs import (
    IN_PARTS,
    is_large,
    join_sides,
)
from stratigraph.similarity.measure import Measure, tell_all
from stratigraph.similarity.sizes import in_bytes, in_words
from stratigraph.similarity.streaming import shuffled_batches, stream_cka
from stratigraph.similarity.unfit import fit_matrices, numbers_as_units, with_unfit

if TYPE_CHECKING:
    import xarray

__all__ = ["check_inputs", "check_streamed", "score_matrix"]


def score_matrix(
    a: Mapping[str, Any],
    b: Mapping[str, Any] | None = None,
    measure: str | Measure = "debiased_cka",
    *,
    tolerance: float | None = None,
    precision: float | None = None,
    memory: int | str = MEMORY,
    progress: Progress | None = None,
    null: int | None = None,
    groups: Any = None,
    seed: int = 0,
) -> xarray.DataArray:
    """What `stratigraph.similarity_matrix` gives, with all that is beside a score as coordinates.

    With a tolerance or a precision ``lower`` and ``upper`` (x, y); with a null what `with_chance`
    says.

    Raises:
        InputError: an entry cannot be compared; the message names it.

    """
    chosen, memory = find_measure(measure), in_bytes(memory)
    check_inputs(a, b)
    if tolerance is not None and precision is not None:
        raise InputError("tolerance and precision: expected one of them, got both.")
    if null is None and groups is not None:
        raise InputError("groups: probes are permuted within them for a null; give null=200 too.")
    if null is not None and not (tolerance is precision is None):
        raise InputError("null: only for exact scores; leave out tolerance= and precision=.")
    given = {"a": a} if b is None or b is a else {"a": a, "b": b}
    joined = join_sides({argument: numbers_as_units(side) for argument, side in given.items()})
    every = [value for side in joined for value in side.values()]
    if tolerance is None and precision is None and is_large(every, memory):
        if null is not None:
            raise InputError(
                f"null: needs every number at once, with {in_words(memory)} allowed (memory=)."
            )
        return _in_parts(joined, chosen, memory, progress)
    sides, n, unfits = fit_matrices(dict(zip(given, joined, strict=True)), chosen)
    left, right = sides[0], sides[1] if len(sides) > 1 else None
    found = _compare_finite(left, right, chosen, n, tolerance, precision, memory, progress)
    if null is not None:
        found = with_chance(
            found,
            [list(side.values()) for side in sides],
            chosen,
            null=null,
            groups=join_groups(groups, joined),
            seed=seed,
            memory=memory,
            progress=progress,
        )
    return with_unfit(found, a, a if b is None else b, unfits, level=4)


def _compare_finite(
    left: Mapping[str, Tensor],
    right: Mapping[str, Tensor] | None,
    chosen: Measure,
    n: int,
    tolerance: float | None,
    precision: float | None,
    memory: int,
    progress: Progress | None,
) -> xarray.DataArray:
    if tolerance is not None:
        check_tolerance(chosen.name, tolerance)
        return _certify(left, right, chosen, tolerance, progress)
    if precision is not None:
        return _stream(left, right, chosen, precision)
    widths = [[m.shape[1] for m in side.values()] for side in (left, right) if side is not None]
    pairs = len(left) * len(right) if right is not None else len(left) * (len(left) + 1) // 2
    plan = choose(chosen, n, widths[0], widths[1] if right is not None else None, pairs, memory)
    check_room(len(left), len(left if right is None else right), n, plan.strategy)
    found = all_pairs(
        list(left.values()),
        None if right is None else list(right.values()),
        chosen,
        plan.strategy,
        progress=progress,
    )
    columns = left if right is None else right
    reasons = tell_reasons(chosen.name, found, left, columns, level=5)
    notes = _notes(chosen, n, {**left, **columns})
    return label_matrix(found.all(), left, columns, chosen.name, str(plan), reasons, notes)


def _in_parts(
    sides: list[dict[str, Any]], measure: Measure, memory: int, progress: Progress | None
) -> xarray.DataArray:
    """Of representations on a disk that would not fit in memory."""
    if measure.name not in IN_PARTS:
        size = sum(value.nbytes for side in sides for value in side.values())
        raise InputError(
            f"measure: {measure.name} needs every number at once, {in_words(size)} and copies, "
            f"with {in_words(memory)} allowed (memory=); {' and '.join(IN_PARTS)} do not."
        )
    right = sides[1] if len(sides) > 1 else None
    found = cka_from_rows(sides[0], right, measure.name == "debiased_cka", memory, progress)
    tell_all(measure.name, found.reasons, level=4)
    notes = _notes(measure, next(iter(sides[0].values())).shape[0], {**sides[0], **sides[-1]})
    return label_matrix(
        found.values,
        sides[0],
        sides[-1],
        measure.name,
        found.plan,
        found.reasons,
        notes,
        (found.lower, found.upper),
    )


def check_streamed(measure: Measure) -> None:
    """Refuse a precision of a measure that is not read in batches."""
    if measure.name != "debiased_cka":
        raise InputError(f"precision: only debiased_cka can be streamed, got {measure.name}.")


def check_inputs(a: Mapping[str, Any], b: Mapping[str, Any] | None) -> None:
    """Refuse activations that `capture` read of different inputs."""
    left, right = (getattr(side, "inputs", None) for side in (a, b))
    if left and right and left != right:
        raise InputError(
            "a and b: they were captured from different inputs, or from the same in another "
            "order (a loader that shuffles, an iterator that moved on). Use sg.compare, which "
            "gives every batch to both networks; or, if row i is the same probe in another form, "
            "dict(a) and dict(b)."
        )


def _certify(
    left: Mapping[str, Tensor],
    right: Mapping[str, Tensor] | None,
    measure: Measure,
    tolerance: float,
    progress: Progress | None,
) -> xarray.DataArray:
    found = certified_matrix(left, right, tolerance=tolerance, progress=progress)
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


def _stream(
    left: Mapping[str, Tensor],
    right: Mapping[str, Tensor] | None,
    measure: Measure,
    precision: float,
) -> xarray.DataArray:
    check_streamed(measure)
    found = stream_cka(shuffled_batches(left, right), precision=precision)
    tell_all(measure.name, found.reasons, level=5)
    plan = (
        f"streamed: {found.probes} of {len(next(iter(left.values())))} probes in {found.batches} "
        f"random batches; widest 95 % interval ± {found.width:.2g}"
    )
    return label_matrix(
        found.values,
        found.names_x,
        found.names_y,
        measure.name,
        plan,
        found.reasons,
        ends=(found.lower, found.upper),
        precision=precision,
    )


def _notes(measure: Measure, n: int, matrices: Mapping[str, Any]) -> dict[str, str]:
    if not measure.biased:
        return {}
    return {
        name: f"biased upwards: {matrix.shape[1]} units and only {n} probes; "
        "compare with debiased_cka, or with chance (null=200)"
        for name, matrix in matrices.items()
        if matrix.shape[1] > n
    }
