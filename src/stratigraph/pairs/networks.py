"""Two networks, layer by layer, on the same inputs.

Every batch goes to both networks, each of which gets its own copy, so neither an iterator that is
read once nor a shuffling loader nor a network that writes into its input can show them different
things. How the scores are had is chosen by what has to be held, and told in the result:

``sums``
    linear CKA of all inputs, exactly, from sums of products of features (`moments`): memory p·q of
    all pairs of layers, whatever n;
``held``
    any measure, exactly: every activation of both networks is held;
``batches``
    debiased CKA where neither fits in ``memory``: each batch gives unbiased products, and their
    sums over batches a score with an interval (`streaming`).
"""

from __future__ import annotations

import itertools
import json
import math
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from stratigraph.activations import check_repeats, reader
from stratigraph.activations.batches import batches_of, count_of, given, run
from stratigraph.activations.layers import Layers, select_layers
from stratigraph.activations.reduce import Reduce, describe
from stratigraph.errors import InputError
from stratigraph.pairs.matrix import similarity_matrix
from stratigraph.similarity.catalog import find_measure
from stratigraph.similarity.inputs import as_matrix, check_probes
from stratigraph.similarity.measure import Measure, tell
from stratigraph.similarity.moments import CKASums, moments_bytes
from stratigraph.similarity.streaming import LEAST, stream_cka

if TYPE_CHECKING:
    import xarray

__all__ = ["compare"]

MEMORY = 2 << 30
SEVERAL = 16  # batches, where they are cut here
SUMMED = ("debiased_cka", "linear_cka")
Read = tuple[dict[str, Tensor], dict[str, Tensor] | None]


def compare(
    model_a: nn.Module,
    model_b: nn.Module,
    inputs: Any,
    measure: str | Measure = "debiased_cka",
    layers: Layers = None,
    *,
    layers_b: Layers = None,
    reduce: Reduce = None,
    batch_size: int = 256,
    call: Callable[[nn.Module, Any], Any] | None = None,
    memory: int = MEMORY,
) -> xarray.DataArray:
    """Compare every layer of one network with every layer of another (or of itself).

    Args:
        model_a: any module, on any device and of any floating-point dtype.
        model_b: another; the same object compares its layers with each other, in one pass.
        inputs: a tensor (n, …), a tuple or mapping of such, a DataLoader or any iterable of
            batches; see `stratigraph.activations.batches`.
        measure: a name of the catalogue, or a `Measure`.
        layers: names, globs or types, of both; see `stratigraph.activations.layers`.
        layers_b: those of ``model_b``, where they have other names.
        reduce: makes large maps smaller; see `stratigraph.activations.reduce`.
        batch_size: inputs of one pass, where they are cut into batches here.
        call: runs one pass of a model on a batch; by default the batch is given by its type.
        memory: bytes to hold; it decides between the ways above.

    Returns:
        dims ``("x", "y")``: layers of ``model_a`` and ``model_b``; attributes ``measure``,
        ``plan`` (how it was computed), ``inputs`` (how many), ``reduce``, ``reasons`` and
        ``notes`` (as of `similarity_matrix`). From batches, with the coordinates ``lower`` and
        ``upper`` of a 95 % interval.

    Raises:
        InputError: an unknown layer or measure, no inputs, a network that draws random numbers, or
            more to hold than ``memory``; the message says what to do.

    """
    chosen = find_measure(measure)
    same = model_a is model_b and layers_b is None
    own_b = layers if layers_b is None else layers_b
    passes = _Passes(model_a, None if same else model_b, layers, own_b, reduce, call)
    n = count_of(inputs)
    if n is not None:
        check_probes(n, chosen.least, chosen.name, "inputs")
    first, rest = _first(inputs, batch_size)
    passes.check(*first)
    widths, size = passes.widths(*first)
    way, why = _way(chosen, None if n is None else n * size, widths, memory)
    if way == "batches" and n is not None and batch_size < LEAST:
        raise InputError(
            f"batch_size: expected {LEAST} or more, since {why} and debiased CKA is estimated from "
            f"batches; got {batch_size}."
        )
    if way == "batches" and n is not None:
        # An estimate from batches needs them in random order; of a loader's it is taken as it is.
        order = np.random.default_rng(0).permutation(n)
        batches: Iterable[tuple[Any, int]] = batches_of(inputs, _cut(n, batch_size), order)
    else:
        batches = itertools.chain([first], rest)
    # Closed here, so that an error leaves no hook in a network for as long as it is held.
    with closing(passes.read(batches)) as read:
        if way == "sums":
            found = _from_sums(read, chosen)
        elif way == "batches":
            found = _from_batches(read, chosen)
        else:
            found = _from_all(read, chosen, memory)
    return found.assign_attrs(plan=f"{why}; {found.attrs['plan']}", reduce=describe(reduce))


class _Passes:
    """Both networks, and how a batch is run through them."""

    def __init__(
        self,
        a: nn.Module,
        b: nn.Module | None,
        layers_a: Layers,
        layers_b: Layers,
        reduce: Reduce,
        call: Callable[[nn.Module, Any], Any] | None,
    ) -> None:
        self.sides = [(a, layers_a)] if b is None else [(a, layers_a), (b, layers_b)]
        self.reduce, self.call = reduce, call
        for model, chosen in self.sides:
            if not select_layers(model, chosen):
                raise InputError(
                    f"layers: none to compare in a {type(model).__name__}: "
                    + (
                        "no module stands inside it; wrap it, nn.Sequential(model)."
                        if next(model.children(), None) is None
                        else f"expected names, globs or types, got {chosen!r}."
                    )
                )

    def check(self, batch: Any, rows: int) -> None:
        """Refuse a network that answers the same inputs differently, unless the caller runs it."""
        if self.call is None:
            for model, layers in self.sides:
                check_repeats(model, batch, rows, layers)

    def widths(self, batch: Any, rows: int) -> tuple[list[list[int]], int]:
        """The units of every layer of each side, and the bytes that one input takes."""
        (read,) = self.read([(batch, rows)])
        sides = [
            [as_matrix(value, name) for name, value in side.items()]
            for side in read
            if side is not None
        ]
        size = sum(x.shape[1] * x.element_size() for side in sides for x in side)
        return [[x.shape[1] for x in side] for side in sides], size

    def read(self, batches: Iterable[tuple[Any, int]]) -> Generator[Read]:
        """What the layers of both return for each batch."""
        call = self.call or run
        with ExitStack() as stack:
            readers = [
                (model, stack.enter_context(reader(model, layers, self.reduce)))
                for model, layers in self.sides
            ]
            before: list[list[str]] = []
            for batch, rows in batches:
                found = []
                for model, read in readers:
                    own = given(batch, model)
                    found.append(read(partial(call, model, own), rows))
                names = [list(side) for side in found]
                if before and names != before:
                    raise InputError(
                        "layers: a batch ran other layers than the first one did; a network whose "
                        "layers depend on its inputs cannot be compared as a whole."
                    )
                before = names
                yield found[0], found[1] if len(found) > 1 else None


def _first(inputs: Any, batch_size: int) -> tuple[tuple[Any, int], Iterator[tuple[Any, int]]]:
    batches = batches_of(inputs, batch_size)
    return next(batches), batches


def _cut(n: int, most: int) -> int:
    """The size of several batches, from whose spread the interval comes; none is too small."""
    size = max(LEAST, min(most, math.ceil(n / SEVERAL)))
    sizes = range(size, LEAST - 1, -1)
    return next((s for s in sizes if not 0 < n % s < LEAST), size)


def _way(
    measure: Measure, held: int | None, widths: list[list[int]], memory: int
) -> tuple[str, str]:
    """How the scores are had, and why; ``held`` is what all activations take, if that is known."""
    units = sum(map(sum, widths))
    if measure.name not in SUMMED:
        return "held", f"{measure.name} needs every activation at once"
    sums = moments_bytes(widths[0], widths[1] if len(widths) > 1 else None)
    if held is not None and held <= min(memory, sums):
        return "held", f"{_size(held)} of activations, less than {_size(sums)} of sums"
    if sums <= memory:
        return "sums", f"{_size(sums)} of sums of products, whatever the number of inputs"
    if measure.name == "debiased_cka":
        return "batches", f"{_size(sums)} of sums would not fit in {_size(memory)}"
    raise InputError(
        f"measure: {measure.name} of layers of {units:,} units in all would hold {_size(sums)}, "
        f"with {_size(memory)} allowed (memory=); use debiased_cka, which can be had from batches, "
        "fewer layers, or reduce= on large maps."
    )


def _size(count: float) -> str:
    for unit in ("bytes", "KB", "MB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:,.3g} GB"


def _from_sums(batches: Iterable[Read], measure: Measure) -> xarray.DataArray:
    sums = CKASums()
    for a, b in batches:
        sums.add(a, b)
    check_probes(sums.n, measure.least, measure.name, "inputs")
    values, reasons = sums.result(measure.name == "debiased_cka")
    names = [side.names for side in sums.sides]
    notes = {}
    if measure.biased:
        notes = {
            name: f"biased upwards: {width} units and only {sums.n} inputs; use debiased_cka"
            for side in sums.sides
            for name, width in ((m, len(side.offsets[m])) for m in side.names)
            if width > sums.n
        }
    return _labelled(
        values, names[0], names[-1], measure, sums.n, "exact, from sums", reasons, notes
    )


def _from_batches(batches: Iterable[Read], measure: Measure) -> xarray.DataArray:
    found = stream_cka((_on_cpu(a), None if b is None else _on_cpu(b)) for a, b in batches)
    if not math.isfinite(found.width):
        warnings.warn(
            f"{measure.name} was estimated from {found.batches} batch of inputs, which says "
            "nothing of how far off it is; give more inputs or smaller batches.",
            stacklevel=3,
        )
    lost = f", {found.dropped} left out of batches of fewer than {LEAST}" if found.dropped else ""
    plan = f"estimated from {found.batches} batches{lost}; widest 95 % interval ± {found.width:.2g}"
    table = _labelled(
        found.values, found.names_x, found.names_y, measure, found.probes, plan, found.reasons, {}
    )
    return table.assign_coords(lower=(("x", "y"), found.lower), upper=(("x", "y"), found.upper))


def _on_cpu(layers: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.cpu() for name, value in layers.items()}


def _from_all(batches: Iterable[Read], measure: Measure, memory: int) -> xarray.DataArray:
    held: list[dict[str, list[Tensor]]] = [{}, {}]
    bytes_held, n = 0, 0
    for a, b in batches:
        for side, layers in zip(held, (a, b or {}), strict=True):
            for name, value in layers.items():
                own = as_matrix(value, name).cpu()
                side.setdefault(name, []).append(own)
                bytes_held += own.numel() * own.element_size()
        n += len(next(iter(a.values())))
        if bytes_held > memory:
            raise InputError(
                f"inputs: {measure.name} needs every activation at once, and after {n:,} inputs "
                f"they take {_size(bytes_held)}, with {_size(memory)} allowed (memory=); give "
                "fewer inputs, fewer layers or reduce=, or use debiased_cka, whose memory does not "
                "grow with the inputs."
            )
    whole = [{name: torch.cat(parts) for name, parts in side.items()} for side in held]
    found = similarity_matrix(whole[0], whole[1] or None, measure, memory=memory)
    return found.assign_attrs(plan=f"exact, all held; {found.attrs['plan']}", inputs=n)


def _labelled(
    values: np.ndarray,
    names_x: Iterable[str],
    names_y: Iterable[str],
    measure: Measure,
    n: int,
    plan: str,
    reasons: dict[str, str],
    notes: dict[str, str],
) -> xarray.DataArray:
    import xarray

    for name, reason in reasons.items():
        tell(measure.name, repr(name), reason, None, level=4)
    return xarray.DataArray(
        values,
        dims=("x", "y"),
        coords={"x": list(names_x), "y": list(names_y)},
        name=measure.name,
        attrs={
            "measure": measure.name,
            "plan": plan,
            "inputs": n,
            "reasons": json.dumps(reasons),
            "notes": json.dumps(notes),
        },
    )
