"""The tensors in what a layer returns, each under a name, and each dense.

- A tensor is the layer itself: ``conv1``.
- Of a tuple, list, mapping or dataclass (a Hugging Face ``ModelOutput``, a namedtuple), every
  tensor is a part: ``lstm[0]``, ``block[hidden_states][2]``, ``vae[mean]``. What is no tensor (a
  cache, ``None``) is left out.
- A recurrent module's last state (layers, n, h) is a row for every input, (n, layers·h).
- A ``PackedSequence`` and a nested tensor are padded with zeros, to (n, t, …), and the number of
  tokens of each input is known to `stratigraph.activations.reduce`.
- Sparse tensors are made dense, quantised and 8-bit floating-point ones float32.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

__all__ = ["Part", "lengths_of", "output_parts", "returned_parts"]

Packed = Tensor | PackedSequence


@dataclasses.dataclass(frozen=True)
class Part:
    """One tensor of what a layer returned.

    Attributes:
        path: where it stood in the output, such as ``[0]``; a bare tensor's is empty.
        value: dense, on its device; not a copy where nothing had to be changed.
        lengths: (n,), how many tokens of each input are there, where the kind of output says so.

    """

    path: str
    value: Tensor
    lengths: Tensor | None = None


def returned_parts(module: nn.Module, output: Any) -> Iterator[Part]:
    """Every tensor in a layer's output, in its order."""
    recurrent = isinstance(module, nn.RNNBase) and isinstance(output, tuple)
    for path, value in output_parts(output):
        lengths = lengths_of(value)
        dense = _dense(value)
        if recurrent and path != "[0]" and dense.ndim == 3:
            dense = dense.transpose(0, 1).flatten(1)
        yield Part(path, dense, lengths)


def output_parts(output: Any, path: str = "") -> Iterator[tuple[str, Packed]]:
    """(path, tensor) for every tensor in an output, as it stands there."""
    if isinstance(output, Tensor | PackedSequence):
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


def lengths_of(value: Any) -> Tensor | None:
    """(n,): how many tokens of each input a packed or nested tensor holds."""
    if isinstance(value, PackedSequence):
        return pad_packed_sequence(value, batch_first=True)[1]
    if isinstance(value, Tensor) and value.is_nested and value.dim() > 1:
        return torch.tensor([len(part) for part in value.unbind()], device=value.device)
    return None


def _dense(value: Packed) -> Tensor:
    if isinstance(value, PackedSequence):
        return pad_packed_sequence(value, batch_first=True)[0]
    if value.is_nested:
        return torch.nested.to_padded_tensor(value, 0.0)
    if value.layout is not torch.strided:
        value = value.to_dense()
    if value.is_quantized:
        return value.dequantize()
    return value.float() if value.is_floating_point() and value.element_size() == 1 else value
