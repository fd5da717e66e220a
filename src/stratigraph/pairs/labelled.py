"""A matrix of scores with the names of what was compared: what every comparison returns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray

__all__ = ["as_dataset", "label_matrix"]


def label_matrix(
    values: np.ndarray,
    x: Iterable[str],
    y: Iterable[str],
    measure: str,
    plan: str,
    reasons: Mapping[str, str],
    notes: Mapping[str, str] | None = None,
    ends: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
    **attributes: Any,
) -> xarray.DataArray:
    """The labelled matrix, as `stratigraph.similarity_matrix` describes it.

    Args:
        values: scores, (x, y).
        x: names of the rows.
        y: names of the columns.
        measure: the measure's name.
        plan: how the scores were computed, and why.
        reasons: name → why its scores are NaN.
        notes: name → what to keep in mind.
        ends: of the intervals around the scores, each (x, y), where they have some.
        attributes: what else it says of itself.

    """
    import xarray

    import stratigraph.accessor  # noqa: F401 - which gives matrices their `sg`

    found = zip(("lower", "upper"), ends, strict=True)
    return xarray.DataArray(
        values,
        dims=("x", "y"),
        coords={
            "x": list(x),
            "y": list(y),
            **{end: (("x", "y"), own) for end, own in found if own is not None},
        },
        name=measure,
        attrs={
            "measure": measure,
            "plan": plan,
            **attributes,
            "reasons": json.dumps(dict(reasons)),
            "notes": json.dumps(dict(notes or {})),
        },
    )


def as_dataset(found: xarray.DataArray) -> xarray.Dataset:
    """The scores as ``value``, and beside them as variables what stood there as coordinates."""
    beside = [name for name in found.coords if name not in found.dims]
    return found.rename("value").reset_coords(beside).assign_attrs(found.attrs)
