"""Networks that cannot be read, and what to do about each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import nn

from stratigraph.activations.axes import Seen, repeats
from stratigraph.activations.learned import Key
from stratigraph.errors import InputError

__all__ = ["refuse_draws", "refuse_meta", "refuse_unread"]


def refuse_meta(model: nn.Module, error: Exception | None = None) -> None:
    """Refuse a network whose weights are nowhere, since it does not run or gives no values."""
    meta = next((n for n, p in model.named_parameters() if p.is_meta), None)
    if meta is not None:
        raise InputError(
            f"model: {meta} is on the meta device, without values, and the network does not "
            f"run{f' ({error!s:.200})' if error else ''}; load its weights, or "
            "model.to_empty(device=…) and initialise them."
        ) from error


def refuse_draws(found: Mapping[Key, Seen], again: Mapping[Key, Seen]) -> None:
    """Refuse a network that answered the same inputs differently in a second pass."""
    for key, one in found.items():
        other = again.get(key)
        if other is None or not all(repeats(one, other, axis) for axis in one.sketches):
            raise InputError(
                f"layer {key[0]}: it returned different values for the same inputs in a second "
                "pass, in eval mode; it draws random numbers. Turn its dropout or sampling off, "
                "or pass a `call` that fixes the draw."
            )


def refuse_unread(model: nn.Module, chosen: Iterable[str], left_out: Mapping[str, str]) -> None:
    """Refuse a network of which none of the chosen layers can be read.

    Raises:
        InputError: always; it says why the first of them cannot, or that they did not run.

    """
    for name, why in left_out.items():
        raise InputError(f"layer {name}: {why}; no layer of the network can be read.")
    if hasattr(model, "graph"):
        raise InputError(
            "layers: no module runs inside an exported graph; give "
            "torch.export.unflatten(program), which has the modules."
        )
    raise InputError(
        f"layers {', '.join(chosen) or 'none'}: they did not run in a forward pass, so there is "
        "nothing to read; choose layers that do. (Hooks do not see a module whose `forward` is "
        "called directly.)"
    )
