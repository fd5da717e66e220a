"""What a network is shown: inputs as batches, and a batch as arguments.

Inputs are

- a tensor or array (n, …), or a tuple or mapping of such: cut into batches of ``batch_size``;
- a ``DataLoader``, or any iterable of batches: taken as they come, once.

A batch is given to the network by its type:

=================  ===============================================
a tensor           ``model(x)``
a mapping          ``model(**batch)``
a tuple            ``model(*batch)``
a list             ``model(batch[0])``: what a ``DataLoader`` makes of (input, target) pairs
=================  ===============================================

Tensors go to the network's device, and floating-point ones to the dtype of its first floating-point
parameter, as copies: a network that changes its input in place changes nothing for the next one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset

from stratigraph.errors import InputError

__all__ = ["Fingerprint", "batches_of", "count_of", "first_rows", "given", "run", "whole"]


def whole(inputs: Any) -> bool:
    """Whether the inputs are all there, to be cut into batches, rather than an iterable of them."""
    return isinstance(inputs, Tensor | np.ndarray | tuple | Mapping)


def count_of(inputs: Any) -> int | None:
    """n, where it is known beforehand."""
    return _rows(inputs) if whole(inputs) else None


def batches_of(
    inputs: Any, batch_size: int, order: np.ndarray | None = None
) -> Iterator[tuple[Any, int]]:
    """Yield each batch and the number of its rows.

    Args:
        inputs: see the module.
        batch_size: rows of a batch, where the inputs are cut here.
        order: a permutation of the n inputs to take them in, where they are cut here.

    Raises:
        InputError: no inputs, or something that is neither inputs nor batches of them.

    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise InputError(f"batch_size: expected a whole number ≥ 1, got {batch_size!r}.")
    if whole(inputs):
        n = _rows(inputs)
        for start in range(0, n, batch_size):
            rows = slice(start, min(start + batch_size, n))
            chosen = rows if order is None else torch.from_numpy(np.sort(order[rows]))
            yield _taken(inputs, chosen, n), rows.stop - rows.start
        return
    if isinstance(inputs, Dataset) and not isinstance(inputs, IterableDataset):
        raise InputError(
            "inputs: a Dataset gives single examples; wrap it in "
            "DataLoader(dataset, batch_size=…, shuffle=False)."
        )
    if isinstance(inputs, str | bytes | nn.Module) or not isinstance(inputs, Iterable):
        raise InputError(
            "inputs: expected a tensor, a tuple or mapping of tensors, or an iterable of batches, "
            f"got a {type(inputs).__name__}."
        )
    none = True
    for batch in inputs:
        none = False
        yield batch, _rows(batch)
    if none:
        raise InputError(
            "inputs: no batch came. An iterator gives its batches once: if it was read before, "
            "pass a list of batches or a DataLoader."
        )


def _tensors(value: Any) -> Iterator[Tensor | np.ndarray]:
    if isinstance(value, Tensor | np.ndarray):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)


def _rows(value: Any) -> int:
    """Rows of a batch, or of all inputs: those of its first tensor."""
    first = next(_tensors(value), None)
    if first is None:
        raise InputError(
            f"inputs: expected tensors, got a {type(value).__name__} without one; give batches of "
            "tensors."
        )
    if first.ndim == 0 or len(first) == 0:
        raise InputError(f"inputs: expected (n, …) with n ≥ 1, got shape {tuple(first.shape)}.")
    return len(first)


def _taken(value: Any, rows: slice | Tensor, n: int) -> Any:
    """The rows of every tensor in it; other values as they are."""

    def take(part: Any) -> Any:
        if not isinstance(part, Tensor | np.ndarray):
            return part
        if part.ndim == 0 or len(part) != n:
            raise InputError(
                f"inputs: expected {n} rows in each tensor, as in the first, got shape "
                f"{tuple(part.shape)}."
            )
        return part[rows if isinstance(rows, slice) or isinstance(part, Tensor) else rows.numpy()]

    return mapped(value, take)


def first_rows(batch: Any, rows: int, count: int) -> tuple[Any, int]:
    """The first rows of a batch, and how many; all where a tensor in it has no row for each."""
    if any(part.ndim == 0 or len(part) != rows for part in _tensors(batch)):
        return batch, rows
    return _taken(batch, slice(0, min(count, rows)), rows), min(count, rows)


def mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """A batch with a function applied to everything in it that is no container."""
    if isinstance(value, Mapping):
        return {key: mapped(part, function) for key, part in value.items()}
    if isinstance(value, tuple):
        parts = [mapped(part, function) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, list):
        return [mapped(part, function) for part in value]
    return function(value)


def given(batch: Any, model: nn.Module) -> Any:
    """The batch as copies on the network's device, floating-point tensors in its dtype."""
    first = next(model.parameters(), None)
    device = None if first is None else first.device
    floating = (p.dtype for p in model.parameters() if p.is_floating_point())
    dtype = next(floating, None)

    def copy(part: Any) -> Any:
        if isinstance(part, np.ndarray):
            part = torch.from_numpy(np.ascontiguousarray(part).copy())
        if not isinstance(part, Tensor):
            return part
        wanted = dtype if dtype is not None and part.is_floating_point() else part.dtype
        return part.to(device=device or part.device, dtype=wanted, copy=True)

    return mapped(batch, copy)


def run(model: nn.Module, batch: Any) -> Any:
    """One pass of the network on a batch, given by its type."""
    if isinstance(batch, Mapping):
        return model(**batch)
    if isinstance(batch, tuple):
        return model(*batch)
    return model(batch[0]) if isinstance(batch, list) else model(batch)


class Fingerprint:
    """What says that two networks were shown the same inputs in the same order, however cut."""

    def __init__(self) -> None:
        self.hashes: list[Any] = []

    def add(self, batch: Any) -> None:
        """The next batch."""
        for index, part in enumerate(_tensors(batch)):
            if index == len(self.hashes):
                self.hashes.append(hashlib.sha256(str(part.dtype).removeprefix("torch.").encode()))
            if isinstance(part, Tensor):
                part = part.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy()
            self.hashes[index].update(np.ascontiguousarray(part).data)

    @property
    def digest(self) -> str:
        """Of all batches so far."""
        return hashlib.sha256(b"".join(one.digest() for one in self.hashes)).hexdigest()
