"""The mask that a caller gives for all layers: cut into batches beside the inputs, and read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stratigraph.activations.batches import batches_of, count_of, tensors_in, whole
from stratigraph.activations.masks import LENGTHS, THERE, Mask, find_odd, read_mask
from stratigraph.errors import InputError

__all__ = ["mask_for", "masked_batches"]


def masked_batches(
    inputs: Any, batch_size: int, mask: Any, order: np.ndarray | None = None
) -> Iterator[tuple[tuple[Any, Any], int]]:
    """Each batch with the rows of a mask (n, t) that was given for all, and how many they are.

    Raises:
        InputError: a mask that is none, or is of another number of inputs.

    """
    if mask is not None and not isinstance(mask, Tensor | np.ndarray | str) and not callable(mask):
        raise InputError(
            "mask: expected (n, t) with 1 where a token is real, lengths (n,), the name of an "
            f"input or a function of a batch, got a {type(mask).__name__}."
        )
    given = mask if isinstance(mask, Tensor | np.ndarray) else None
    if given is None:
        for batch, rows in batches_of(inputs, batch_size, order):
            yield (batch, None), rows
        return
    if whole(inputs):
        if len(given) != count_of(inputs):
            raise InputError(
                f"mask: expected a row for each of the {count_of(inputs)} inputs, got {len(given)}."
            )
        yield from batches_of((inputs, given), batch_size, order)
        return
    done = 0
    for batch, rows in batches_of(inputs, batch_size):
        yield (batch, given[done : done + rows]), rows
        done += rows


def mask_for(pair: tuple[Any, Any], mask: Any, rows: int) -> Mask | None:
    """The caller's mask of a batch of `masked_batches`."""
    if mask is None:
        return None
    batch, value = pair
    if isinstance(mask, str):
        if not isinstance(batch, Mapping) or mask not in batch:
            known = ", ".join(map(str, batch)) if isinstance(batch, Mapping) else "no names"
            raise InputError(f"mask: the inputs have no {mask!r}; they have {known}.")
        value = batch[mask]
    elif callable(mask) and not isinstance(mask, Tensor):
        value = mask(batch)
    value = torch.as_tensor(value)
    found = read_mask(LENGTHS[0] if value.ndim == 1 else THERE[0], value, rows)
    if found is None or found.unclear or (value.ndim > 1 and find_odd(value) is not None):
        told = f", with {odd:g} in it" if (odd := find_odd(value)) is not None else ""
        raise InputError(
            f"mask: expected ({rows}, t) with 1 where a token is real and 0 elsewhere, or lengths "
            f"({rows},), got {value.dtype} of shape {tuple(value.shape)}{told}."
        )
    shown = batch[0] if isinstance(batch, list) else batch  # and not its target
    return found.told_by(tensors_in(shown), rows)
