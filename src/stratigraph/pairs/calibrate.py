"""A score beside what chance would score, of two representations or of two networks' layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stratigraph.errors import InputError
from stratigraph.pairs.labelled import as_dataset
from stratigraph.pairs.planner import MEMORY
from stratigraph.pairs.scored import score_matrix
from stratigraph.similarity.measure import Measure

if TYPE_CHECKING:
    import xarray

__all__ = ["calibrate"]


def calibrate(
    a: Any,
    b: Any = None,
    measure: str | Measure = "debiased_cka",
    *,
    null: int = 200,
    groups: Any = None,
    seed: int = 0,
    memory: int | str = MEMORY,
) -> xarray.Dataset:
    """Every score of ``a`` with ``b`` against chance, and the best of many likewise.

    Args:
        a: activations (n, p…), or a mapping of names to them: the layers of one network.
        b: the same for another network; if ``a`` is a mapping, None means a permuted copy of it.
        measure: a name of the catalogue, or a `Measure`.
        null: number of permutations of the probes of ``b``, each for all of its layers at once.
        groups: a label for each probe, (n,): permute within them.
        seed: seed of the permutations.
        memory: bytes to hold, or words such as ``"2 GB"``.

    Returns:
        ``value``, ``p``, ``calibrated`` and ``threshold`` (the score that chance exceeds once in
        twenty), for every cell (x, y); and with ``_row`` (x), ``_column`` (y) and ``_matrix`` ()
        for the best of them, layers with themselves left out. See `chance`.

    Raises:
        InputError: as `similarity_matrix`.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(2, 60, 300))
    >>> found = calibrate(x, y, "linear_cka", null=19)
    >>> print(f"{found.value.item():.2f}, calibrated {found.calibrated.item():.2f}")
    0.83, calibrated 0.00

    """
    if not isinstance(a, Mapping):
        if b is None:
            raise InputError("b: expected another representation of the same probes, got None.")
        a, b = {"x": a}, b if isinstance(b, Mapping) else {"y": b}
    elif b is not None and not isinstance(b, Mapping):
        b = {"y": b}
    scores = score_matrix(a, b, measure, memory=memory, null=null, groups=groups, seed=seed)
    return as_dataset(scores)
