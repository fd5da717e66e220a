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


# What a data set may declare: so many bytes for each that the file holds of it, more than gzip
# makes of any (1,032), and this much where it holds nothing; and a chunk, which is unpacked whole.
MOST_RATIO = 1_100
MOST_EMPTY = 1 << 26
MOST_CHUNK = 1 << 28
MOST_ROWS = 1_000_000  # of nothing
MOST_DEEP = 100  # groups within groups: each look at one goes through all above
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
        hard = library.HardLink  # others lead to other files
        cells = all(file.get(key, getclass=True, getlink=True) is hard for key in ("obsm", "obs"))
        file.visititems(lambda name, held: _take(library, path, contents, cells, name, held))
        index = _index(file["obs"], path) if cells else None
    return Contents(contents.matrices, contents.labels, index, contents.refused)


def _take(library: Any, path: Path, contents: Contents, cells: bool, name: str, held: Any) -> None:
    if name.count("/") > MOST_DEEP:
        raise DataError(f"{path}: groups within groups more than {MOST_DEEP} deep.")
    encoding = held.attrs.get("encoding-type", "")
    if "_matrix" in str(encoding):
        contents.refused[name] = f"it is sparse ({encoding}); store it dense"
    if not isinstance(held, library.Dataset):
        return
    if held.ndim == 1 and not _misfit(held):
        contents.labels[name] = partial(_labels, path, name)
    elif held.ndim > 1 and held.dtype.kind in "fiub":
        if wrong := _misfit(held):
            contents.refused[name] = wrong
            return
        if cells and not name.startswith("obsm/") and name != "X":
            contents.refused[name] = "of an .h5ad file X and obsm are read"
            return
        shape = held.shape[0], prod(held.shape[1:])
        dtype = held.dtype.newbyteorder("=")
        contents.matrices[name] = partial(Hdf5Rows, path, name, shape, dtype)


def _misfit(held: Any) -> str:
    """Why a data set is not read: what it declares is not there, or it is elsewhere."""
    if held.external or held.is_virtual:
        return "its values are in other files, which are not read"
    declared, stored = prod(held.shape) * held.dtype.itemsize, held.id.get_storage_size()
    if declared > max(MOST_EMPTY, MOST_RATIO * stored):
        return (
            f"it declares {declared:,} bytes, of which the file holds {stored:,}; at most "
            f"{MOST_RATIO:,} times as many are read"
        )
    if not declared and max(held.shape) > MOST_ROWS:
        return f"its shape is {held.shape}, which holds nothing"
    chunk = prod(held.chunks or ()) * held.dtype.itemsize
    if chunk > MOST_CHUNK:
        return f"its chunks are of {chunk:,} bytes; at most {MOST_CHUNK:,} are unpacked"
    return ""


def _labels(path: Path, name: str) -> np.ndarray:
    with _opened(path) as file:
        held = file[name]
        return held.asstr()[:] if held.dtype.kind == "O" else held[:]


def _index(obs: Any, path: Path) -> Any:
    name = obs.attrs.get("_index", "_index")
    return partial(_labels, path, f"obs/{name}") if name in obs else None
