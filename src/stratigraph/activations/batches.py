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

A ``PackedSequence`` and a nested tensor are tensors here, of one row a sequence.

Tensors go to the network's device, and floating-point ones to the dtype of its first floating-point
parameter, as copies: a network that changes its input in place changes nothing for the next one.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.utils.data import Dataset, IterableDataset

from stratigraph.errors import InputError

__all__ = [
    "Fingerprint",
    "batches_of",
    "copies",
    "count_of",
    "few_rows",
    "given",
    "pieces",
    "run",
    "tensors_in",
    "turned",
    "whole",
]


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
        for rows in _cuts(n, batch_size):
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
            "inputs: no batches. An iterator gives its batches only once: if it was read before, "
            "pass a list of batches or a DataLoader."
        )


def _cuts(n: int, size: int) -> Iterator[slice]:
    """Rows of each batch; a last one of a single input, which networks squeeze, gets another."""
    ends = [*range(size, n, size), n]
    if len(ends) > 1 and size > 2 and ends[-1] - ends[-2] == 1:
        ends[-2] -= 1
    return (slice(start, end) for start, end in itertools.pairwise([0, *ends]))


def tensors_in(value: Any) -> Iterator[Tensor | np.ndarray | PackedSequence]:
    """Every tensor and array of a batch."""
    if isinstance(value, Tensor | np.ndarray | PackedSequence):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from tensors_in(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors_in(part)


def _rows(value: Any) -> int:
    """Rows of a batch, or of all inputs: those of its first tensor."""
    first = next(tensors_in(value), None)
    if first is None:
        raise InputError(
            f"inputs: expected tensors, got a {type(value).__name__} without one; give batches of "
            "tensors."
        )
    if not (rows := _count(first)):
        shape = tuple(getattr(first, "shape", (0,)))
        raise InputError(f"inputs: expected (n, …) with n ≥ 1, got shape {shape}.")
    return rows


def _count(part: Tensor | np.ndarray | PackedSequence) -> int:
    if isinstance(part, PackedSequence):
        return int(part.batch_sizes[0])
    if isinstance(part, Tensor) and part.is_nested:
        return part.size(0)
    return len(part) if part.ndim else 0


def _taken(value: Any, rows: slice | Tensor, n: int) -> Any:
    """The rows of every tensor in it; other values as they are."""

    def take(part: Any) -> Any:
        if not isinstance(part, Tensor | np.ndarray | PackedSequence):
            return part
        if _count(part) != n:
            raise InputError(
                f"inputs: expected {n} rows in each tensor, as in the first, got shape "
                f"{tuple(part.shape) if not isinstance(part, PackedSequence) else _count(part)}."
            )
        return _rows_of(part, rows, n)

    return mapped(value, take)


def _rows_of(part: Any, rows: slice | Tensor, n: int) -> Any:
    """Some of the n rows of a tensor of any kind; anything else, and one without them, as it is."""
    if not isinstance(part, Tensor | np.ndarray | PackedSequence) or _count(part) != n:
        return part
    if isinstance(part, PackedSequence):
        padded, lengths = pad_packed_sequence(part, batch_first=True)
        order = part.sorted_indices is None
        return pack_padded_sequence(padded[rows], lengths[rows], True, enforce_sorted=order)
    if isinstance(part, Tensor) and part.is_nested:
        every = part.unbind()
        chosen = torch.arange(n)[rows].tolist()
        return torch.nested.nested_tensor([every[i] for i in chosen], layout=part.layout)
    return part[rows if isinstance(rows, slice) or isinstance(part, Tensor) else rows.numpy()]


def few_rows(batch: Any, rows: int, count: int, start: int = 0) -> Any:
    """So many inputs of a batch from one on, or some of them again where it has fewer.

    What has no row for each input (a mask for all, an option) stays as it is.
    """
    if count <= rows:
        chosen: slice | Tensor = slice(start, start + count)
    else:  # in their order: packed sequences may have to be sorted by length
        chosen = torch.arange(count) * rows // count
    return mapped(batch, lambda part: _rows_of(part, chosen, rows))


def copies(batch: Any, rows: int, row: int) -> Any:
    """A batch of as many inputs as this one has, all of them its input ``row``."""
    chosen = torch.full((rows,), row)
    return mapped(batch, lambda part: _rows_of(part, chosen, rows))


def turned(batch: Any, rows: int) -> Any:
    """The batch with its last input first."""
    order = torch.arange(rows).roll(1)
    return mapped(batch, lambda part: _rows_of(part, order, rows))


def pieces(batch: Any, rows: int, most: int, least: int = 1) -> Iterator[tuple[Any, int]]:
    """A batch in parts of at most ``most`` inputs, none of fewer than ``least`` if that can be."""
    count = max(1, min(-(-rows // most), rows // least))
    ends = [rows * k // count for k in range(count + 1)]
    for start, end in itertools.pairwise(ends):
        yield mapped(batch, partial(_rows_of, rows=slice(start, end), n=rows)), end - start


def mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """A batch with a function applied to everything in it that is no container."""
    if isinstance(value, Mapping):
        return {key: mapped(part, function) for key, part in value.items()}
    if isinstance(value, tuple) and not isinstance(value, PackedSequence):
        parts = [mapped(part, function) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, list):
        return [mapped(part, function) for part in value]
    return function(value)


def given(batch: Any, model: nn.Module) -> Any:
    """The batch as copies on the network's device, floating-point tensors in its dtype."""
    # Weights that are elsewhere until their module runs (offloaded) are on the meta device.
    held = (p for p in (*model.parameters(), *model.buffers()) if not p.is_meta)
    first = next(held, None)
    device = None if first is None else first.device
    floating = (p.dtype for p in model.parameters() if p.is_floating_point())
    dtype = next(floating, None)

    def copy_tensor(part: Any) -> Any:
        if isinstance(part, np.ndarray):
            part = torch.from_numpy(np.ascontiguousarray(part).copy())
        if not isinstance(part, Tensor):
            return part
        wanted = dtype if dtype is not None and part.is_floating_point() else part.dtype
        return part.to(device=device or part.device, dtype=wanted, copy=True)

    def copy(part: Any) -> Any:
        if isinstance(part, PackedSequence):  # its lengths stay on the CPU
            moved = part._replace(data=copy_tensor(part.data))
            return moved if device is None else moved.to(device)  # type: ignore[arg-type]
        return copy_tensor(part)

    return mapped(batch, copy)


def run(model: nn.Module, batch: Any) -> Any:
    """One pass of the network on a batch, given by its type."""
    if isinstance(batch, Mapping):
        return model(**batch)
    if isinstance(batch, tuple) and not isinstance(batch, PackedSequence):
        return model(*batch)
    return model(batch[0]) if isinstance(batch, list) else model(batch)


def _dense(batch: Any) -> Iterator[Tensor | np.ndarray]:
    """The arrays that hold a batch; of sequences, their tokens and how many there are of each."""
    for part in tensors_in(batch):
        if isinstance(part, PackedSequence):
            padded, lengths = pad_packed_sequence(part, batch_first=True)
            yield torch.cat([x[:n].flatten() for x, n in zip(padded, lengths, strict=True)])
            yield lengths
        elif isinstance(part, Tensor) and part.is_nested:
            every = part.unbind()
            yield torch.cat([x.flatten() for x in every])
            yield torch.tensor([len(x) for x in every])
        elif isinstance(part, Tensor) and part.layout is not torch.strided:
            yield part.to_dense()
        else:
            yield part


class Fingerprint:
    """What says that two networks were shown the same inputs in the same order, however cut."""

    def __init__(self) -> None:
        self.hashes: list[Any] = []

    def add(self, batch: Any) -> None:
        """The next batch."""
        for index, part in enumerate(_dense(batch)):
            if index == len(self.hashes):
                self.hashes.append(hashlib.sha256(str(part.dtype).removeprefix("torch.").encode()))
            if isinstance(part, Tensor):
                part = part.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy()
            self.hashes[index].update(np.ascontiguousarray(part).data)

    @property
    def digest(self) -> str:
        """Of all batches so far."""
        return hashlib.sha256(b"".join(one.digest() for one in self.hashes)).hexdigest()
