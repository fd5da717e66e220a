"""Weights that others wrote, put into a network of which the names may differ by a wrapper.

Wrappers leave their names in a file: ``module.`` (DataParallel, DDP, averaged models),
``_orig_mod.`` (torch.compile), ``model.`` and others (Lightning, any module that holds the
network). Names are matched exactly; else without what compiling and sharding put in between; else
under one prefix, of the file or of the network, that makes every name fit. What was done is said.

A prefix that leaves tensors of the file unused is taken only where it is one of `WRAPPERS`, or is
given: the rest may be a loss or an optimiser's, or it may be the network that was meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from stratigraph.errors import DataError
from stratigraph.records.foreign import read_weights

__all__ = ["load_weights"]

MOST_TOLD = 10
WRAPPERS = ("module", "_orig_mod", "model", "net", "network")
WRAPPED = re.compile(rf"(?:(?:{'|'.join(WRAPPERS)})\.)+")
BETWEEN = re.compile(r"(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
COUNTED = "num_batches_tracked"  # of BatchNorm: not in old files, and not used in eval mode


@dataclass(frozen=True)
class _Match:
    """How names of a file are names of the network: network's → file's."""

    names: dict[str, str]
    said: str = ""
    rest: tuple[str, ...] = ()  # names of the file that the network has no use for


def load_weights(
    model: nn.Module, path: str | Path, *, key: str | None = None, prefix: str | None = None
) -> str:
    """Put the weights of a file that somebody else wrote into ``model``; all of them fit, or none.

    Args:
        model: the network.
        path: a file, or the folder of a checkpoint (`read_weights`).
        key: of the file that holds several sets of weights.
        prefix: that the network's names have in the file; by default it is found.

    Returns:
        What had to be done for the names to fit, in a sentence; nothing where they did.

    Raises:
        DataError: see `read_weights`; or names are missing, too many or of another shape (the first
            ten are named); or a tensor holds NaN or infinities.
        UnsafeFileError: see `read_weights`.

    """
    given, path = read_weights(path, key), Path(path)
    wanted = {name: t for name, t in model.state_dict().items() if isinstance(t, Tensor)}
    match = _match(wanted, given, path, prefix)
    names, told = dict(match.names), [match.said] if match.said else []
    tied = _find_tied(wanted, names)
    if tied:
        names |= tied
        told.append(f"{', '.join(sorted(tied)[:3])} tied to others that it holds")
    wrong = [
        f"{name} is missing"
        for name in wanted
        if name not in names and not _is_counter(name, names)
    ]
    wrong += [f"{name} is not in the model" for name in match.rest if not match.said]
    wrong += [
        f"{name} is {tuple(given[own].shape)}, the model's {tuple(wanted[name].shape)}"
        for name, own in names.items()
        if given[own].shape != wanted[name].shape
    ]
    if wrong:
        more = f"; and {len(wrong) - MOST_TOLD} more" if len(wrong) > MOST_TOLD else ""
        raise DataError(
            f"{path}: does not fit {type(model).__name__}: {'; '.join(wrong[:MOST_TOLD])}{more}."
        )
    if match.rest:
        told.append(
            f"{len(match.rest)} other tensors left out ({', '.join(match.rest[:3])}"
            f"{', …' if len(match.rest) > 3 else ''})"
        )
    tensors = {
        name: _check_tensor(given[own], wanted[name], own, path) for name, own in names.items()
    }
    state = {**model.state_dict(), **tensors}  # extra state, and counts, stay the model's own
    model.load_state_dict(state)
    return f"{path}: {'; '.join(told)}" if told else ""


def _match(
    wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], path: Path, prefix: str | None
) -> _Match:
    """Which name of the file each name of the network is; as many as are there."""
    if prefix is not None:
        prefix = prefix if not prefix or prefix.endswith(".") else f"{prefix}."
        names = {name: prefix + name for name in wanted if prefix + name in given}
        if prefix and not names:
            heads = ", ".join(sorted({name.partition(".")[0] + "." for name in given})[:MOST_TOLD])
            raise DataError(f"{path}: no name begins with {prefix!r}; its names begin with {heads}")
        rest = tuple(name for name in given if name not in names.values())
        return _Match(names, f"names matched under {prefix}" if prefix else "", rest)
    exact = _Match({name: name for name in wanted if name in given}, "", _rest(given, wanted))
    if _whole(wanted, given, exact.names):
        return exact
    files, networks = _clean_names(given), _clean_names(wanted)
    between = {networks[name]: files[name] for name in networks if name in files}
    if _whole(wanted, given, between):
        unused = tuple(name for name in given if name not in between.values())
        if not unused:
            return _Match(between, "names matched without _orig_mod. and the like")
    found = []
    for head, of_file in _prefixes(networks, files):
        if of_file:
            names = {own: files[head + n] for n, own in networks.items() if head + n in files}
        else:
            bare = {name.removeprefix(head): own for name, own in networks.items()}
            names = {own: files[name] for name, own in bare.items() if name in files}
        rest = tuple(name for name in given if name not in names.values())
        if _whole(wanted, given, names) and (not rest or (of_file and WRAPPED.fullmatch(head))):
            whose = "the file's" if of_file else "the network's"
            found.append(_Match(names, f"names matched without {whose} prefix {head}", rest))
    if len(found) > 1:
        raise DataError(
            f"{path}: the network fits in several places: {'; '.join(m.said for m in found[:5])}. "
            "Say which with prefix=."
        )
    return found[0] if found else exact


def _prefixes(networks: Mapping[str, str], files: Mapping[str, str]) -> list[tuple[str, bool]]:
    """Prefixes that may be the file's (True) or the network's own, from one name of each."""
    heads: dict[tuple[str, bool], None] = {}
    for inner, outer, of_file in ((networks, files, True), (files, networks, False)):
        for name in inner:
            own = [other[: -len(name)] for other in outer if other.endswith(f".{name}")]
            heads |= {(head, of_file): None for head in own}
            if own:
                break  # every name has the prefix, so one of them tells which there may be
    return list(heads)


def _whole(
    wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], names: Mapping[str, str]
) -> bool:
    """Whether every name that the network needs is there, in its shape."""
    tied = _find_tied(wanted, names)
    return bool(names) and all(
        name in tied or _is_counter(name, names)
        if name not in names
        else given[names[name]].shape == tensor.shape
        for name, tensor in wanted.items()
    )


def _find_tied(wanted: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, str]:
    """Names that are missing and share their memory with one that is there, and its name."""
    memory = {
        (tensor.data_ptr(), tensor.shape): names[name]
        for name, tensor in wanted.items()
        if name in names and tensor.numel()
    }
    return {
        name: memory[tensor.data_ptr(), tensor.shape]
        for name, tensor in wanted.items()
        if name not in names and (tensor.data_ptr(), tensor.shape) in memory
    }


def _is_counter(name: str, names: Mapping[str, str]) -> bool:
    """Whether it is BatchNorm's count, and what BatchNorm reads is there."""
    head, _, last = name.rpartition(".")
    return last == COUNTED and f"{head}.running_mean".lstrip(".") in names


def _rest(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> tuple[str, ...]:
    return tuple(name for name in given if name not in wanted)


def _clean_names(names: Mapping[str, Tensor]) -> dict[str, str]:
    """Names without what compiling and sharding put in between → as they are."""
    found = {BETWEEN.sub("", name): name for name in names}
    return found if len(found) == len(names) else {name: name for name in names}


def _check_tensor(tensor: Tensor, own: Tensor, name: str, path: Path) -> Tensor:
    """A tensor in the dtype that the network's has."""
    like = own.dtype
    if (tensor.is_floating_point(), tensor.is_complex()) != (
        like.is_floating_point,
        like.is_complex,
    ):
        raise DataError(f"{path}: {name} is {tensor.dtype}, the model's {like}.")
    tensor = tensor.to(like)  # as it will be: 1e300 is finite in float64 alone
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        bad = int((~torch.isfinite(tensor)).sum())
        raise DataError(
            f"{path}: {name} holds {bad} values that are NaN or infinite; such a network "
            "represents nothing. Use a checkpoint from before it diverged."
        )
    return tensor
