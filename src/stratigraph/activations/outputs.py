"""The tensors in what a layer returns, each under a name.

- A tensor is the layer itself: ``conv1``.
- Of a tuple, list, mapping or dataclass (a Hugging Face ``ModelOutput``, a namedtuple), every
  tensor is a part: ``lstm[0]``, ``block[hidden_states][2]``, ``vae[mean]``. If it is the only one,
  it bears the layer's name alone.
- Of parts, those count that have a row for every input; a loss, an LSTM's state (layers, n, …) and
  what is no tensor (a cache, ``None``) are left out.
- A layer without any such tensor (a table of positions) is an error if it was asked for by its name
  in full, and left out otherwise.
- A layer that runs more than once in a pass is one layer for each run: ``block#1``, ``block#2``, in
  the order in which they ran.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from stratigraph.errors import InputError

__all__ = ["numbered", "output_parts"]


def output_parts(output: Any, path: str = "") -> Iterator[tuple[str, Tensor]]:
    """(path, tensor) for every tensor in an output, in its order; a bare tensor's path is empty."""
    if isinstance(output, Tensor):
        yield path, output
    elif isinstance(output, Mapping):  # before dataclasses: a ModelOutput is both
        for key, value in output.items():
            yield from output_parts(value, f"{path}[{key}]")
    elif isinstance(output, tuple) and hasattr(output, "_fields"):
        for key, value in zip(output._fields, output, strict=True):
            yield from output_parts(value, f"{path}[{key}]")
    elif isinstance(output, tuple | list):
        for key, value in enumerate(output):
            yield from output_parts(value, f"{path}[{key}]")
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        for field in dataclasses.fields(output):
            yield from output_parts(getattr(output, field.name), f"{path}[{field.name}]")


def numbered(
    name: str, output: Any, size: int, wanted: frozenset[str] | None, lacking: set[str]
) -> dict[str, Tensor]:
    """What a layer returned for ``size`` inputs, as name → tensor.

    Args:
        name: the layer's.
        output: what it returned.
        size: rows that each has to have.
        wanted: the parts asked for, such as ``[0]``; None is all.
        lacking: parts that lacked a row for an input in this pass or an earlier one, which is
            noted here: that a batch of one input fits a table of one row says nothing.

    Raises:
        InputError: it holds no tensor with a row for every input, or not the parts asked for.

    """
    if isinstance(output, Tensor) and wanted is None:
        if output.ndim == 0 or len(output) != size or name in lacking:
            lacking.add(name)
            raise InputError(
                f"layer {name}: expected a first axis of {size}, one row for each input, "
                f"got shape {tuple(output.shape)}."
            )
        return {name: output}
    every = dict(output_parts(output))
    lacking |= {name + p for p, part in every.items() if not part.ndim or len(part) != size}
    parts = {path: part for path, part in every.items() if name + path not in lacking}
    if wanted is not None:
        missing = sorted(path for path in wanted if path not in parts)
        if missing:
            raise InputError(
                f"layer {name}: it returned no part {name}{missing[0]} with a row for each of the "
                f"{size} inputs; it has {', '.join(name + path for path in parts) or 'none'}."
            )
        return {name + path: parts[path] for path in parts if path in wanted}
    if not parts:
        shapes = ", ".join(f"{path} {tuple(part.shape)}" for path, part in every.items())
        raise InputError(
            f"layer {name}: expected a tensor with a row for each of {size} inputs, it returned "
            f"{type(output).__name__}{f' of {shapes}' if shapes else ' without one'}; read one of "
            "its children instead."
        )
    if len(parts) == 1:
        return {name: next(iter(parts.values()))}
    return {name + path: part for path, part in parts.items()}
