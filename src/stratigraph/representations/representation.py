"""A representation on a disk: a matrix that is read when it is needed, and its rows' ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stratigraph.representations.rows import Rows

__all__ = ["Representation", "Representations"]


@dataclass(frozen=True)
class Representation:
    """A matrix (n, p) of a file, and the ids of its rows.

    Every measure and `similarity_matrix` take it as they take an array; CKA reads it in blocks.

    Attributes:
        source: where it is: ``file``, or ``file:name``.
        rows: how it is read.
        ids: a pandas index of n labels, or None.
        beside: what lies in the file and may hold them, where none were named.
        order: which rows of the file these are, (n,); None is all, as they stand.

    """

    source: str
    rows: Rows
    ids: Any | None = None
    order: np.ndarray | None = None
    beside: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Probes and units."""
        n, p = self.rows.shape
        return n if self.order is None else len(self.order), p

    @property
    def nbytes(self) -> int:
        """What it takes in memory as a whole."""
        return self.shape[0] * self.shape[1] * self.rows.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        labelled = "" if self.ids is None else f", ids of {self.ids.dtype}"
        return f"Representation({self.source!r}, {self.shape}, {self.rows.dtype}{labelled})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.read(np.arange(len(self))), dtype)

    def read(self, rows: np.ndarray, columns: slice = slice(None)) -> np.ndarray:
        """Some rows, by their numbers (m,), and a run of columns: (m, c)."""
        return self.rows.read(rows if self.order is None else self.order[rows], columns)

    def in_order(self, places: np.ndarray) -> Representation:
        """The same rows in another order, or some of them."""
        order = places if self.order is None else self.order[places]
        return replace(self, order=order, ids=None if self.ids is None else self.ids[places])


class Representations(Mapping[str, Representation]):
    """The representations of a file, by name; one that holds a single one stands for it as well."""

    def __init__(self, held: Mapping[str, Representation]) -> None:
        self._held = dict(held)

    def __getitem__(self, name: str) -> Representation:
        return self._held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __repr__(self) -> str:
        return f"Representations({self._held!r})"
