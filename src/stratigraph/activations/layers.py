"""Which layers are meant: by name, by glob or by type, in the order of the network.

====================  =========================================================================
``encoder.conv1``     the module of that name in ``named_modules()``
``encoder.*``         a glob: ``*`` and ``?`` stay within one level, ``**`` does not
``nn.Linear``         a type: every module of it, subclasses too
``type:*Conv*``       the same by a glob of class names, for study files and the shell
``block[0]``          one part of what ``block`` returns (`stratigraph.activations.outputs`)
``block#2``           its second run in a pass, of a module that runs several times
nothing               the model's own ``layer_names()`` where it has them, else the leaves that run
====================  =========================================================================

A module that stands in the network under two names has the first, and can be asked for by either.

The leaves are those of the calls that happen: a module in whose run no other module ran. So torch's
attention is one, which has a module inside that never runs, and so is a quantised module.

A layer that is named in full has to run; of those that a glob, a type or nothing brings, the ones
that do not run in a pass are left out, such as a head that is not used.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from stratigraph.errors import InputError, suggest

__all__ = ["Chosen", "Layers", "choose_layers", "select_layers"]

Layers = str | type[nn.Module] | Sequence[str | type[nn.Module]] | None

OF_TYPE = "type:"
# A module's name, which of its runs, and a part of what it returns.
ASKED = re.compile(r"(.+?)(?:#(\d+))?((?:\[[^\[\]]+\])*)")


@dataclass(frozen=True)
class Chosen:
    """Layers of a network.

    Attributes:
        modules: the modules to hook, in the order of the network.
        required: those of them that have to run in every pass.
        parts: module → (run, part) wanted of what it returns, a run of 0 being every one and an
            empty part all of them; nothing means all.
        leaves: of these modules, those are meant that are leaves of the calls of a pass.

    """

    modules: tuple[str, ...]
    required: frozenset[str]
    parts: dict[str, frozenset[tuple[int, str]]]
    leaves: bool = False


def select_layers(model: nn.Module, layers: Layers = None) -> list[str]:
    """The modules meant by names, globs and types, in the order of the network.

    Which leaves run is known by a pass alone: here nothing means the modules without any inside.

    Raises:
        InputError: a name, glob or type that matches nothing; near names are in the message.

    """
    chosen = choose_layers(model, layers)
    if not chosen.leaves:
        return list(chosen.modules)
    return [name for name in chosen.modules if not _children(model.get_submodule(name))]


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
        return Chosen(tuple(modules), frozenset(), {}, leaves=True)
    chosen: set[str] = set()
    required: set[str] = set()
    parts: dict[str, set[tuple[int, str]] | None] = {}
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
            matched = _named(model, modules, pattern, parts)
            if (asked := ASKED.fullmatch(pattern)) and (asked[1] in matched or pattern in matched):
                required.update(matched)
        chosen.update(matched)
    wanted = {name: frozenset(some) for name, some in parts.items() if some is not None}
    ordered = (*(n for n in modules if n in chosen), *sorted(chosen - modules.keys()))
    return Chosen(ordered, frozenset(required), wanted)


def check_readable(model: nn.Module) -> None:
    """Refuse what has no layers that can be read, in words of ours.

    Raises:
        InputError: it is no module, is compiled by TorchScript, or has weights without a shape yet.

    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model: expected a torch.nn.Module, got {model!r:.80}.")
    if isinstance(model, torch.jit.ScriptModule):
        raise InputError(
            f"model: a TorchScript module ({model.original_name}) runs without Python's hooks; "
            "give the nn.Module that it was made from."
        )
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(tensor):
            raise InputError(
                f"model: {name} has no shape yet: a lazy module sets itself up in its first "
                "pass, and reading must not do that. Run the network once yourself first, on "
                "inputs like those it will get."
            )


def _named(
    model: nn.Module,
    modules: dict[str, nn.Module],
    pattern: str,
    parts: dict[str, set[tuple[int, str]] | None],
) -> list[str]:
    """The modules of a name or glob; what it asks of their outputs goes into ``parts``."""
    asked = ASKED.fullmatch(pattern)
    name, run, part = (asked[1], int(asked[2] or 0), asked[3]) if asked else (pattern, 0, "")
    if pattern in modules:
        name, run, part = pattern, 0, ""
    if name in modules or _other_name(model, name):
        matched = [name]  # most are names in full, and a network has hundreds of modules
    else:
        expression = re.compile(_expression(name))
        matched = [known for known in modules if expression.fullmatch(known)]
    if not matched:
        raise InputError(
            f"layers: the network has no layer {pattern!r}.{suggest(pattern, modules)}"
        )
    for known in matched:
        some = parts.setdefault(known, set())
        if (run or part) and some is not None:
            some.add((run, part))
        else:
            parts[known] = None  # asked for as a whole
    return matched


def _other_name(model: nn.Module, name: str) -> bool:
    """Whether a shared module has this name too, which `named_modules` leaves away."""
    try:
        return bool(name) and isinstance(model.get_submodule(name), nn.Module)
    except AttributeError:
        return False


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
