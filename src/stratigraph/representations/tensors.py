"""Tensors: ``.safetensors``, and what ``torch.save`` wrote, read as data (`records.foreign`)."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stratigraph.errors import DataError
from stratigraph.records.foreign import read_contents
from stratigraph.representations.contents import Contents, need
from stratigraph.representations.rows import FlatRows

__all__ = ["read_safetensors", "read_torch"]

DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4",
    "I16": "<i2", "I8": "<i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "<u1", "BOOL": "?",
}  # fmt: skip
MOST_REPEATED = 1 << 26  # bytes of a view that takes the same numbers again and again


@dataclass(frozen=True)
class TensorRows:
    """A tensor (n, …), which may lie in a file that the system maps."""

    tensor: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """(n, p)."""
        return self.tensor.shape[0], prod(self.tensor.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what is read: half precision and bfloat16 as float32."""
        return self.read(np.arange(0), slice(0, 0)).dtype

    def read(self, rows: np.ndarray, columns: slice) -> np.ndarray:
        """See `Rows`."""
        found = self.tensor[torch.from_numpy(rows)].flatten(1)[:, columns]
        if found.is_floating_point() and found.dtype != torch.float64:
            found = found.float()
        return found.numpy()


def read_torch(path: Path, ids: str | None = None) -> Contents:
    """A tensor, or mappings and lists of them, names joined by dots."""
    contents = Contents()
    value = read_contents(path, mapped=True)
    for name, held in _leaves(value, ""):
        if isinstance(held, Tensor) and held.ndim > 1:
            why = _unusable(held)
            if why:
                contents.refused[name] = why
            else:
                contents.matrices[name] = partial(TensorRows, held.detach())
        elif isinstance(held, Tensor) and held.ndim == 1 and not _unusable(held):
            contents.labels[name] = partial(_as_array, held.detach())
        elif isinstance(held, list) and held and isinstance(held[0], str | int):
            contents.labels[name] = partial(np.array, held)
    return contents


def _as_array(tensor: Tensor) -> np.ndarray:
    return tensor.numpy()


def _same(rows: FlatRows) -> FlatRows:
    return rows


def _column(rows: FlatRows) -> np.ndarray:
    return rows.read(np.arange(rows.shape[0]), slice(None))[:, 0]


def _unusable(tensor: Tensor) -> str:
    if tensor.layout is not torch.strided or tensor.is_quantized:
        return "it is sparse or quantised; store it dense"
    if tensor.is_complex():
        return "it holds complex numbers"
    if tensor.is_meta:
        return "its numbers were not stored"
    declared, stored = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
    if declared > max(MOST_REPEATED, stored):
        return f"it repeats {stored:,} bytes into {declared:,}; store it as it is (contiguous)"
    return ""


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, held in value.items():
            yield from _leaves(held, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(held, Tensor) for held in value):
        for key, held in enumerate(value):
            yield from _leaves(held, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def read_safetensors(path: Path, ids: str | None = None) -> Contents:
    """Tensors by name."""
    library = need("safetensors", ".safetensors")
    try:
        with library.safe_open(path, framework="np") as file:  # it checks the header
            names = list(file.keys())
    except (library.SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path}: not readable as safetensors ({error}).") from None
    contents = Contents()
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    for name in names:
        about = header[name]
        shape, kind = tuple(about["shape"]), about["dtype"]
        if kind not in DTYPES:
            contents.refused[name] = f"it holds {kind}; store float32"
            continue
        rows = FlatRows(
            path,
            8 + length + about["data_offsets"][0],
            np.dtype(DTYPES[kind]),
            (*shape, 1)[: max(2, len(shape))] if shape else (1, 1),
            bfloat=kind == "BF16",
        )
        if len(shape) > 1:
            contents.matrices[name] = partial(_same, rows)
        elif len(shape) == 1:
            contents.labels[name] = partial(_column, rows)
    return contents
