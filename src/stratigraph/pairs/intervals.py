"""A matrix of scores with an interval for each: probes are left out, a group at a time.

Probe i is in group i mod G, and θ_(g) is a score without group g. Then

    s² = (G − 1)/G Σ_g (θ_(g) − θ̄)²,   interval θ ± t_{G−1} s.

For CKA all θ_(g) cost one pass (`group_sums`); any other measure is computed G times more. Debiased
CKA of representations on a disk that do not fit is estimated from random batches, whose spread
gives the interval (`streaming`). The interval is of the probes that might have been drawn, for
these two representations; ends are not cut to the measure's bounds. A representation with itself
has none to speak of: it scores the same whatever the probes.

Source: Efron & Stein 1981; Shao & Wu 1989 (leaving out d at a time).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy
import torch
from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.labels import join_rows
from stratigraph.pairs.blocks import Progress
from stratigraph.pairs.chance import join_groups
from stratigraph.pairs.group_sums import groups_of, pair_scores
from stratigraph.pairs.labelled import label_matrix
from stratigraph.pairs.planner import MEMORY
from stratigraph.pairs.scored import check_inputs, score_matrix
from stratigraph.similarity.catalog import find_measure
from stratigraph.similarity.from_rows import cka_from_batches
from stratigraph.similarity.inputs import (
    IN_PARTS,
    as_matrix,
    check_finite,
    is_large,
    join_sides,
    only,
)
from stratigraph.similarity.measure import Measure, tell_all
from stratigraph.similarity.sizes import in_bytes, in_words
from stratigraph.similarity.unfit import fit_matrices, numbers_as_units, with_unfit

if TYPE_CHECKING:
    import xarray

__all__ = ["confidence_of", "interval_matrix", "jackknife_scores"]


def confidence_of(interval: bool | float) -> float:
    """The confidence of the interval that was asked for: 0.95 of True."""
    return 0.95 if interval is True else float(interval)


def interval_matrix(
    a: Mapping[str, Any],
    b: Mapping[str, Any] | None = None,
    measure: str | Measure = "debiased_cka",
    *,
    confidence: float = 0.95,
    memory: int | str = MEMORY,
    progress: Progress | None = None,
    null: int | None = None,
    groups: Any = None,
    seed: int = 0,
) -> xarray.DataArray:
    """Scores with the coordinates ``lower`` and ``upper`` (x, y) beside each.

    `stratigraph.similarity_matrix` with ``interval=True`` gives them as a Dataset. What cannot be
    compared is NaN in its row, with the reason, and the others are compared. With ``null`` draws,
    within ``groups`` if any, what chance would score as well (`chance`). Progress is told of the
    scores, then of the null, then of what is left out: groups, or for CKA pairs.

    Raises:
        InputError: as `similarity_matrix`; a confidence outside (0, 1); or too few probes for
            groups of them to be left out.

    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence: expected a number between 0 and 1, got {confidence!r}.")
    chosen, memory = find_measure(measure), in_bytes(memory)
    check_inputs(a, b)
    given = {"a": a} if b is None or b is a else {"a": a, "b": b}
    joined = join_sides({argument: numbers_as_units(side) for argument, side in given.items()})
    every = [value for side in joined for value in side.values()]
    n = len(every[0])
    if is_large(every, memory) or (chosen.name in IN_PARTS and 8 * 6 * n * n > memory):
        if null is not None:
            raise InputError(
                f"null: needs every number at once, with {in_words(memory)} allowed (memory=)."
            )
        return _estimate(joined, chosen, n, confidence, memory, progress)
    parts = _count_groups("a", n, chosen)
    sides, _, unfits = fit_matrices(dict(zip(given, joined, strict=True)), chosen)
    left, right = sides[0], sides[1] if len(sides) > 1 else None
    if groups is not None:
        groups = np.asarray(join_groups(groups, joined))
    found = score_matrix(
        left, right, chosen, memory=memory, progress=progress, null=null, groups=groups, seed=seed
    )
    without = _without_groups(sides, chosen, parts, memory, progress)
    spread = np.sqrt((parts - 1) / parts * np.square(without - without.mean(0)).sum(0))
    reach = spread * scipy.stats.t.ppf((1 + confidence) / 2, parts - 1)
    found = found.assign_coords(
        lower=(("x", "y"), found.values - reach), upper=(("x", "y"), found.values + reach)
    ).assign_attrs(interval=f"{confidence:.0%}, leaving out {parts} groups of probes in turn")
    return with_unfit(found, a, a if b is None else b, unfits, level=4)


def jackknife_scores(
    a: Mapping[str, Any], b: Mapping[str, Any], measure: str | Measure, memory: int = MEMORY
) -> tuple[Measure, np.ndarray, np.ndarray, int]:
    """The measure, its scores (k, k′), those without each group of probes (g, k, k′), and n.

    Raises:
        InputError: an entry cannot be compared, or too few probes to leave groups of them out.

    """
    chosen = find_measure(measure)
    every = join_rows({name: only(value, name) for name, value in {**a, **b}.items()})
    matrices = {name: as_matrix(value, name) for name, value in every.items()}
    first, n = next((name, len(matrix)) for name, matrix in matrices.items())
    parts = _count_groups(first, n, chosen)
    for name, matrix in matrices.items():
        check_finite(matrix, name)
        if len(matrix) != n:
            raise InputError(
                f"{name}: expected the same {n} probes as {first}, got {len(matrix)} rows."
            )
    sides = [{name: matrices[name] for name in side} for side in (a, b)]
    scores = score_matrix(sides[0], sides[1], chosen, memory=memory).values
    return chosen, scores, _without_groups(sides, chosen, parts, memory), n


def _count_groups(argument: str, n: int, measure: Measure) -> int:
    """Into how many groups n probes are cut.

    Raises:
        InputError: too few probes.

    """
    parts = groups_of(n)
    if n - -(-n // max(parts, 1)) < measure.least or parts < 2:
        raise InputError(
            f"{argument}: expected enough probes to leave groups of them out: at least 8, with "
            f"{measure.least} left ({measure.name}), got {n}."
        )
    return parts


def _without_groups(
    sides: list[dict[str, Tensor]],
    measure: Measure,
    parts: int,
    memory: int,
    progress: Progress | None = None,
) -> np.ndarray:
    """Scores without each group of probes, (g, k, k′)."""
    if measure.name in IN_PARTS:
        return _without_groups_of_cka(sides, measure.name, parts, progress)
    of_group = np.arange(len(next(iter(sides[0].values())))) % parts
    found = []
    for g in range(parts):
        rest = [_leave_out(side, of_group == g) for side in sides]
        other = rest[1] if len(rest) > 1 else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the whole they were told
            found.append(score_matrix(rest[0], other, measure, memory=memory))
        if progress:
            progress(g + 1, parts)
    return np.stack(found)


def _leave_out(side: Mapping[str, Tensor], group: np.ndarray) -> dict[str, Tensor]:
    rows = torch.from_numpy(np.flatnonzero(~group))
    return {name: matrix[rows.to(matrix.device)] for name, matrix in side.items()}


def _without_groups_of_cka(
    sides: list[dict[str, Tensor]], measure: str, groups: int, progress: Progress | None
) -> np.ndarray:
    """Scores without each group, (g, k, k′)."""
    rows, columns = len(sides[0]), len(sides[-1])
    every = [value.cpu().numpy() for side in sides for value in side.values()]
    first = 0 if len(sides) == 1 else rows
    pairs = np.array(
        [(i, first + j) for i in range(rows) for j in range(i if first == 0 else 0, columns)]
    )
    scores = pair_scores(every, pairs, measure, groups, progress)
    without = np.empty((groups, rows, columns))
    for (i, j), row in zip(pairs, scores, strict=True):
        without[:, i, j - first] = row[1:]
        if first == 0:
            without[:, j, i] = row[1:]
    return without


def _estimate(
    sides: list[dict[str, Any]],
    measure: Measure,
    n: int,
    confidence: float,
    memory: int,
    progress: Progress | None,
) -> xarray.DataArray:
    if measure.name != "debiased_cka":
        raise InputError(
            f"measure: an interval for {measure.name} needs every number and {n} × {n} kernels at "
            f"once, more than {in_words(memory)} (memory=); one for debiased_cka does not."
        )
    right = sides[1] if len(sides) > 1 else None
    found = cka_from_batches(sides[0], right, n, memory, confidence, progress)
    tell_all(measure.name, found.reasons, level=3)
    return label_matrix(
        found.values,
        sides[0],
        sides[-1],
        measure.name,
        found.plan,
        found.reasons,
        ends=(found.lower, found.upper),
        interval=f"{confidence:.0%}, from the spread of batches",
    )
