"""Reading named layers of any network, while it runs.

Forward hooks copy what each chosen module returns, at the moment it returns it, so an in-place
operation downstream cannot change what was read. The network runs in ``eval`` and without
gradients, and is left in the mode it was found in, with the buffers that it had and without hooks,
whatever happens. Its passes draw from random streams of their own, which begin where the caller's
stand and leave those where they are.

Gradients are off by ``no_grad`` and not by ``inference_mode``: a network that caches a tensor in
its first pass, such as a table of positions, trains with it later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from stratigraph.activations.batches import (
    Fingerprint,
    batches_of,
    count_of,
    first_rows,
    given,
    run,
)
from stratigraph.activations.layers import Layers, choose_layers, select_layers
from stratigraph.activations.outputs import numbered
from stratigraph.activations.reduce import Reduce, reduced
from stratigraph.activations.streams import put_streams, streams
from stratigraph.errors import InputError

__all__ = ["Captured", "capture", "check_repeats", "reader", "reading", "select_layers"]


REPEATED = 8  # inputs on which two passes are compared


class Captured(dict[str, Tensor]):
    """Layer → activations (n, …), and the digest of the inputs that they are of.

    ``similarity_matrix`` refuses two of different inputs; ``dict(captured)`` forgets the digest.
    """

    inputs: str = ""


@contextmanager
def reading(
    model: nn.Module, layers: Sequence[str], receive: Callable[[str, Any], None]
) -> Iterator[None]:
    """Within the context, call ``receive(name, output)`` each time a chosen layer returns.

    ``output`` may be changed in place by what runs next: ``receive`` copies what it keeps. The
    network is in ``eval`` mode; whoever runs it turns gradients off.
    """

    def hook(name: str) -> Callable[..., None]:
        def called(module: nn.Module, args: Any, output: Any) -> None:
            receive(name, output)

        return called

    modules = dict(model.named_modules())
    buffers = _buffers(model)
    training = {name: module.training for name, module in modules.items()}
    handles = []
    try:
        handles += [modules[name].register_forward_hook(hook(name)) for name in layers]
        model.eval()
        yield
    finally:
        for handle in handles:
            handle.remove()
        for name, module in modules.items():
            module.training = training[name]
        _put_back(buffers)


Buffers = list[tuple[nn.Module, str, Tensor | None, Tensor | None]]


def _buffers(model: nn.Module) -> Buffers:
    """Every buffer of every module, with a copy of its values."""
    return [
        (module, name, buffer, None if buffer is None else buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
    ]


def _put_back(buffers: Buffers) -> None:
    """Undo what passes did to buffers; those that they left alone are not touched."""
    for module, name, buffer, values in buffers:
        module._buffers[name] = buffer
        if buffer is None or values is None or torch.equal(buffer, values):
            continue
        with torch.inference_mode(buffer.is_inference()), torch.no_grad():
            buffer.copy_(values)


@contextmanager
def reader(
    model: nn.Module, layers: Layers = None, reduce: Reduce = None
) -> Iterator[Callable[[Callable[[], Any], int], dict[str, Tensor]]]:
    """A function that runs one pass and gives what each layer returned in it.

    It takes what runs the pass and the number of its inputs; it gives layer → tensor (n, …), a copy
    on the network's device, in the order in which the layers ran. Several readers may be open at
    once, of networks that share modules too: each reads its own passes alone.
    """
    chosen = choose_layers(model, layers)
    runs: dict[str, list[dict[str, Tensor]]] = {}
    order: list[str] = []
    refused: list[InputError] = []
    lacking: set[str] = set()
    own = streams()
    size: int | None = None

    def receive(name: str, output: Any) -> None:
        if size is None:
            return
        try:
            # A part that is asked for by name need not be the only one.
            parts = numbered(name, output, size, chosen.parts.get(name), lacking)
        except InputError as error:
            if name in chosen.required:
                raise
            refused.append(error)  # left out, as layers are that do not run
            return
        if name not in runs:
            order.append(name)
        runs.setdefault(name, []).append(
            {key: _copied(reduced(reduce, key, part), part) for key, part in parts.items()}
        )

    def read(call: Callable[[], Any], rows: int) -> dict[str, Tensor]:
        nonlocal size, own
        for one in (runs, order, refused):
            one.clear()
        size, callers = rows, streams()
        put_streams(own)
        try:
            with torch.no_grad():
                call()
        finally:
            size, own = None, streams()
            put_streams(callers)
        if refused and not runs:
            raise refused[0]
        silent = [name for name in chosen.modules if name in chosen.required - runs.keys()]
        if silent or not runs:
            raise InputError(
                f"layers {', '.join(silent or chosen.modules)}: they did not run in a forward "
                "pass, so there is nothing to read; choose among those that do."
            )
        found: dict[str, Tensor] = {}
        for name in order:
            every = runs[name]
            for number, parts in enumerate(every, 1):
                # The run's number stands before the part: block#2[0].
                head = name if len(every) == 1 else f"{name}#{number}"
                found |= {head + key.removeprefix(name): part for key, part in parts.items()}
        runs.clear()
        return found

    with reading(model, chosen.modules, receive):
        yield read


def _copied(value: Tensor, source: Tensor) -> Tensor:
    """A copy, unless reducing made one."""
    shared = value.untyped_storage().data_ptr() == source.untyped_storage().data_ptr()
    return value.clone() if shared else value


def capture(
    model: nn.Module,
    inputs: Any,
    layers: Layers = None,
    *,
    batch_size: int = 256,
    call: Callable[[Any, slice], Any] | None = None,
    reduce: Reduce = None,
) -> Captured:
    """What the chosen layers return for ``inputs``: layer → tensor (n, …) on the CPU.

    Args:
        model: any module.
        inputs: a tensor (n, …), a tuple or mapping of such, a DataLoader or any iterable of
            batches; see `stratigraph.activations.batches`.
        layers: names, globs or types; see `stratigraph.activations.layers`.
        batch_size: inputs of one pass, where they are cut into batches here; at least 1.
        call: runs one pass on a batch and its slice of the n inputs; by default the batch is given
            to the model by its type.
        reduce: makes large maps smaller; see `stratigraph.activations.reduce`.

    Raises:
        InputError: no inputs, a batch size below 1, an unknown layer, a layer asked for by name
            that does not run, or one that returns no tensor with a row for every input; or, without
            ``call``, one that returns something else for the same inputs again.

    """
    n = count_of(inputs)
    batches = batches_of(inputs, batch_size)
    fingerprint = Fingerprint()
    found: dict[str, list[Tensor]] = {}
    done, checked = 0, call is not None
    with reader(model, layers, reduce) as read:
        for batch, rows in batches:
            if not checked:
                check_repeats(model, batch, rows, layers)
                checked = True
            fingerprint.add(batch)
            own = given(batch, model)
            at = slice(done, done + rows)

            def one_pass(own: Any = own, at: slice = at) -> Any:
                return run(model, own) if call is None else call(own, at)

            _keep(found, read(one_pass, rows), at, n)
            done += rows
    result = Captured()
    for name, parts in found.items():
        result[name] = parts[0] if len(parts) == 1 else torch.cat(parts)
    result.inputs = fingerprint.digest
    return result


def _keep(
    found: dict[str, list[Tensor]], read: dict[str, Tensor], at: slice, n: int | None
) -> None:
    """Put a batch's rows into one array each where n is known, and beside the others otherwise."""
    if at.start and read.keys() != found.keys():
        raise InputError(
            f"layers: inputs from {at.start} on gave {sorted(read.keys() ^ found.keys())} too or "
            "not, unlike those before; a network that runs other layers for other inputs cannot "
            "be read as a whole."
        )
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
        if place.shape != value.shape:
            raise InputError(
                f"layer {name}: expected {tuple(place.shape)} as in the first batch, got "
                f"{tuple(value.shape)}; inputs of one length, or `reduce`, make them alike."
            )
        place.copy_(value)


def check_repeats(
    model: nn.Module,
    batch: Any,
    rows: int,
    layers: Layers = None,
    call: Callable[[nn.Module, Any], Any] = run,
) -> None:
    """Refuse a network that answers the same inputs differently: it would be compared with noise.

    Raises:
        InputError: a layer's output is another in a second pass.

    """
    few, size = first_rows(batch, rows, REPEATED)
    with reader(model, layers) as read:
        first, second = (read(lambda: call(model, given(few, model)), size) for _ in range(2))
    for name, output in first.items():
        # A GPU may add in another order; noise that anyone would put in is far above this.
        again = second.get(name)
        rough = output.dtype in (torch.float16, torch.bfloat16)
        near = {"rtol": 1e-2, "atol": 1e-3} if rough else {"rtol": 1e-4, "atol": 1e-6}
        if again is None or not torch.allclose(output, again, equal_nan=True, **near):
            raise InputError(
                f"layer {name}: it returned other values for the same inputs in a second pass, in "
                "eval mode; it draws random numbers. Turn its dropout or sampling off, or pass "
                "`call`, which fixes the draw."
            )
