"""What the layers of a network return on given inputs: as it runs, or all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from stratigraph.activations.batches import Fingerprint, count_of, given, run, whole
from stratigraph.activations.callers_mask import mask_for, masked_batches
from stratigraph.activations.calls import Call, Calls
from stratigraph.activations.layers import Layers
from stratigraph.activations.learned import Learned
from stratigraph.activations.reader import reader
from stratigraph.activations.reduce import Reduce
from stratigraph.activations.state import undisturbed, unwrapped
from stratigraph.errors import InputError

__all__ = ["Captured", "capture", "reading"]


class Captured(dict[str, Tensor]):
    """Layer → activations (n, …), and what is known of them beside.

    Attributes:
        inputs: the digest of the inputs that they are of: ``similarity_matrix`` refuses two of
            different inputs, and ``dict(captured)`` forgets it.
        left_out: layer → why it was not read.
        learned: what the first passes told of the network; given again, they are not made again.

    """

    inputs: str = ""
    left_out: dict[str, str]
    learned: Learned


@contextmanager
def reading(
    model: nn.Module, layers: Sequence[str], receive: Callable[[str, Any], None]
) -> Iterator[None]:
    """Within the context, call ``receive(name, output)`` each time a chosen module returns.

    ``output`` is as the module gave it, and may be changed in place by what runs next: ``receive``
    copies what it keeps. The network is left as it was found; whoever runs it turns gradients off.
    """

    def told(call: Call, module: nn.Module, output: Any) -> None:
        if call.name in layers:
            receive(call.name, output)

    calls = Calls(model, told)
    with undisturbed(model), calls.listening():
        calls.begin(1)
        yield


def capture(
    model: Any,
    inputs: Any,
    layers: Layers = None,
    *,
    batch_size: int = 256,
    call: Callable[[Any, slice], Any] | None = None,
    reduce: Reduce = None,
    mask: Any = None,
    learned: Learned | None = None,
) -> Captured:
    """What the chosen layers return for ``inputs``: layer → tensor (n, …) on the CPU.

    Args:
        model: any module, or an exported program; for a data-parallel or compiled one, what it
            wraps is read.
        inputs: a tensor (n, …), a tuple or mapping of such, a DataLoader or any iterable of
            batches; see `stratigraph.activations.batches`.
        layers: names, globs or types; see `stratigraph.activations.layers`.
        batch_size: inputs per pass, if they are cut into batches here; at least 1.
        call: runs one pass on a batch and its slice of the n inputs; by default the batch's type
            decides how the model is called.
        reduce: makes large maps smaller; see `stratigraph.activations.reduce`.
        mask: which tokens are real, if the network is not told: (n, t), the name of an input,
            or a function of a batch; see `stratigraph.activations.masks`.
        learned: from an earlier capture of the same network, layers and kind of inputs.

    Raises:
        InputError: no inputs, a batch size below 1, an unknown layer, a network that sets itself up
            in its first pass, a layer asked for by name that does not run or returns no tensor with
            an axis that follows the inputs; or, without ``call``, one that returns something else
            for the same inputs again.

    """
    own_model = unwrapped(model)
    model = own_model if not hasattr(model, "modules") else model
    n = count_of(inputs)
    fingerprint = Fingerprint()
    found: dict[str, list[Tensor]] = {}
    done = 0

    def show(pair: Any, at: slice) -> Any:
        own = given(pair[0], own_model)
        return run(own_model, own) if call is None else call(own, at)

    with reader(model, layers, reduce, learned) as reading:
        for pair, rows in masked_batches(inputs, batch_size, mask):
            if reading.learned is None:
                # All inputs, where they are there: a first batch may be of one.
                few = ((inputs, None), n) if whole(inputs) and n is not None else (pair, rows)
                reading.learn(show, few, (pair, rows), check=call is None, fill=call is None)
            fingerprint.add(pair[0])
            own = mask_for(pair, mask, rows)
            at = slice(done, done + rows)
            _keep(found, reading.read(partial(show, pair, at), rows, own), at, n)
            done += rows
    result = Captured()
    for name, parts in found.items():
        result[name] = parts[0] if len(parts) == 1 else torch.cat(parts)
    result.inputs = fingerprint.digest
    if reading.learned is not None:
        result.learned, result.left_out = reading.learned, reading.learned.left_out
    return result


def _keep(
    found: dict[str, list[Tensor]], read: dict[str, Tensor], at: slice, n: int | None
) -> None:
    """Put a batch's rows into one array each where n is known, and beside the others otherwise."""
    for name, value in read.items():
        # Normal tensors, not ones of inference mode: the caller may differentiate through them.
        with torch.inference_mode(False):
            if n is None:
                found.setdefault(name, []).append(torch.empty_like(value, device="cpu"))
                place = found[name][-1]
            else:
                if not at.start:
                    found[name] = [torch.empty((n, *value.shape[1:]), dtype=value.dtype)]
                place = found[name][0][at]
        first = found[name][0].shape[1:]
        if first != value.shape[1:]:
            raise InputError(
                f"layer {name}: expected {tuple(first)} for each input as in the first batch, got "
                f"{tuple(value.shape[1:])}; inputs of one length, or `reduce`, make them alike."
            )
        place.copy_(value)
