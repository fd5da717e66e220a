"""Representations that cannot be compared: NaN in their row, with the reason, beside the others.

A network's layers are compared together, and one of them may hold complex numbers, the -inf of a
mask, or what half precision could not hold. Only if none is left is that an error.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.similarity.inputs import (
    as_matrices,
    as_matrix,
    describe_holes,
    nonfinite,
    read_in_parts,
)
from stratigraph.similarity.measure import Measure, tell_all

if TYPE_CHECKING:
    import xarray

__all__ = ["Sieve", "fit_matrices", "numbers_as_units", "set_unfit", "unfit", "with_unfit"]


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


class Sieve:
    """A representation in parts, with 0 for what is not finite, which is counted as it comes.

    Args:
        value: what is read in parts, or a matrix.
        name: in an error.

    """

    def __init__(self, value: Any, name: str) -> None:
        self.value, self.name = value, name
        self.shape: tuple[int, int] = (value.shape[0], math.prod(value.shape[1:]))
        self._holes = 0
        self._first = (self.shape, math.nan)  # its place, and what stands there

    def block(self, rows: np.ndarray, columns: slice = slice(None)) -> Tensor:
        """Some rows (m,) and columns, as a finite matrix."""
        if read_in_parts(self.value):
            part = as_matrix(self.value.read(rows, columns), self.name)
        else:
            part = as_matrix(self.value, self.name)[torch.from_numpy(rows), columns]
        if nonfinite(part) is None:
            return part
        bad = ~torch.isfinite(part)
        self._holes += int(bad.sum())
        at = np.argwhere(bad.numpy())
        row, column = at[np.lexsort((at[:, 1], rows[at[:, 0]]))[0]].tolist()
        place = int(rows[row]), column + (columns.start or 0)
        self._first = min(self._first, (place, float(part[row, column])), key=lambda one: one[0])
        return torch.where(bad, 0, part)

    @property
    def reason(self) -> str | None:
        """Why it has no score, once all of it was read."""
        if not self._holes:
            return None
        (row, column), value = self._first
        return (
            f"not finite: {describe_holes(self._holes, math.prod(self.shape), value, row, column)}"
        )


def set_unfit(
    values: Iterable[np.ndarray | None], sides: Sequence[Mapping[str, Sieve]]
) -> dict[str, str]:
    """Put NaN into matrices (x, y) where a side has a representation with holes; their reasons.

    Raises:
        InputError: all of a side have some.

    """
    found: dict[str, str] = {}
    matrices = [matrix for matrix in values if matrix is not None]
    for axis, side in enumerate((sides[0], sides[-1])):
        reasons = {name: why for name, one in side.items() if (why := one.reason) is not None}
        if len(reasons) == len(side):
            name, why = next(iter(reasons.items()))
            why = why.removeprefix("not finite: ")
            raise InputError(
                f"{side[name].name}: expected finite values, but {why}. Drop or repair them first."
            )
        for place, name in enumerate(side):
            if name in reasons:
                for matrix in matrices:
                    np.moveaxis(matrix, axis, 0)[place] = math.nan
        found |= reasons
    return found


def numbers_as_units(side: Any) -> Any:
    """What `capture` gave, a number for each input (n,) being one unit (n, 1); others as they are.

    Of others (n,) is refused: it may be a matrix that lost an axis.
    """
    if isinstance(side, Mapping) and hasattr(side, "left_out"):
        return {n: value[:, None] if value.ndim == 1 else value for n, value in side.items()}
    return side


def fit_matrices(
    sides: Mapping[str, Mapping[str, Any]], measure: Measure
) -> tuple[list[dict[str, Tensor]], int, list[dict[str, str]]]:
    """Matrices of the entries that can be compared; how many probes; of each side name → why not.

    Args:
        sides: argument → its mapping of names to activations, as the caller named them.
        measure: what they are compared by.

    Raises:
        InputError: an entry is no representation, or none of a side can be compared.

    """
    fit: dict[str, Mapping[str, Any]] = {}
    unfits: list[dict[str, str]] = []
    for argument, side in sides.items():
        why = {name: unfit(value, f"{argument}[{name!r}]") for name, value in side.items()}
        unfits.append({name: reason for name, reason in why.items() if reason is not None})
        some = {name: value for name, value in side.items() if name not in unfits[-1]}
        fit[argument] = some or side  # of which `as_matrices` refuses the first
    finite = all(len(unfits[k]) < len(side) for k, side in enumerate(sides.values()))
    matrices, n = as_matrices(fit, measure.name, measure.least, finite=finite)
    return matrices, n, unfits


def with_unfit(
    found: xarray.DataArray,
    x: Iterable[str],
    y: Iterable[str],
    unfits: Iterable[Mapping[str, str]],
    level: int = 3,
) -> xarray.DataArray:
    """The matrix with all names, NaN for those that could not be compared, and why.

    Each is warned of.

    Args:
        found: of the others.
        x: all names of its rows.
        y: all of its columns.
        unfits: of each side, name → why.
        level: of the warnings, up to who called.

    """
    for reasons in unfits:
        tell_all(found.attrs["measure"], reasons, level=level)
        if reasons:
            every = json.dumps({**json.loads(found.attrs["reasons"]), **reasons})
            found = found.reindex(x=list(x), y=list(y)).assign_attrs(reasons=every)
    return found
