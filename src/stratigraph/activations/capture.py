"""Reading named layers of any network, while it runs.

Forward hooks copy what each chosen module returns, at the moment it returns it, so an in-place
operation downstream cannot change what was read. The network runs in ``eval`` and
``inference_mode``, and is left in the mode it was found in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from stratigraph.errors import InputError, suggest

__all__ = ["capture", "reading", "select_layers"]


REPEATED = 8  # inputs on which two passes are compared


def select_layers(model: nn.Module, layers: Sequence[str] | None = None) -> list[str]:
    """The layers meant by names and globs, in the order of the network.

    Args:
        model: any module.
        layers: dotted names of ``named_modules()`` or globs (``encoder.*`` one level down, ``**``
            at any depth); nothing means the model's own ``layer_names()`` where it has them, and
            its leaves otherwise.

    Raises:
        InputError: a name or glob that matches nothing; near names are in the message.

    """
    known = [name for name, _ in model.named_modules() if name]
    if layers is None:
        own = getattr(model, "layer_names", None)
        if callable(own):
            return list(own())
        return [name for name, module in model.named_modules() if name and not _children(module)]
    chosen = set()
    for pattern in [layers] if isinstance(layers, str) else layers:
        matched = [name for name in known if re.fullmatch(_expression(pattern), name)]
        if not matched:
            raise InputError(
                f"layers: the network has no layer {pattern!r}.{suggest(pattern, known)}"
            )
        chosen.update(matched)
    return [name for name in known if name in chosen]


def _expression(pattern: str) -> str:
    """A glob as a regular expression: ``*`` and ``?`` stay within one level, ``**`` does not."""
    parts = {"**": ".*", "*": r"[^.]*", "?": r"[^.]"}
    return "".join(parts.get(t, re.escape(t)) for t in re.findall(r"\*\*|.", pattern))


def _children(module: nn.Module) -> bool:
    return next(module.children(), None) is not None


@contextmanager
def reading(
    model: nn.Module, layers: Sequence[str], receive: Callable[[str, Tensor], None]
) -> Iterator[None]:
    """Within the context, call ``receive(name, output)`` each time a chosen layer returns.

    ``output`` may be changed in place by what runs next: ``receive`` copies what it keeps. The
    network is in ``eval`` mode and gradients are off.

    Raises:
        InputError: a layer returns something other than a tensor.

    """

    def hook(name: str) -> Callable[..., None]:
        def called(module: nn.Module, args: Any, output: Any) -> None:
            if not isinstance(output, Tensor):
                raise InputError(
                    f"layer {name}: expected a tensor, it returned {type(output).__name__}; "
                    "read one of its children instead."
                )
            receive(name, output)

        return called

    modules = dict(model.named_modules())
    training = {name: module.training for name, module in modules.items()}
    handles = [modules[name].register_forward_hook(hook(name)) for name in layers]
    try:
        model.eval()
        with torch.inference_mode():
            yield
    finally:
        for handle in handles:
            handle.remove()
        for name, module in modules.items():
            module.training = training[name]


def capture(
    model: nn.Module,
    inputs: Tensor,
    layers: Sequence[str] | None = None,
    *,
    batch_size: int = 256,
    call: Callable[[Tensor, slice], Any] | None = None,
) -> dict[str, Tensor]:
    """What the chosen layers return for ``inputs``: layer → tensor (n, …) on the CPU.

    Args:
        model: any module.
        inputs: (n, …), given to the model ``batch_size`` at a time, on the model's device.
        layers: names or globs; see `select_layers`.
        batch_size: inputs of one pass; at least 1.
        call: runs one pass on a batch and its slice of the n inputs; by default ``model(batch)``.

    Raises:
        InputError: no inputs, a batch size below 1, an unknown layer, a layer that runs never or
            more than once in a pass, or one that returns no tensor with a row for every input;
            or, without ``call``, one that returns something else for the same inputs again.

    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise InputError(f"batch_size: expected a whole number ≥ 1, got {batch_size!r}.")
    if inputs.ndim == 0 or len(inputs) == 0:
        raise InputError(f"inputs: expected (n, …) with n ≥ 1, got shape {tuple(inputs.shape)}.")
    names = select_layers(model, layers)
    parameter = next(model.parameters(), None)
    device = inputs.device if parameter is None else parameter.device
    read: dict[str, Tensor] = {}
    seen: set[str] = set()
    rows = slice(0, 0)

    def receive(name: str, output: Tensor) -> None:
        if name in seen:
            raise InputError(
                f"layer {name}: it runs more than once in a pass, so its output is not one "
                "thing; read a layer that runs once."
            )
        seen.add(name)
        size = rows.stop - rows.start
        if output.ndim == 0 or len(output) != size:
            raise InputError(
                f"layer {name}: expected a first axis of {size}, one row for each input, "
                f"got shape {tuple(output.shape)}."
            )
        if name not in read:
            # A normal tensor, not one of inference mode: the caller may differentiate through it.
            with torch.inference_mode(False):
                read[name] = torch.empty((len(inputs), *output.shape[1:]), dtype=output.dtype)
        read[name][rows] = output

    if call is None:
        _check_repeats(model, inputs[: min(REPEATED, batch_size)].to(device), names)
    with reading(model, names, receive):
        for start in range(0, len(inputs), batch_size):
            rows = slice(start, min(start + batch_size, len(inputs)))
            seen.clear()
            batch = inputs[rows].to(device)
            if call is None:
                model(batch)
            else:
                call(batch, rows)
            silent = [name for name in names if name not in seen]
            if silent:
                raise InputError(
                    f"layers {', '.join(silent)}: they did not run in a forward pass, so there is "
                    "nothing to read; choose among those that do."
                )
    return read


def _check_repeats(model: nn.Module, inputs: Tensor, names: Sequence[str]) -> None:
    """Refuse a network that answers the same inputs differently: it would be compared with noise.

    Raises:
        InputError: a layer's output is another in a second pass.

    """
    passes: list[dict[str, Tensor]] = []
    with reading(model, names, lambda name, output: passes[-1].update({name: output.clone()})):
        for _ in range(2):
            passes.append({})
            model(inputs)
    for name, output in passes[0].items():
        # A GPU may add in another order; noise that anyone would put in is far above this.
        again = passes[1][name]
        if not torch.allclose(output, again, rtol=1e-4, atol=1e-6, equal_nan=True):
            raise InputError(
                f"layer {name}: it returned other values for the same inputs in a second pass, in "
                "eval mode; it draws random numbers. Turn its dropout or sampling off, or pass "
                "`call`, which fixes the draw."
            )
