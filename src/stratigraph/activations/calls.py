"""The calls of a network's modules, as they happen: which ran inside which, and with what masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

from stratigraph.activations.masks import Mask, known_arguments, masks_among, of_pairs

__all__ = ["Call", "Calls"]


@dataclass
class Call:
    """One run of a module.

    Attributes:
        name: the module's; the network's own is empty.
        number: which of its runs in this pass, from 1.
        masks: given to it.
        leaf: no other module ran inside.
        bears: it was given a mask, and none of the modules inside was.

    """

    name: str
    number: int
    masks: list[Mask] = field(default_factory=list)
    leaf: bool = True
    bears: bool = False


class Calls:
    """Hooks on all modules of a network.

    Args:
        model: the network.
        receive: told of each call and its module's output, which what runs next may change in
            place: it copies what it keeps.

    Attributes:
        masked: (module, argument) of the masks that count; None: every one.
        late: arguments of this pass that look like masks, and are not among them.

    """

    def __init__(self, model: nn.Module, receive: Callable[[Call, nn.Module, Any], None]) -> None:
        self.model, self.receive = model, receive
        self.stack: list[Call] = []
        self.rows: int | None = None  # of the pass that is going on; None: nobody listens
        self.masked: frozenset[tuple[str, str]] | None = None
        self.late: list[str] = []
        self._counts: Counter[str] = Counter()

    def begin(self, rows: int) -> None:
        """A pass of so many inputs begins."""
        self.stack.clear()
        self._counts.clear()
        self.late.clear()
        self.rows = rows

    def end(self) -> None:
        """It is over."""
        self.rows = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within the context the hooks are there."""
        handles = []
        try:
            for name, module in _modules(self.model):
                before, after = self._hooks(name, known_arguments(module))
                # The base class's, since a TorchScript module refuses by a method of its own.
                handles.append(
                    nn.Module.register_forward_pre_hook(module, before, with_kwargs=True)
                )
                handles.append(nn.Module.register_forward_hook(module, after))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hooks(self, name: str, places: dict[str, int]) -> tuple[Callable, Callable]:
        def before(module: nn.Module, args: Any, kwargs: Any) -> None:
            if self.rows is None:
                return
            self._counts[name] += 1
            call = Call(name, self._counts[name])
            call.masks = self._that_count(name, masks_among(places, args, kwargs, self.rows))
            call.bears = not all(mask.others or mask.unclear for mask in call.masks)
            for outer in self.stack:
                outer.leaf = False
                outer.bears = outer.bears and not call.masks
            self.stack.append(call)

        def after(module: nn.Module, args: Any, output: Any) -> None:
            if self.rows is None:
                return
            while self.stack and self.stack[-1].name != name:
                self.stack.pop()  # it failed, and the network went on without it
            if self.stack:
                self.receive(self.stack[-1], module, output)
                self.stack.pop()

        return before, after

    def _that_count(self, name: str, masks: list[Mask]) -> list[Mask]:
        if self.masked is None:
            return masks
        count = []
        for mask in masks:
            if not mask.name or (name, mask.name) in self.masked:
                count.append(mask)
            elif not (mask.others or mask.unclear or of_pairs(mask)):
                self.late.append(mask.name)
        return count


def _modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Those whose calls are seen: not what makes weights, nor the inside of TorchScript."""
    closed: list[str] = []
    for name, module in model.named_modules():
        if any(name.startswith(f"{outer}.") for outer in closed):
            continue
        if isinstance(module, ParametrizationList):
            closed.append(name)
            continue
        if isinstance(module, torch.jit.ScriptModule):
            closed.append(name)
        yield name, module
