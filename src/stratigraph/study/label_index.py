"""An index of a matrix's representations by all of their labels at once, so that ``.sel`` works.

``m.sel(run_x="3f2a…", layer_x=["z_mean", "z_log_var"], step_x=slice(0, 1000))`` takes the rows
whose labels are all so: a value, one of several, or from one to another, ends included. Labels of
pandas' own indexes are of one kind a dimension, or of several in one order, and those of several
cannot be written to netCDF.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from xarray.core.indexing import IndexSelResult

__all__ = ["LabelIndex", "with_labels"]

PLACE = ("run", "step", "layer")  # which together are one representation


class LabelIndex(xr.Index):
    """Where each representation of one axis is, by its labels.

    Args:
        dim: the axis.
        columns: coordinate → its labels, (k,).

    """

    def __init__(self, dim: Hashable, columns: Mapping[Any, np.ndarray]) -> None:
        self.dim, self.columns = dim, dict(columns)

    @classmethod
    def from_variables(
        cls, variables: Mapping[Any, xr.Variable], *, options: Mapping[str, Any]
    ) -> LabelIndex:
        """Of the coordinates of one axis."""
        (dim,) = {one.dims[0] for one in variables.values()}
        return cls(dim, {name: np.asarray(one.values) for name, one in variables.items()})

    @classmethod
    def concat(
        cls,
        indexes: Sequence[Any],
        dim: Hashable,
        positions: Iterable[Iterable[int]] | None = None,
    ) -> LabelIndex:
        """One after another."""
        first = indexes[0].columns
        joined = {n: np.concatenate([one.columns[n] for one in indexes]) for n in first}
        return cls(dim, joined)

    def sel(self, labels: dict[Any, Any], **options: Any) -> IndexSelResult:
        """The places of the representations with these labels.

        Raises:
            KeyError: there is none.

        """
        found = np.ones(len(next(iter(self.columns.values()))), dtype=bool)
        for name, wanted in labels.items():
            found &= _is_wanted(self.columns[name], wanted)
        places = np.flatnonzero(found)
        if not len(places):
            asked = ", ".join(f"{name}={wanted!r}" for name, wanted in labels.items())
            raise KeyError(f"no representation has {asked}")
        named = {f"{name}_{self.dim}" for name in PLACE}
        one = named <= {name for name, wanted in labels.items() if np.ndim(wanted) == 0
                        and not isinstance(wanted, slice)}  # fmt: skip
        return IndexSelResult({self.dim: int(places[0]) if one else places})

    def isel(self, indexers: Mapping[Any, Any]) -> LabelIndex | None:
        """The index of some of them; of one alone none is left."""
        at = indexers.get(self.dim)
        if isinstance(at, xr.Variable):
            at = at.values if at.dims == (self.dim,) else None
        if at is None or (np.ndim(at) == 0 and not isinstance(at, slice)):
            return None
        return type(self)(self.dim, {name: held[at] for name, held in self.columns.items()})

    def create_variables(
        self, variables: Mapping[Any, xr.Variable] | None = None
    ) -> dict[Hashable, xr.Variable]:
        """The coordinates that it is of."""
        about = {name: one.attrs for name, one in (variables or {}).items()}
        return {
            name: xr.Variable((self.dim,), held, about.get(name))
            for name, held in self.columns.items()
        }

    def equals(self, other: Any, **options: Any) -> bool:
        """Whether both are of the same representations in the same order."""
        return self is other or (
            isinstance(other, LabelIndex)
            and self.columns.keys() == other.columns.keys()
            and all(_are_equal(held, other.columns[name]) for name, held in self.columns.items())
        )

    def rename(self, name_dict: Mapping[Any, Hashable], dims_dict: Mapping[Any, Hashable]) -> Any:
        """The same, coordinates and axis called otherwise."""
        columns = {name_dict.get(name, name): held for name, held in self.columns.items()}
        return type(self)(dims_dict.get(self.dim, self.dim), columns)

    def __repr__(self) -> str:
        return f"LabelIndex({', '.join(map(str, self.columns))})"


def with_labels(matrix: xr.DataArray) -> xr.DataArray:
    """A matrix whose axes are indexed by all labels that stand along them."""
    for axis in matrix.dims:
        names = [name for name, one in matrix.coords.items() if one.dims == (axis,)]
        matrix = matrix.set_xindex(names, LabelIndex)
    return matrix


def _is_wanted(held: np.ndarray, wanted: Any) -> np.ndarray:
    if isinstance(wanted, slice):
        if wanted.step is not None:
            raise KeyError(f"{wanted!r}: expected a first and a last value, no step")
        found = np.ones(len(held), dtype=bool)
        if wanted.start is not None:
            found &= np.asarray(held >= wanted.start, dtype=bool)
        if wanted.stop is not None:
            found &= np.asarray(held <= wanted.stop, dtype=bool)
        return found
    if np.ndim(wanted) == 0:
        return np.asarray(held == np.asarray(wanted).item(), dtype=bool)
    return np.isin(held, np.asarray(wanted, dtype=held.dtype))


def _are_equal(a: np.ndarray, b: np.ndarray) -> bool:
    return len(a) == len(b) and bool(np.all((a == b) | ((a != a) & (b != b))))
