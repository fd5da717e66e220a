"""What a few small passes tell of a network: which layers can be read, and along which axis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from stratigraph.activations.axes import Seen, depends
from stratigraph.activations.layers import Chosen
from stratigraph.errors import InputError

__all__ = ["Key", "Learned", "channels_of", "choose_parts", "count_runs", "without_dependent"]

Key = tuple[str, int, str]  # a module's name, which of its runs, the part of what it returned

# Files of torch.nn whose modules take (n, channels, tokens…).
CHANNELS_FIRST = ("conv", "batchnorm", "instancenorm", "pooling", "upsampling", "pixelshuffle")


@dataclass(frozen=True)
class Learned:
    """The layers that are read.

    Attributes:
        axes: the inputs' axis of each, and how many axes it has.
        labels: what each is called, in the order in which they ran.
        left_out: layer → why it is not read.
        masked: the arguments that were masks, as (module, argument).
        fixed: the number of inputs that the network ran on, which does not run on few; or 0.
        channels: sizes of the axis that convolutions over tokens put before them.
        runs: how often each module ran of which every run is read.

    """

    axes: dict[Key, tuple[int, int]]
    labels: dict[Key, str]
    left_out: dict[str, str] = field(default_factory=dict)
    masked: frozenset[tuple[str, str]] = frozenset()
    fixed: int = 0
    channels: frozenset[int] = frozenset()
    runs: dict[str, int] = field(default_factory=dict)

    def only(self, names: Iterable[str]) -> Learned:
        """The same of some of the layers."""
        some = set(names)
        labels = {key: label for key, label in self.labels.items() if label in some}
        read = {key[0] for key in labels}
        return replace(
            self,
            labels=labels,
            axes={key: self.axes[key] for key in labels},
            runs={name: count for name, count in self.runs.items() if name in read},
        )


def choose_parts(
    chosen: Chosen,
    modules: Mapping[str, nn.Module],
    names: Mapping[str, list[str]],
    seen: Mapping[Key, Seen],
    axes: Mapping[Key, int | str],
    runs: Mapping[str, int],
    leaves: Iterable[str],
) -> tuple[dict[Key, str], dict[str, str]]:
    """What every part that is read is called, and why others are left out.

    Args:
        chosen: the layers that are meant.
        modules: name → module.
        names: name → what the module was asked for by.
        seen: outputs of the first pass, in their order.
        axes: the inputs' axis of each, or why it has none.
        runs: name → how often the module ran.
        leaves: modules that had a call without another inside.

    Raises:
        InputError: a layer that was asked for by its name did not run, or has nothing to read.

    """
    labels: dict[Key, str] = {}
    left_out: dict[str, str] = {}
    for name in runs:
        if chosen.leaves and name not in leaves:
            continue
        for asked in names[name]:
            wanted = chosen.parts.get(asked)
            mine = [key for key in seen if key[0] == name and _wanted(key, wanted)]
            good = [key for key in mine if isinstance(axes[key], int)]
            for key in mine:
                head = asked if runs[name] == 1 else f"{asked}#{key[1]}"
                if key not in good:
                    left_out[head + key[2]] = str(axes[key])
                    continue
                alone = sum(other[1] == key[1] for other in good) == 1
                main = isinstance(modules[name], nn.RNNBase) and key[2] == "[0]"
                bare = (alone or main) and not _by_part(key, wanted)
                labels[key] = head if bare else head + key[2]
            if asked in chosen.required:
                _check_required(asked, wanted, [key for key in seen if key[0] == name], axes)
    ran_as = {asked for name in runs for asked in names[name]}
    silent = [name for name in chosen.modules if name in chosen.required - ran_as]
    if silent:
        raise InputError(
            f"layers {', '.join(silent)}: they did not run in a forward pass, so there is "
            "nothing to read; choose layers that do."
        )
    return labels, left_out


def _wanted(key: Key, wanted: frozenset[tuple[int, str]] | None) -> bool:
    return wanted is None or any(_is(key, run, part) for run, part in wanted)


def _is(key: Key, run: int, part: str) -> bool:
    return run in (0, key[1]) and (key[2] + "[").startswith(part + "[" if part else "")


def _by_part(key: Key, wanted: frozenset[tuple[int, str]] | None) -> bool:
    return wanted is not None and any(part and _is(key, run, part) for run, part in wanted)


def _check_required(
    name: str,
    wanted: frozenset[tuple[int, str]] | None,
    every: list[Key],
    axes: Mapping[Key, int | str],
) -> None:
    good = [key for key in every if isinstance(axes[key], int)]
    if wanted is None and not good:
        why = "; ".join(f"{key[2]} {axes[key]}".strip() for key in every)
        raise InputError(
            f"layer {name}: expected a tensor with a row for every input: "
            f"{why or 'it returned no tensor'}; read another layer, or one of its children, "
            "instead."
        )
    for run, part in sorted(wanted or ()):
        if not any(_is(key, run, part) for key in good):
            asked = f"{name}#{run}{part}" if run else name + part
            why = next((f": {axes[key]}" for key in every if _is(key, run, part)), "")
            has = dict.fromkeys(
                f"{name}#{key[1]}{key[2]}" if run else name + key[2] for key in good
            )
            raise InputError(
                f"layer {name}: it returned no part {asked} with a row for every input{why}; it "
                f"has {', '.join(has) or 'none'}."
            )


def without_dependent(
    one: Mapping[Key, Seen],
    two: Mapping[Key, Seen],
    axes: dict[Key, int | str],
    modules: Iterable[nn.Module],
    place: int | None = None,
) -> None:
    """Leave out what inputs give differently where others stand beside them; see `depends`."""
    quantised = any("quantized" in type(module).__module__ for module in modules)
    for key, axis in axes.items():
        if not isinstance(axis, int) or key not in two:
            continue
        if depends(one[key], two[key], axis, place, quantised=quantised):
            axes[key] = "what an input gives depends on the other inputs of its batch"


def count_runs(
    ran: Mapping[str, int],
    labels: Iterable[Key],
    chosen: Chosen,
    names: Mapping[str, list[str]],
) -> dict[str, int]:
    """How often each module ran, but for those of which a single run was asked for."""
    read = {key[0] for key in labels}

    def is_whole(name: str) -> bool:
        parts = (part for asked in names[name] for part in chosen.parts.get(asked, ()))
        return not any(number for number, _ in parts)

    return {name: count for name, count in ran.items() if name in read and is_whole(name)}


def channels_of(module: nn.Module, output: Any) -> set[int]:
    """Sizes of the axis that a module of (n, channels, tokens…) puts before tokens."""
    kinds = (kind.__module__.removeprefix("torch.nn.modules.") for kind in type(module).__mro__)
    first = isinstance(module, nn.GroupNorm) or any(kind in CHANNELS_FIRST for kind in kinds)
    if not first or getattr(output, "ndim", 0) < 3:
        return set()
    return {output.shape[1], getattr(module, "in_channels", output.shape[1])}
