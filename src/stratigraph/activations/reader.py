"""Reading the layers of a network while it runs.

A reader first learns from a few small passes which layers run, which axis of each is the inputs'
(`axes`), and whether the network is ready to be read: one that sets itself up from its first
inputs, or answers the same inputs differently, is refused. Then each pass gives layer → (n, …).

The network runs in evaluation and without gradients, and is left as it was found (`state`). Its
passes draw from random streams of their own, which begin where the caller's stand and leave those
where they are. Gradients are off by ``no_grad`` and not by ``inference_mode``: a network that keeps
a tensor of a pass may train with it later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from stratigraph.activations.axes import Seen, axis_that_follows, axis_that_turns, repeats, seen
from stratigraph.activations.batches import copies, few_rows, turned
from stratigraph.activations.calls import Call, Calls
from stratigraph.activations.layers import Layers, choose_layers
from stratigraph.activations.learned import (
    Key,
    Learned,
    channels_of,
    choose_parts,
    count_runs,
    without_dependent,
)
from stratigraph.activations.masks import Mask
from stratigraph.activations.outputs import returned_parts
from stratigraph.activations.reduce import Reduce
from stratigraph.activations.refusals import refuse_draws, refuse_meta, refuse_unread
from stratigraph.activations.state import State, undisturbed, unwrapped
from stratigraph.activations.streams import put_streams, streams
from stratigraph.activations.taking import Taking
from stratigraph.errors import InputError

__all__ = ["Reader", "Show", "reader"]

Show = Callable[[Any, slice], Any]  # runs one pass on a batch, which are these of the inputs
Look = Callable[[], dict[Key, Seen]]
FEW = 8  # inputs of the first pass, and
FEWER = 5  # the last of them, which the second has


@contextmanager
def reader(
    model: Any,
    layers: Layers = None,
    reduce: Reduce = None,
    learned: Learned | None = None,
) -> Iterator[Reader]:
    """A reader of a network's layers, which is left as it was found at the end of the context.

    Of a data-parallel or compiled network what it wraps is read, and what wraps it is quiet.
    Several may be open at once, of networks that share modules too: each reads its own passes.
    """
    own = unwrapped(model)
    one = Reader(own, layers, reduce, learned)
    with undisturbed(model if isinstance(model, nn.Module) else own), one.calls.listening():
        yield one


class Reader:
    """Reads the chosen layers of a network, pass by pass; made by `reader`."""

    def __init__(
        self, model: nn.Module, layers: Layers, reduce: Reduce, learned: Learned | None
    ) -> None:
        self.model, self.asked, self.reduce = model, layers, reduce
        self.chosen = choose_layers(model, layers)
        self.calls = Calls(model, self._receive)
        self.modules = dict(model.named_modules())
        first = {id(module): name for name, module in self.modules.items()}
        self.names: dict[str, list[str]] = {}  # a module's own name → those it was asked for by
        for name in self.chosen.modules:
            own = first[id(model.get_submodule(name))]
            self.names.setdefault(own, []).append(name)
        self.learned = learned
        self.lost: dict[str, str] | None = None  # layer → why; None: such a layer is an error
        self._own = streams()
        self._seen: dict[Key, Seen] | None = None
        self._ran: dict[str, int] = {}
        self._leaves: set[str] = set()
        self._masks: list[set[tuple[str, str]]] = []  # of every pass that is learned from
        self._taking: Taking | None = None
        self._tokens: dict[Key, tuple[int, ...]] = {}
        self._channels: set[int] = set()  # sizes of the axis that convolutions put before tokens

    def read(
        self, call: Callable[[], Any], rows: int, mask: Mask | None = None
    ) -> dict[str, Tensor]:
        """What the layers return in one pass: layer → (rows, …), copies on the network's device.

        Raises:
            InputError: a layer did not run, or has another shape than it had for the first inputs.

        """
        if self.learned is None:
            raise InputError("read: the network was not learned yet; call learn first.")
        self._taking = Taking(self.learned, self.reduce, rows, mask, self._tokens, self.lost)
        self.calls.masked = self.learned.masked
        try:
            self._pass(call, rows)
            return self._taking.finished(self.calls.late)
        except InputError:
            raise
        except Exception as error:
            if self.learned.fixed in (0, rows):
                raise
            raise InputError(
                f"model: it ran on {self.learned.fixed} inputs and not on {rows} ({error!s:.200}). "
                "A network made for a fixed number of inputs needs batches of that size "
                "(batch_size=), and a whole number of batches."
            ) from error
        finally:
            self._taking = None

    def learn(
        self,
        show: Show,
        inputs: tuple[Any, int],
        batch: tuple[Any, int],
        *,
        check: bool,
        fill: bool = True,
    ) -> None:
        """Learn of the layers from a few inputs.

        Args:
            show: runs a pass.
            inputs: of which a few are shown, and how many there are.
            batch: the first, and how many inputs it has; shown to a network that runs on no other
                number of them.
            check: refuse a network that answers the same inputs differently. Otherwise draws are
                the caller's, who may fix them by the place of an input in its batch.
            fill: with few inputs, show some of them more than once.

        Raises:
            InputError: see the module; or a layer that was asked for by name cannot be read.

        """
        rows, count, fewer = inputs[1], FEW, FEWER
        if rows < FEW and not (fill and rows < 4) and rows > 1:
            count, fewer = rows, max(1, rows * FEWER // FEW)
        own, state = self._own, State(self.model, weights=True)
        try:
            try:
                few = few_rows(inputs[0], rows, count)
                last = slice(count - fewer, count)
                again: Look = partial(
                    self._look, show, few_rows(few, count, fewer, last.start), last
                )
                one = self._look(show, few, slice(0, count))
                two, turns = self._settled(state, again), False
            except InputError:
                raise
            except Exception as error:  # made for one number of inputs, it may run on all of them
                state.put_back()
                one, again = self._turned(show, *batch, error)
                two, turns = again(), True
            axes: dict[Key, int | str] = {}
            for key, first in one.items():
                axis, why = (None, "it does not run as often for all inputs")
                if key in two and self._ran[key[0]] == self._before[key[0]]:
                    follows = axis_that_turns if turns else axis_that_follows
                    axis, why = follows(first, two[key])
                axes[key] = why if axis is None else axis
            if check and (turns or not _repeated(one, two, axes)):
                refuse_draws(two, again())
                if not turns:
                    without_dependent(one, two, axes, self.modules.values())
            if turns:
                few, count = batch
            for place in (count - 1, 0) if count > 1 else ():
                if not check:  # the same draws as in the first pass
                    state.put_back()
                    self._own = own
                other = self._look(show, copies(few, count, place), slice(0, count))
                without_dependent(one, other, axes, self.modules.values(), place)
        finally:
            state.put_back()
            self._own = own
        labels, left_out = choose_parts(
            self.chosen, self.modules, self.names, one, axes, self._ran, self._leaves
        )
        if not labels:
            refuse_unread(self.model, self.chosen.modules, left_out)
        kept = {
            key: (place, len(one[key].shape))
            for key, place in axes.items()
            if key in labels and isinstance(place, int)
        }
        fixed = batch[1] if turns else 0
        masked = frozenset(set.intersection(*self._masks))
        runs = count_runs(self._ran, labels, self.chosen, self.names)
        channels = frozenset(self._channels)
        self.learned = Learned(kept, labels, left_out, masked, fixed, channels, runs)

    def _look(self, show: Show, batch: Any, at: slice) -> dict[Key, Seen]:
        """What every layer returns in a pass, as far as it is kept to learn from."""
        self._seen, self._before, self._ran = {}, self._ran, {}
        self._masks.append(set())
        try:
            self._pass(lambda: show(batch, at), at.stop - at.start)
        except Exception:
            self._masks.pop()
            raise
        else:
            return self._seen
        finally:
            self._seen = None

    def _settled(self, state: State, look: Look) -> dict[Key, Seen]:
        """The second pass, unless the first one changed what it gives."""
        changed, own = state.changed(), self._own
        found = look()
        if changed:
            # The same draws, from the network as it was before the first pass.
            state.put_back()
            self._own, before = own, self._before
            fresh = look()
            self._before = before
            same = fresh.keys() == found.keys() and all(
                repeats(one, found[key], axis)
                for key, one in fresh.items()
                for axis in one.sketches
            )
            if not same:
                raise InputError(
                    f"model: a pass changes {', '.join(changed[:4])}, and with it the result of "
                    "the next pass: the network sets itself up from its first inputs, or "
                    "carries something over between passes. Reading must not do that: run the "
                    "network once yourself first, on inputs like those it will get."
                )
        return found

    def _turned(
        self, show: Show, batch: Any, rows: int, error: Exception
    ) -> tuple[dict[Key, Seen], Look]:
        """A pass of the whole batch, and another of it in turned order."""
        try:
            one = self._look(show, batch, slice(0, rows))
            return one, partial(self._look, show, turned(batch, rows), slice(0, rows))
        except Exception as own:
            refuse_meta(self.model, own)
            if hasattr(self.model, "graph"):
                raise InputError(
                    f"model: it does not run on {rows} inputs ({own!s:.200}). A network exported "
                    "for a fixed number of inputs needs batches of that size (batch_size=), or "
                    "a dynamic first axis (torch.export's dynamic_shapes)."
                ) from own
            raise own from error

    def _pass(self, call: Callable[[], Any], rows: int) -> None:
        callers = streams()
        put_streams(self._own)
        self.calls.begin(rows)
        try:
            with torch.no_grad():
                call()
        finally:
            self.calls.end()
            self._own = streams()
            put_streams(callers)

    def _receive(self, call: Call, module: nn.Module, output: Any) -> None:
        if self._seen is not None:
            self._masks[-1].update((call.name, mask.name) for mask in call.masks)
            self._channels |= channels_of(module, output)
        if self._taking is not None:
            self._taking.masks += call.masks
        if call.name not in self.names:
            return
        if self._taking is not None:
            self._taking.take(call, self.calls.stack, returned_parts(module, output))
        elif self._seen is not None and self.calls.rows is not None:
            self._ran[call.name] = call.number
            if call.leaf:
                self._leaves.add(call.name)
            for part in returned_parts(module, output):
                if part.value.is_meta:
                    refuse_meta(self.model)
                self._seen[call.name, call.number, part.path] = seen(part.value, self.calls.rows)


def _repeated(one: dict[Key, Seen], two: dict[Key, Seen], axes: dict[Key, int | str]) -> bool:
    return all(repeats(one[k], two[k], axis) for k, axis in axes.items() if isinstance(axis, int))
