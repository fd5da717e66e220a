"""Representations that cannot be compared: NaN in their row, with the reason, beside the others.

A network's layers are compared together, and one of them may hold complex numbers, the -inf of a
mask, or what half precision could not hold. Only if none is left is that an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from stratigraph.similarity.inputs import as_matrix, nonfinite

if TYPE_CHECKING:
    import xarray

__all__ = ["fit_entries", "numbers_as_units", "unfit", "with_unfit"]


def unfit(value: Any, name: str = "x") -> str | None:
    """Why a representation has no score by any measure, or None.

    Raises:
        InputError: it is no representation at all: of another type or shape.

    """
    dtype = getattr(value, "dtype", None)
    if (isinstance(value, Tensor) and value.is_complex()) or getattr(dtype, "kind", "") == "c":
        kind = str(dtype).removeprefix("torch.")
        return f"complex ({kind}): stack real and imaginary parts as units"
    found = nonfinite(as_matrix(value, name))
    if found is None:
        return None
    half = dtype is torch.float16 or dtype == np.float16
    hint = "; half precision ends at 65,504: run the network in float32 or bfloat16" if half else ""
    return f"not finite: {found}{hint}"


def numbers_as_units(side: Any) -> Any:
    """What `capture` gave, a number for each input (n,) being one unit (n, 1); others as they are.

    Of others (n,) is refused: it may be a matrix that lost an axis.
    """
    if isinstance(side, Mapping) and hasattr(side, "left_out"):
        return {n: value[:, None] if value.ndim == 1 else value for n, value in side.items()}
    return side


def fit_entries(side: Mapping[str, Any], argument: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The entries that can be compared, and name → why another cannot.

    Raises:
        InputError: an entry is no representation.

    """
    reasons: dict[str, str] = {}
    for name, value in side.items():
        if (why := unfit(value, f"{argument}[{name!r}]")) is not None:
            reasons[name] = why
    return {name: value for name, value in side.items() if name not in reasons}, reasons


def with_unfit(
    found: xarray.DataArray,
    x: Iterable[str],
    y: Iterable[str],
    reasons: Mapping[str, str],
) -> xarray.DataArray:
    """The matrix with all names, NaN for those that could not be compared, and why."""
    if not reasons:
        return found
    every = json.dumps({**json.loads(found.attrs["reasons"]), **reasons})
    return found.reindex(x=list(x), y=list(y)).assign_attrs(reasons=every)
