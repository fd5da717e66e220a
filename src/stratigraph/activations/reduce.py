"""Large maps made smaller, by the caller's choice and never otherwise.

A convolution's output (n, c, h, w) has c·h·w units, a transformer's (n, t, d) t·d. Comparing all of
them is the default. ``reduce`` chooses something else, and the result says so:

================  =============================================================================
``"spatial"``     (n, c, …) → (n, c): the mean over every axis after the second
``"tokens"``      (n, …, d) → (n, d): the mean over every axis between the first and the last; of
                  padded inputs over the tokens that are there (`stratigraph.activations.masks`)
``"first"``       (n, t, …) → (n, …): the first token that is there, such as a class token
``"sample:512"``  that many units of all, drawn once (seed 0), the same in every batch
a function        tensor (n, …) → tensor (n, …)
a mapping         glob of layer names → one of these; the first that matches; others stay whole
================  =============================================================================

What a layer has too few axes for leaves it as it is: ``"spatial"`` of a matrix is the matrix.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from functools import partial
from types import CodeType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stratigraph.errors import InputError, suggest

__all__ = ["Reduce", "choice", "describe", "named", "of_tokens", "reduced", "sampled_units"]

How = str | Callable[[Tensor], Tensor]
Reduce = How | Mapping[str, How] | None

SAMPLE = "sample:"
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def _spatial(x: Tensor) -> Tensor:
    return x.flatten(2).mean(2) if x.ndim > 2 else x


def _tokens(x: Tensor, axis: int = 1, there: Tensor | None = None) -> Tensor:
    if x.ndim < 3:
        return x
    if there is not None:
        x = x.movedim(axis, 1)
        present = there.to(x.device)[(..., *[None] * (x.ndim - 2))]
        # Chosen and not multiplied: what fills a batch up may be NaN or infinite.
        x = torch.where(present, x, 0).sum(1, keepdim=True) / present.sum(1, keepdim=True)
    return x.flatten(1, -2).mean(1)


def _first(x: Tensor, axis: int = 1, there: Tensor | None = None) -> Tensor:
    if x.ndim < 3:
        return x
    if there is None:
        return x[:, 0]
    at = there.to(torch.uint8).argmax(1).to(x.device)
    return x.movedim(axis, 1)[torch.arange(len(x), device=x.device), at]


OF_TOKENS: dict[str, Callable[..., Tensor]] = {"tokens": _tokens, "first": _first}
NAMED: dict[str, Callable[..., Tensor]] = {
    "spatial": _spatial,
    **OF_TOKENS,
}


def of_tokens(reduce: Reduce, name: str) -> bool:
    """Whether a layer's tokens are told apart, so that it matters which are there."""
    how = choice(reduce, name)
    return isinstance(how, str) and how in OF_TOKENS


def reduced(
    reduce: Reduce, name: str, output: Tensor, tokens: tuple[int, Tensor] | None = None
) -> Tensor:
    """A layer's output as the caller wants it; the output itself where nothing was chosen.

    Args:
        reduce: the choice.
        name: the layer's.
        output: (n, …).
        tokens: the axis of its tokens, and which of them are there (n, t).

    Raises:
        InputError: an unknown choice, or a function that does not keep a row for every input.

    """
    how = choice(reduce, name)
    if how is None:
        return output
    if isinstance(how, str) and how.startswith(SAMPLE):
        return _sampled(output, how)
    function = NAMED.get(how) if isinstance(how, str) else how
    if not callable(function):
        raise InputError(
            f"reduce: expected a name, sample:<units> or a function, got {how!r}."
            + suggest(str(how), NAMED)
        )
    # In float32: the mean of many half-precision numbers would lose digits.
    wide = output.float() if output.dtype in (torch.float16, torch.bfloat16) else output
    told = tokens if isinstance(how, str) and how in OF_TOKENS else None
    found = function(wide) if told is None else OF_TOKENS[str(how)](wide, *told)
    if not isinstance(found, Tensor) or found.ndim == 0 or len(found) != len(output):
        got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise InputError(
            f"reduce: layer {name}: expected a tensor of {len(output)} rows, got {got}."
        )
    return found


def describe(reduce: Reduce) -> str:
    """The choice in words, for a result's attributes."""
    if isinstance(reduce, Mapping):
        return "; ".join(f"{pattern}: {describe(how)}" for pattern, how in reduce.items())
    if reduce is None:
        return "nothing: every unit is compared"
    return reduce if isinstance(reduce, str) else getattr(reduce, "__name__", repr(reduce))


def named(reduce: Reduce) -> str:
    """The choice under a name that is the same in every process, by which runs are told apart.

    Raises:
        InputError: an object that has none.

    """
    if isinstance(reduce, Mapping):
        return "; ".join(f"{pattern}: {named(how)}" for pattern, how in reduce.items())
    return describe(reduce) if reduce is None or isinstance(reduce, str) else _stable(reduce)


def _stable(value: Any) -> str:
    """A function by its module and name, one without a name of its own by its code."""
    if isinstance(value, partial):
        bound = [value.args, sorted(value.keywords.items())]
        return f"partial({_stable(value.func)}, {_stable(bound)})"
    if isinstance(value, CodeType):
        return f"{value.co_code.hex()} {value.co_names} {_stable(value.co_consts)}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_stable, value))}]"
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(map(_stable, value)))}}}"
    name = getattr(value, "__qualname__", None)
    if name and "<" not in name and getattr(value, "__self__", None) in (None, torch):
        return f"{value.__module__}.{name}"
    if isinstance(value, FunctionType):
        held = [cell.cell_contents for cell in value.__closure__ or ()]
        kept: list[Any] = [value.__code__, value.__defaults__, value.__kwdefaults__, held]
        return f"code({_stable(kept)})"
    text = repr(value)
    if ADDRESS.search(text):
        raise InputError(
            f"reduce: {text} cannot be distinguished from others in another process; give a "
            "named function defined in a module, or an object whose repr says what it is."
        )
    return text


def choice(reduce: Reduce, name: str) -> How | None:
    """What is to be done with a layer; None leaves it whole."""
    if not isinstance(reduce, Mapping):
        return reduce
    for pattern, how in reduce.items():
        if fnmatch.fnmatchcase(name, pattern):
            return how
    return None


def sampled_units(reduce: Reduce, name: str) -> int | None:
    """The most units that are read of a layer where a sample is; None where all are."""
    how = choice(reduce, name)
    if isinstance(how, str) and how.startswith(SAMPLE):
        return int(how.removeprefix(SAMPLE))
    return None


def _sampled(output: Tensor, how: str) -> Tensor:
    count = how.removeprefix(SAMPLE)
    if not count.isdigit() or int(count) < 1:
        raise InputError(f"reduce: expected sample:<units>, such as sample:512, got {how!r}.")
    units = output.flatten(1)
    if units.shape[1] <= int(count):
        return units
    chosen = np.random.default_rng(0).choice(units.shape[1], int(count), replace=False)
    return units[:, torch.from_numpy(np.sort(chosen)).to(units.device)]
