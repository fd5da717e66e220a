"""Which tokens of an input are there, and which only fill a batch up.

The mask is found where it is used, among the arguments of the modules that run:

=======================================  ==========================================================
``attention_mask``, …                    (n, t), 1 where a token is there
``src_key_padding_mask``, …              (n, t), true (or -inf) where none is, as torch has it
``lengths``, ``…_lengths``               (n,), how many tokens are there, from the first on
a ``PackedSequence``, a nested tensor    carry their lengths
=======================================  ==========================================================

or given by the caller, for all (`callers_mask`). An argument counts if its size follows the inputs,
as a mask of attention (t, t) does not, however many inputs there are. A layer's mask is that of the
innermost call around it that has one as long as its tokens. Lengths do not say how many tokens
there are with those that fill up: that is the size of the axis of tokens of what they came with, so
that they are not taken for those of a strided layer, which has fewer tokens. Masks of other tokens
(``encoder_attention_mask`` in a decoder) are no layer's, and a length that both have is not guessed
at; nor is what 1 means in an argument of another name that ends in ``mask``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from stratigraph.activations.outputs import lengths_of

__all__ = [
    "Mask",
    "MaskOf",
    "find_odd",
    "fitting",
    "known_arguments",
    "masks_among",
    "of_pairs",
    "read_mask",
]

MaskOf = Tensor | np.ndarray | str | Callable[[Any], Any] | None

THERE = ("attention_mask", "decoder_attention_mask", "input_mask", "token_mask")
PADDED = ("src_key_padding_mask", "tgt_key_padding_mask", "key_padding_mask")
OTHERS = ("encoder_attention_mask", "memory_key_padding_mask")
LENGTHS = ("lengths", "length", "lens", "seqlens")
ENDINGS = ("_lengths", "_length", "_lens", "_len")
QUERY = ("query", "key")


@dataclass(frozen=True)
class Mask:
    """Which tokens are there.

    Attributes:
        there: (n, t), or None where lengths say it.
        lengths: (n,).
        sizes: how many tokens those that have these lengths may be; several where it is not known.
        turned: how many they may be as well if channels stand before tokens.
        others: it is of other tokens than the layers inside that call return.
        name: the argument that it came as; empty where an input carries it.
        unclear: whether 1 is a token or fills up is not known.

    """

    there: Tensor | None = None
    lengths: Tensor | None = None
    sizes: frozenset[int] = frozenset()
    turned: frozenset[int] = frozenset()
    others: bool = False
    name: str = ""
    unclear: bool = False

    def of(self, t: int) -> Tensor | None:
        """(n, t) booleans, or None where it is not of so many tokens."""
        if self.there is not None:
            return self.there if self.there.shape[1] == t else None
        if self.lengths is None or t not in self.sizes | self.turned:
            return None
        return torch.arange(t, device=self.lengths.device) < self.lengths[:, None]

    @property
    def whole(self) -> bool:
        """Whether every token is there."""
        if self.there is not None:
            return bool(self.there.all())
        return self.lengths is not None and self.sizes == {*self.lengths.tolist()}

    @property
    def told_size(self) -> str:
        """Of how many tokens it is, in words."""
        if self.there is not None:
            return f"of {self.there.shape[1]}"
        of = " or of ".join(map(str, sorted(self.sizes)))
        longest = 0 if self.lengths is None else int(self.lengths.max())
        return f"lengths of {of}" if of else f"lengths up to {longest}, more than the inputs have"

    def told_by(self, values: Iterable[Any], rows: int) -> Mask:
        """Lengths, with how many tokens what came beside them has; any other as it is."""
        if self.lengths is None:
            return self
        sizes, turned = _tokens_of(values, rows, int(self.lengths.max()))
        return replace(self, sizes=sizes, turned=turned)


def known_arguments(module: nn.Module) -> dict[str, int]:
    """The arguments of a module's pass that may be a mask, and where each stands."""
    try:
        names = list(inspect.signature(module.forward).parameters)
    except (TypeError, ValueError):
        names = []
    return {name: place for place, name in enumerate(names) if _known(name) or name in QUERY}


def masks_among(
    places: dict[str, int], args: tuple[Any, ...], kwargs: dict[str, Any], rows: int
) -> list[Mask]:
    """The masks among the arguments of a call, of a pass of so many inputs."""
    given = {name: args[place] for name, place in places.items() if place < len(args)} | kwargs
    query, key = map(given.get, QUERY)
    found = []
    for name in filter(_known, given):
        mask = read_mask(name, given[name], rows)
        if mask is not None:
            mask = replace(mask.told_by((*args, *kwargs.values()), rows), name=name)
        # An attention's mask is of its keys, and what it returns is of its queries.
        if mask is not None and (name != "key_padding_mask" or key is None or key is query):
            found.append(mask)
    first = args[0] if args else None
    if isinstance(first, PackedSequence | Tensor) and (lengths := lengths_of(first)) is not None:
        found.append(Mask(lengths=lengths, sizes=frozenset({int(lengths.max())})))
    return found


def _tokens_of(
    values: Iterable[Any], rows: int, longest: int
) -> tuple[frozenset[int], frozenset[int]]:
    """How many tokens what came with lengths has, (n, t, …) or (t, n, …); the same of (n, …, t).

    A matrix of floating-point numbers counts only beside nothing else: it may be features.
    """
    sizes: set[int] = set()
    turned: set[int] = set()
    plain: set[int] = set()
    for value in values:
        if isinstance(value, PackedSequence) or (isinstance(value, Tensor) and value.is_nested):
            sizes.add(int(lengths_of(value).max()))  # type: ignore[union-attr]
        elif isinstance(value, Tensor | np.ndarray) and value.ndim > 1 and rows in value.shape[:2]:
            t = value.shape[1] if value.shape[0] == rows else value.shape[0]
            features = value.ndim == 2 and torch.as_tensor(value).is_floating_point()
            (plain if features else sizes).add(t)
            turned.update(value.shape[2:] if value.shape[0] == rows else ())
    enough = {t for t in (sizes or plain) if t >= longest}
    return frozenset(enough), frozenset(t for t in turned if t >= longest)


def fitting(
    frames: Iterator[list[Mask]], tokens: list[int], channels_first: bool = False
) -> tuple[int, Tensor] | str:
    """The mask of an output, from the calls around it, innermost first.

    Args:
        frames: the masks of each call.
        tokens: sizes of the axes that may be the tokens'.
        channels_first: channels may stand before tokens.

    Returns:
        which of the sizes and its mask (n, t); a text where two would do, empty where none does.

    """
    unclear = ""
    for masks in frames:
        if not channels_first:
            masks = [replace(mask, turned=frozenset()) for mask in masks]
        found = [
            (place, there, mask.others)
            for mask in masks
            for place, size in enumerate(tokens)
            if (there := mask.of(size)) is not None and not mask.unclear
        ]
        for mask in masks:
            several = mask.sizes | mask.turned
            if len(several) > 1 and several.intersection(tokens):
                return (
                    "what came with its lengths has axes of "
                    f"{' and of '.join(map(str, sorted(several)))}, and which of them is the "
                    "tokens' cannot be known from lengths alone"
                )
        if not found:
            mine = ((m.name, m.of(size)) for m in masks if m.unclear for size in tokens)
            some = (n for n, one in mine if one is not None and one.any() and not one.all())
            unclear = unclear or next(some, "")
            continue
        place, there, _ = found[0]
        same = all(p == place and torch.equal(t.cpu(), there.cpu()) for p, t, _ in found)
        if not same or all(others for _, _, others in found):
            return "masks of several kinds of tokens are as long as its tokens"
        return place, there
    return unclear and f"whether 1 in {unclear!r} is a token or only fills a batch up is not known"


def of_pairs(mask: Mask) -> bool:
    """Whether it is one of pairs of tokens (t, t), as causal ones are."""
    there = mask.there
    if there is None or there.shape[0] != there.shape[1]:
        return False
    return torch.equal(there, there.tril()) or torch.equal(there, there.triu())


def _known(name: str) -> bool:
    clear = name in (*THERE, *PADDED, *OTHERS) or _of_lengths(name)
    return clear or _unclear(name)


def _unclear(name: str) -> bool:
    return name.endswith("mask") and name not in (*THERE, *PADDED, *OTHERS)


def read_mask(name: str, value: Any, rows: int) -> Mask | None:
    """What an argument of this name and value says of so many inputs; None if it is no mask."""
    if not isinstance(value, Tensor) or value.ndim == 0 or len(value) != rows or value.is_nested:
        return None
    if value.ndim == 1 and _counts(name, value):
        return Mask(lengths=value.long())
    if value.ndim != 2 or _of_lengths(name):
        return None
    if _unclear(name):
        flags = not value.is_floating_point() and bool(((value == 0) | (value == 1)).all())
        return Mask(value != 0, unclear=True) if flags else None
    if value.is_floating_point() and bool((value <= 0).all()):  # added to scores: 0 is there
        return Mask(value == 0, others=name in OTHERS)
    if value.is_floating_point() and find_odd(value) is not None:
        return Mask(value != 0, unclear=True)
    padded = name in PADDED or name == OTHERS[1]
    return Mask((value == 0) if padded else (value != 0), others=name in OTHERS)


def find_odd(value: Tensor) -> float | None:
    """A number that is neither 0 nor 1, in what is not added to scores; the first."""
    odd = value[(value != 0) & (value != 1)]
    added = value.is_floating_point() and bool((value <= 0).all())
    return float(odd[0]) if len(odd) and not added else None


def _counts(name: str, value: Tensor) -> bool:
    whole = not value.is_floating_point() and value.dtype is not torch.bool
    return _of_lengths(name) and whole


def _of_lengths(name: str) -> bool:
    """Whether an argument's name says lengths; the largest and the least are limits."""
    return name in LENGTHS or (name.endswith(ENDINGS) and not name.startswith(("max_", "min_")))
