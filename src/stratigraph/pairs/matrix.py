"""Every representation of one set against every one of another, from mappings of arrays.

Two representations are called x and y; two sets of them, a and b, whose scores have the axes x (of
a) and y (of b).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from stratigraph.errors import InputError
from stratigraph.pairs.intervals import confidence_of, interval_matrix
from stratigraph.pairs.labelled import as_dataset
from stratigraph.pairs.pairwise import Progress
from stratigraph.pairs.planner import MEMORY, Plan, choose
from stratigraph.pairs.scored import score_matrix
from stratigraph.similarity.catalog import find_measure
from stratigraph.similarity.measure import Measure

if TYPE_CHECKING:
    import xarray

__all__ = ["explain", "similarity_matrix"]


@overload
def similarity_matrix(
    a: Mapping[str, Any],
    b: Mapping[str, Any] | None = None,
    measure: str | Measure = "debiased_cka",
    *,
    interval: Literal[False] = False,
    tolerance: float | None = None,
    precision: float | None = None,
    memory: int | str = MEMORY,
    progress: Progress | None = None,
    null: None = None,
    groups: Any = None,
    seed: int = 0,
) -> xarray.DataArray: ...


@overload
def similarity_matrix(
    a: Mapping[str, Any],
    b: Mapping[str, Any] | None = None,
    measure: str | Measure = "debiased_cka",
    *,
    interval: bool | float = False,
    tolerance: float | None = None,
    precision: float | None = None,
    memory: int | str = MEMORY,
    progress: Progress | None = None,
    null: int | None = None,
    groups: Any = None,
    seed: int = 0,
) -> Any: ...


def similarity_matrix(
    a: Mapping[str, Any],
    b: Mapping[str, Any] | None = None,
    measure: str | Measure = "debiased_cka",
    *,
    interval: bool | float = False,
    tolerance: float | None = None,
    precision: float | None = None,
    memory: int | str = MEMORY,
    progress: Progress | None = None,
    null: int | None = None,
    groups: Any = None,
    seed: int = 0,
) -> Any:
    """Compare every representation in ``a`` with every one in ``b`` (by default ``a``).

    Args:
        a: name → activations ``(n, p…)`` of the same probes; axes beyond two are flattened. Rows
            with labels (the index of a frame, the first coordinate of an xarray array, the ids
            of a file) are joined on them.
        b: the same for the other axis.
        measure: a name of the catalogue, or a `Measure`.
        interval: an interval for each score over the probes that might have been drawn
            (`intervals`): True means 95 %, a number is the confidence.
        tolerance: accept scores within intervals no wider than this, which are guaranteed to hold
            the exact ones (`certified`); Procrustes only.
        precision: read probes in random batches until every 95 % interval is within ± this
            (`streaming`); debiased CKA only.
        memory: bytes of prepared vectors to hold, or words such as ``"2 GB"``; more goes to a
            scratch folder. Representations on disk (`load_representations`) that would take more
            are read in parts, for CKA.
        progress: called with (done, all) in each part of the work in turn: tasks of the scores,
            draws of a null, pairs or groups of probes of an interval. Not with a precision, as
            nobody knows how many probes that takes.
        null: number of permutations of the probes that estimate what chance would score (`chance`):
            a p and a calibrated score for each cell, and for the best of rows, columns and all.
        groups: a label for each probe, (n,): permute within them; a pandas series is joined.
        seed: seed of the permutations.

    Returns:
        a DataArray, dims ``("x", "y")``, coordinates the names, float64; attributes ``measure``,
        ``plan`` (how it was computed, and why), ``reasons`` (name → why its scores are NaN) and
        ``notes`` (name → what to keep in mind, such as a biased score with more units than probes):
        JSON, as in files; ``found.sg.reasons`` and ``found.sg.notes`` are mappings. With a
        tolerance or a precision, it has the coordinates ``lower`` and ``upper`` (x, y).

        With an interval or a null, a Dataset with the same attributes: ``value``; ``lower`` and
        ``upper``; ``p``, ``calibrated`` and ``threshold`` (x, y), and the same for the best of
        rows, columns and all: ``p_row`` (x), ``p_column`` (y), ``p_matrix`` (), ….

    Raises:
        InputError: an entry cannot be compared; the message names it.

    """
    if not interval:
        found = score_matrix(
            a, b, measure, tolerance=tolerance, precision=precision, memory=memory,
            progress=progress, null=null, groups=groups, seed=seed,
        )  # fmt: skip
        return found if null is None else as_dataset(found)
    if not (tolerance is precision is None):
        raise InputError("interval: only for exact scores; leave out tolerance= and precision=.")
    found = interval_matrix(
        a, b, measure, confidence=confidence_of(interval), memory=memory, progress=progress,
        null=null, groups=groups, seed=seed,
    )  # fmt: skip
    return as_dataset(found)


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
    features: 5e+06 flops in feature space, 5.7e+08 through Gram matrices
    """
    pairs = len(widths) * len(others) if others else len(widths) * (len(widths) + 1) // 2
    return choose(find_measure(measure), n, widths, others, pairs, memory)
