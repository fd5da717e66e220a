"""Which layers are meant: by name, by glob or by type, in the order of the network.

====================  =========================================================================
``encoder.conv1``     the module of that name in ``named_modules()``
``encoder.*``         a glob: ``*`` and ``?`` stay within one level, ``**`` does not
``nn.Linear``         a type: every module of it, subclasses too
``type:*Conv*``       the same by a glob of class names, for study files and the shell
``block[0]``          one part of what ``block`` returns (`stratigraph.activations.outputs`)
nothing               the model's own ``layer_names()`` where it has them, its leaves otherwise
====================  =========================================================================

A layer that is named in full has to run; of those that a glob, a type or nothing brings, the ones
that do not run in a pass are left out (a head that is not used, the projection inside torch's
attention).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from stratigraph.errors import InputError, suggest

__all__ = ["Chosen", "Layers", "choose_layers", "select_layers"]

Layers = str | type[nn.Module] | Sequence[str | type[nn.Module]] | None

OF_TYPE = "type:"
PART = re.compile(r"(.+?)((?:\[[^\[\]]+\])+)")  # a module's name, and a part of what it returns


@dataclass(frozen=True)
class Chosen:
    """Layers of a network.

    Attributes:
        modules: the modules to hook, in the order of the network.
        required: those of them that have to run in every pass.
        parts: module → the parts that are wanted of what it returns; nothing means all.

    """

    modules: tuple[str, ...]
    required: frozenset[str]
    parts: dict[str, frozenset[str]]


def select_layers(model: nn.Module, layers: Layers = None) -> list[str]:
    """The layers meant by names, globs and types, in the order of the network.

    Raises:
        InputError: a name, glob or type that matches nothing; near names are in the message.

    """
    return list(choose_layers(model, layers).modules)


def choose_layers(model: nn.Module, layers: Layers = None) -> Chosen:
    """The layers meant, and which of them have to run.

    Raises:
        InputError: a name, glob or type that matches nothing; near names are in the message. Or a
            network that cannot be read.

    """
    check_readable(model)
    modules = {name: module for name, module in model.named_modules() if name}
    if layers is None:
        own = getattr(model, "layer_names", None)
        if callable(own):
            names = tuple(own())
            return Chosen(names, frozenset(names), {})
        leaves = (name for name, module in modules.items() if not _children(module))
        return Chosen(tuple(leaves), frozenset(), {})
    chosen: set[str] = set()
    required: set[str] = set()
    parts: dict[str, set[str] | None] = {}
    wanted: Any = layers
    several = isinstance(wanted, Iterable) and not isinstance(wanted, str | type)
    for pattern in wanted if several else [wanted]:
        if not isinstance(pattern, str | type):
            raise InputError(
                "layers: expected names, globs or types, such as "
                f"{next(iter(modules), 'conv1')!r}, got {pattern!r}."
            )
        if isinstance(pattern, type):
            matched = [name for name, module in modules.items() if isinstance(module, pattern)]
            if not matched:
                raise InputError(
                    f"layers: the network has no layer of type {pattern.__name__}."
                    + suggest(pattern.__name__, {type(m).__name__ for m in modules.values()})
                )
        elif pattern.startswith(OF_TYPE):
            matched = _of_type(modules, pattern.removeprefix(OF_TYPE))
        else:
            matched = _named(modules, pattern, parts)
        if isinstance(pattern, str) and pattern.partition("[")[0] in modules:
            required.update(matched)
        chosen.update(matched)
    wanted = {name: frozenset(some) for name, some in parts.items() if some is not None}
    ordered = tuple(name for name in modules if name in chosen)
    return Chosen(ordered, frozenset(required), wanted)


def check_readable(model: nn.Module) -> None:
    """Refuse what has no layers that can be read, in words of ours.

    Raises:
        InputError: it is no module, is compiled by TorchScript, or has no memory for its weights.

    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model: expected a torch.nn.Module, got {model!r:.80}.")
    if isinstance(model, torch.jit.ScriptModule):
        raise InputError(
            f"model: a TorchScript module ({model.original_name}) runs without Python's hooks; "
            "give the nn.Module that it was made of."
        )
    empty = (n for n, p in (*model.named_parameters(), *model.named_buffers()) if p.is_meta)
    if (first := next(empty, None)) is not None:
        raise InputError(
            f"model: {first} is on the meta device, without values; load its weights, or "
            "model.to_empty(device=…) and initialise them."
        )


def _named(
    modules: dict[str, nn.Module], pattern: str, parts: dict[str, set[str] | None]
) -> list[str]:
    """The modules of a name or glob; what it asks of their outputs goes into ``parts``."""
    found = PART.fullmatch(pattern)
    name, part = (found[1], found[2]) if found else (pattern, "")
    if name in modules:  # most are names in full, and a network has hundreds of modules
        matched = [name]
    else:
        expression = re.compile(_expression(name))
        matched = [known for known in modules if expression.fullmatch(known)]
    if not matched:
        raise InputError(
            f"layers: the network has no layer {pattern!r}.{suggest(pattern, modules)}"
        )
    for known in matched:
        some = parts.setdefault(known, set())
        if part and some is not None:
            some.add(part)
        else:
            parts[known] = None  # asked for as a whole
    return matched


def _of_type(modules: dict[str, nn.Module], pattern: str) -> list[str]:
    types = {name: type(module).__name__ for name, module in modules.items()}
    matched = [name for name, kind in types.items() if fnmatch.fnmatchcase(kind, pattern)]
    if not matched:
        raise InputError(
            f"layers: the network has no layer of type {pattern!r}."
            + suggest(pattern, set(types.values()))
        )
    return matched


def _expression(pattern: str) -> str:
    """A glob as a regular expression: ``*`` and ``?`` stay within one level, ``**`` does not."""
    parts = {"**": ".*", "*": r"[^.]*", "?": r"[^.]"}
    return "".join(parts.get(t, re.escape(t)) for t in re.findall(r"\*\*|.", pattern))


def _children(module: nn.Module) -> bool:
    return next(module.children(), None) is not None
