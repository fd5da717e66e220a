"""A network as it was found: what passes may change in it, and how that is put back.

Beside its modes and buffers a network has state in plain attributes: a flag that says whether it
has started, a cache of positions, a counter. All of them are noted before the first pass, with the
values of tensors, containers inside containers and the attributes of plain objects, and put back
after the last. What cannot be put back is told, and does not keep the rest from it.

Modes are set by the attribute and not by ``eval()``, which networks override to merge their weights
or to drop a cache. While a network is read its compiled parts run as they were written, so that
hooks see them; torch's fused attention, which hands its layers nested tensors and passes them by,
is off; and modules of `DistributedDataParallel` send nothing to other processes.
"""

from __future__ import annotations

import sys
import warnings
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["State", "undisturbed", "unwrapped"]

CONTAINERS = (dict, OrderedDict, defaultdict, list, set, deque)
LARGE = 1 << 24  # bytes: a plain attribute above this is data rather than state, and not copied
BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def unwrapped(model: Any) -> Any:
    """What is read in place of a network: what a data-parallel or compiled one wraps.

    Of an exported program that is the same with its modules.
    """
    if type(model).__name__ == "ExportedProgram":
        model = torch.export.unflatten(model)
    while isinstance(model, nn.Module):
        if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
            model = model.module
        elif _compiled(model) and "_orig_mod" in model._modules:
            model = model._modules["_orig_mod"]
        else:
            break
    return model


class State:
    """What passes may change in a network, as it was.

    Args:
        model: the network.
        weights: note the values of parameters too.

    """

    def __init__(self, model: nn.Module, weights: bool = False) -> None:
        self.attributes: list[tuple[str, Any, dict[str, Any]]] = []
        self.containers: dict[int, tuple[str, Any, Any]] = {}
        self.tensors: dict[int, tuple[str, Tensor, Tensor]] = {}
        self.modes: list[tuple[nn.Module, bool]] = []
        self._objects: set[int] = set()
        for name, module in model.named_modules():
            head = f"{name}." if name else ""
            self.modes.append((module, module.training))
            self.attributes.append((head, module, dict(module.__dict__)))
            for key, value in module.__dict__.items():
                self._note_any(head + key.lstrip("_"), value)
            for key, buffer in module._buffers.items():
                self._note(head + key, buffer)
            for key, weight in module._parameters.items() if weights else ():
                self._note(head + key, weight, parameters=True)

    def _note_any(self, name: str, value: Any, inside: bool = False) -> None:
        """Note a plain attribute, and what is in it; ``inside``: of an object."""
        if type(value) in CONTAINERS or type(value) is tuple:
            if id(value) in self.containers:
                return
            if type(value) is not tuple:
                self.containers[id(value)] = (name, value, value.copy())
            for part in value.values() if isinstance(value, dict) else value:
                self._note_any(name, part, inside)
        elif _plain(value) and not inside and id(value) not in self._objects:
            self._objects.add(id(value))
            self.attributes.append((f"{name}.", value, dict(value.__dict__)))
            for key, part in value.__dict__.items():
                self._note_any(f"{name}.{key}", part, inside=True)
        else:
            self._note(name, value, LARGE)

    def _note(
        self, name: str, value: Any, most: int | None = None, parameters: bool = False
    ) -> None:
        if not isinstance(value, Tensor) or value.is_meta:
            return
        if isinstance(value, nn.Parameter) and not parameters:
            return
        if most is not None and value.numel() * value.element_size() > most:
            return
        self.tensors[id(value)] = (name, value, value.detach().clone())

    def changed(self) -> list[str]:
        """Names of what is no longer as it was, hooks and modes aside."""
        found = [
            name for name, tensor, values in self.tensors.values() if not _same(tensor, values)
        ]
        for head, module, before in self.attributes:
            now = module.__dict__
            keys = [k for k in before.keys() | now.keys() if now.get(k) is not before.get(k)]
            found += [head + k for k in keys if not k.startswith("__") and k != "training"]
        for name, value, copy in self.containers.values():
            if "_hooks" not in name and not _alike(value, copy):
                found.append(name)
        return sorted(set(found))

    def put_back(self) -> None:
        """Make everything as it was; what cannot be is told in a warning at the end."""
        lost: list[str] = []

        def attempt(name: str, step: Any, *arguments: Any) -> None:
            try:
                step(*arguments)
            except Exception as error:  # whatever it is, the rest is still to be put back
                lost.append(f"{name} ({error!s:.80})")

        for head, module, before in self.attributes:
            attempt(head + "attributes", _put_attributes, module, before)
        for name, value, copy in self.containers.values():
            attempt(name, _put_container, value, copy)
        for name, tensor, values in self.tensors.values():
            attempt(name, _put_tensor, tensor, values)
        for module, mode in self.modes:
            attempt("training", _put_mode, module, mode)
        if lost:
            text = f"The network is not wholly as it was before it was read: {'; '.join(lost)}."
            warnings.warn(text, stacklevel=2)


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[State]:
    """Within the context the network may be run, in evaluation; after it all is as before."""
    state = State(model)
    fused = torch.backends.mha.get_fastpath_enabled()
    try:
        for module in model.modules():
            _put_mode(module, False)
            if isinstance(module, nn.parallel.DistributedDataParallel):
                module.require_forward_param_sync = False  # no broadcast of buffers
        torch.backends.mha.set_fastpath_enabled(False)
        with ExitStack() as stack:
            if any(map(_compiled, model.modules())):
                stack.enter_context(torch.compiler.set_stance("force_eager"))
            yield state
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        state.put_back()


def _plain(value: Any) -> bool:
    """Whether it is an object with attributes, and no module, tensor, class or function."""
    if not hasattr(value, "__dict__") or isinstance(value, nn.Module | Tensor | type | ModuleType):
        return False
    return type(value).__module__ != "builtins" and type(value.__dict__) is dict


def _compiled(module: nn.Module) -> bool:
    if "torch._dynamo" not in sys.modules:  # importing it takes seconds
        return False
    return type(module).__name__ == "OptimizedModule" or module._compiled_call_impl is not None


def _put_mode(module: nn.Module, mode: bool) -> None:
    if module.training != mode:
        module.training = mode


def _put_attributes(module: Any, before: dict[str, Any]) -> None:
    now = module.__dict__
    for key in now.keys() - before.keys():
        del now[key]
    for key, value in before.items():
        if now.get(key) is not value or key not in now:
            now[key] = value


def _put_container(value: Any, copy: Any) -> None:
    if _alike(value, copy):
        return
    value.clear()
    value.extend(copy) if isinstance(value, list | deque) else value.update(copy)


def _alike(value: Any, copy: Any) -> bool:
    if isinstance(value, dict):
        pairs = zip(value.items(), copy.items(), strict=False)
        return len(value) == len(copy) and all(k is c and v is w for (k, v), (c, w) in pairs)
    if isinstance(value, set):
        return bool(value == copy)
    return len(value) == len(copy) and all(v is c for v, c in zip(value, copy, strict=True))


def _put_tensor(tensor: Tensor, values: Tensor) -> None:
    if _same(tensor, values):
        return
    with torch.inference_mode(tensor.is_inference()), torch.no_grad():
        try:
            tensor.copy_(values)
        except RuntimeError:  # of another size than it was, or a layout that cannot be copied into
            tensor.data = values


def _same(tensor: Tensor, values: Tensor) -> bool:
    """Equal to the bit."""
    if tensor.shape != values.shape or tensor.dtype != values.dtype:
        return False
    parts = zip(_stored(tensor), _stored(values), strict=False)
    return all(a.shape == b.shape and torch.equal(_bits(a), _bits(b)) for a, b in parts)


def _stored(tensor: Tensor) -> list[Tensor]:
    """The dense tensors that hold one of any layout."""
    tensor = tensor.detach()
    if tensor.is_nested:
        return list(tensor.unbind())
    if tensor.layout is torch.sparse_coo:
        return [tensor._indices(), tensor._values()]
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return [tensor.crow_indices(), tensor.col_indices(), tensor.values()]
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return [tensor.ccol_indices(), tensor.row_indices(), tensor.values()]
    return [tensor.int_repr()] if tensor.is_quantized else [tensor]


def _bits(tensor: Tensor) -> Tensor:
    tensor = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    return tensor.view(BITS[tensor.element_size()])
