"""HDF5: datasets by their paths; of AnnData's ``.h5ad`` the embeddings of cells in ``obsm``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from stratigraph.errors import DataError
from stratigraph.representations.contents import Contents, need
from stratigraph.representations.rows import runs

__all__ = ["read_hdf5"]


DAMAGE = (
    OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError, MemoryError,
)  # fmt: skip


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file, within; whatever its library finds wrong with it is one error.

    Raises:
        DataError: it is damaged, also where that shows when numbers are read.

    """
    try:
        with need("h5py", "HDF5").File(path, "r") as file:
            yield file
    except DAMAGE as error:
        told = str(error).partition("\n")[0] or type(error).__name__
        raise DataError(f"{path}: not readable as HDF5 ({told}).") from None


@dataclass(frozen=True)
class Hdf5Rows:
    """A dataset (n, …), opened for each reading."""

    path: Path
    name: str
    shape: tuple[int, int]
    dtype: np.dtype[Any]

    def read(self, rows: np.ndarray, columns: slice) -> np.ndarray:
        """See `Rows`. In the order of the file, run by run: single rows of HDF5 are slow."""
        order = np.argsort(rows, kind="stable")
        parts = []
        with _opened(self.path) as file:
            held = file[self.name]
            for _, first, count in runs(rows[order]):
                if held.ndim == 2:
                    parts.append(held[first : first + count, columns])
                else:
                    parts.append(held[first : first + count].reshape(count, -1)[:, columns])
        found = np.concatenate(parts) if parts else np.empty((0, self.shape[1]), self.dtype)
        result = np.empty_like(found)
        result[order] = found
        return result


def read_hdf5(path: Path, ids: str | None = None) -> Contents:
    """Every dataset of numbers with two axes or more; of an AnnData file those of ``obsm``."""
    library = need("h5py", "HDF5")
    contents = Contents()
    with _opened(path) as file:
        cells = "obsm" in file and "obs" in file
        file.visititems(lambda name, held: _take(library, path, contents, cells, name, held))
        index = _index(file["obs"], path) if cells else None
    return Contents(contents.matrices, contents.labels, index, contents.refused)


def _take(library: Any, path: Path, contents: Contents, cells: bool, name: str, held: Any) -> None:
    encoding = held.attrs.get("encoding-type", "")
    if "_matrix" in str(encoding):
        contents.refused[name] = f"it is sparse ({encoding}); store it dense"
    if not isinstance(held, library.Dataset):
        return
    if held.ndim == 1:
        contents.labels[name] = partial(_labels, path, name)
    elif held.ndim > 1 and held.dtype.kind in "fiub":
        if cells and not name.startswith("obsm/") and name != "X":
            contents.refused[name] = "of an .h5ad file X and obsm are read"
            return
        shape = held.shape[0], prod(held.shape[1:])
        dtype = held.dtype.newbyteorder("=")
        contents.matrices[name] = partial(Hdf5Rows, path, name, shape, dtype)


def _labels(path: Path, name: str) -> np.ndarray:
    with _opened(path) as file:
        held = file[name]
        return held.asstr()[:] if held.dtype.kind == "O" else held[:]


def _index(obs: Any, path: Path) -> Any:
    name = obs.attrs.get("_index", "_index")
    return partial(_labels, path, f"obs/{name}") if name in obs else None
