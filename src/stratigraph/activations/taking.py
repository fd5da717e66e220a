"""One pass of a network, of which every layer's rows are taken."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from stratigraph.activations.calls import Call
from stratigraph.activations.learned import Key, Learned
from stratigraph.activations.masks import Mask, fitting
from stratigraph.activations.outputs import Part
from stratigraph.activations.reduce import Reduce, choice, of_tokens, reduced
from stratigraph.errors import InputError

__all__ = ["Taking"]

ADVICE = "tell which are there (mask=), or reduce this layer by a function of your own"


class Taking:
    """What the layers returned so far in a pass.

    Args:
        learned: which are read, and how.
        reduce: makes large maps smaller.
        rows: inputs of the pass.
        mask: the caller's own.
        tokens: the number of tokens that layers had in earlier passes, noted here.
        lost: layers of which it is not known which tokens are there, with the reason, noted here;
            None makes such a layer an error.

    """

    def __init__(
        self,
        learned: Learned,
        reduce: Reduce,
        rows: int,
        mask: Mask | None,
        tokens: dict[Key, tuple[int, ...]],
        lost: dict[str, str] | None,
    ) -> None:
        self.learned, self.reduce, self.rows = learned, reduce, rows
        self.own = [] if mask is None else [mask]
        self.tokens, self.lost = tokens, lost
        self.ran: dict[str, int] = {}
        self.masks: list[Mask] = []  # that any module was given
        self.unmasked: list[str] = []  # layers of which every token was taken
        self.values: dict[Key, Tensor] = {}
        self.waiting: dict[Key, tuple[Tensor, list[Call]]] = {}

    def take(self, call: Call, stack: list[Call], parts: Iterable[Part]) -> None:
        """Copy what a module returned, reduced."""
        self.ran[call.name] = call.number
        for part in parts:
            key = (call.name, call.number, part.path)
            if key not in self.learned.labels:
                continue
            value = self._first_axis(key, part.value)
            name = self.learned.labels[key]
            if not of_tokens(self.reduce, name) or value.ndim < 3:
                self.values[key] = _copied(reduced(self.reduce, name, value), part.value)
            elif part.lengths is not None:
                padded = frozenset({value.shape[1]})
                there = Mask(lengths=part.lengths.to(value.device), sizes=padded).of(value.shape[1])
                found = None if there is None else (1, there)
                self.values[key] = _copied(reduced(self.reduce, name, value, found), part.value)
            elif self.own or self.learned.masked:
                # A mask may be made after the layer has run.
                self.waiting[key] = (_copied(value, part.value), list(stack))
            else:
                self._same_tokens(key, value)
                self.values[key] = _copied(reduced(self.reduce, name, value), part.value)

    def finished(self, late: list[str]) -> dict[str, Tensor]:
        """Layer → (n, …), of every layer that was learned of.

        Args:
            late: arguments that look like masks, and that the first inputs came without.

        """
        seen = [mask for mask in self.masks if not mask.others]
        for key, (value, stack) in self.waiting.items():
            name = self.learned.labels[key]
            frames = [self.own, *([] if self.own else [*(c.masks for c in reversed(stack)), seen])]
            channels = self.learned.channels
            found = fitting(iter(frames), list(value.shape[1:-1]), bool(channels))
            if isinstance(found, str):
                if found:
                    self._lose(name, found)
                else:
                    self._unmasked(key, value, stack)
                self.values[key] = reduced(self.reduce, name, value)
            else:
                axis = found[0] + 1
                if axis == 1 and value.shape[1] in channels:
                    self._lose(
                        name,
                        f"the first of its axes {tuple(value.shape[1:])} is as long as the mask, "
                        "and so are the channels of a convolution, so it cannot be known which are "
                        "its channels; pad to another length",
                    )
                self.values[key] = reduced(self.reduce, name, value, (axis, found[1]))
        self.waiting.clear()
        if late and self.unmasked:
            raise InputError(
                f"layer {self.unmasked[0]}: {late[0]!r} came with these inputs but not with the "
                f"first, so whether it is a mask is unknown; {ADVICE}."
            )
        for name, count in self.learned.runs.items():
            if self.ran.get(name, 0) > count:
                raise InputError(
                    f"layer {name}: it ran {self.ran[name]} times for some of the inputs and "
                    f"{count} for the first, so it is not one layer; choose others, or one of "
                    f"its runs, such as {name}#1 (layers=)."
                )
        missing = [label for key, label in self.learned.labels.items() if key not in self.values]
        if missing:
            raise InputError(
                f"layers {', '.join(missing)}: they ran for the first inputs, but not for some "
                "others; a network that runs different layers for different inputs cannot be "
                "read as a whole: choose layers that always run (layers=)."
            )
        return {label: self.values[key] for key, label in self.learned.labels.items()}

    def _first_axis(self, key: Key, value: Tensor) -> Tensor:
        axis, ndim = self.learned.axes[key]
        if value.ndim != ndim or value.shape[axis] != self.rows:
            one = self.rows == 1
            raise InputError(
                f"layer {self.learned.labels[key]}: expected {ndim} axes, with the inputs on "
                f"axis {axis}, as for the first inputs, got shape {tuple(value.shape)} for "
                f"{self.rows} input{'' if one else 's'}; "
                + (
                    "the network drops the axis of a batch of one (squeeze): choose a batch_size "
                    "that leaves none, or drop_last of a loader."
                    if one
                    else "a layer whose rows are not the inputs cannot be read: choose others."
                )
            )
        return value.movedim(axis, 0)

    def _unmasked(self, key: Key, value: Tensor, stack: list[Call]) -> None:
        """Refuse tokens of which it cannot be known which are there."""
        masks = self.own or [m for call in stack if call.bears for m in call.masks if not m.others]
        padded = next((m for m in masks if not m.whole), None)
        if padded is not None:
            self._lose(
                self.learned.labels[key],
                f"its tokens {tuple(value.shape[1:-1])} are not those of the mask "
                f"({padded.told_size}), so it cannot be known which of them only fill a batch up",
            )
        self._same_tokens(key, value)

    def _same_tokens(self, key: Key, value: Tensor) -> None:
        name, count = self.learned.labels[key], tuple(value.shape[1:-1])
        self.unmasked.append(name)
        if choice(self.reduce, name) != "tokens":
            return
        before = self.tokens.setdefault(key, count)
        if before != count:
            raise InputError(
                f"layer {name}: batches of {before} and of {count} tokens, and nothing says "
                f"which of them are padding; {ADVICE}."
            )

    def _lose(self, name: str, why: str) -> None:
        if self.lost is None:
            raise InputError(f"layer {name}: {why}; {ADVICE}.")
        self.lost[name] = why


def _copied(value: Tensor, source: Tensor) -> Tensor:
    """A copy, unless reducing made one."""
    shared = value.untyped_storage().data_ptr() == source.untyped_storage().data_ptr()
    return value.clone() if shared else value
