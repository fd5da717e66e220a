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

import json
import math
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from stratigraph.activations import Reader, reader, unwrapped
from stratigraph.activations.batches import count_of, few_rows, given, pieces, run, whole
from stratigraph.activations.layers import Layers
from stratigraph.activations.masks import MaskOf, mask_for, masked_batches
from stratigraph.activations.reduce import Reduce, describe
from stratigraph.errors import InputError
from stratigraph.pairs.matrix import similarity_matrix
from stratigraph.similarity.catalog import find_measure
from stratigraph.similarity.inputs import as_matrix, check_probes
from stratigraph.similarity.measure import Measure, tell
from stratigraph.similarity.moments import CKASums, moments_bytes
from stratigraph.similarity.sizes import in_bytes, in_words
from stratigraph.similarity.streaming import LEAST, stream_cka
from stratigraph.similarity.unfit import unfit, with_unfit

if TYPE_CHECKING:
    import xarray

__all__ = ["compare"]

MEMORY = 2 << 30
SEVERAL = 16  # batches, where they are cut here
COPIES = 6  # of a batch's activations in all: as they came, in float64, side by side
SMALL = 1 << 20  # bytes: a batch of so much is not worth cutting
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
    mask: MaskOf = None,
    batch_size: int = 256,
    call: Callable[[nn.Module, Any], Any] | None = None,
    memory: int | str = MEMORY,
) -> xarray.DataArray:
    """Compare every layer of one network with every layer of another (or of itself).

    Args:
        model_a: any module, on any device and of any floating-point dtype; of a data-parallel or
            compiled one, what it wraps.
        model_b: another; the same object compares its layers with each other, in one pass.
        inputs: a tensor (n, …), a tuple or mapping of such, a DataLoader or any iterable of
            batches; see `stratigraph.activations.batches`.
        measure: a name of the catalogue, or a `Measure`.
        layers: names, globs or types, of both; see `stratigraph.activations.layers`.
        layers_b: those of ``model_b``, where they have other names.
        reduce: makes large maps smaller; see `stratigraph.activations.reduce`.
        mask: which tokens are there, where the networks are not told: (n, t), the name of an input,
            or a function of a batch; see `stratigraph.activations.masks`.
        batch_size: inputs of one pass, where they are cut into batches here; fewer if that many
            would not fit in ``memory``.
        call: runs one pass of a model on a batch; by default the batch is given by its type.
        memory: bytes to hold, or words such as ``"2 GB"``; it decides between the ways above.

    Returns:
        dims ``("x", "y")``: layers of ``model_a`` and ``model_b``; attributes ``measure``,
        ``plan`` (how it was computed), ``inputs`` (how many), ``reduce``, ``left_out`` (JSON: layer
        → why it was not read), ``reasons`` and ``notes`` (as of `similarity_matrix`). From batches,
        with the coordinates ``lower`` and ``upper`` of a 95 % interval.

    Raises:
        InputError: an unknown layer or measure, no inputs, a network that draws random numbers or
            sets itself up in its first pass, more to hold than ``memory``, or no layer that can be
            compared; the message says what to do.

    """
    chosen, most = find_measure(measure), in_bytes(memory)
    own_b = layers if layers_b is None else layers_b
    same = (model_a is model_b or unwrapped(model_a) is unwrapped(model_b)) and layers_b is None
    asked = [(model_a, layers)] if same else [(model_a, layers), (model_b, own_b)]
    n = count_of(inputs)
    if n is not None:
        check_probes(n, chosen.least, chosen.name, "inputs")
    with ExitStack() as stack:
        readers = [stack.enter_context(reader(model, some, reduce)) for model, some in asked]
        passes = _Passes(readers, mask, call)
        batches = masked_batches(inputs, batch_size, mask)
        first, rows = next(batches)
        few = ((inputs, None), n) if whole(inputs) and n is not None else (first, rows)
        fixed = passes.learn(few, (first, rows))
        widths, size = passes.widths(first, rows)
        way, why = _way(chosen, None if n is None else n * size, widths, most)
        if way == "batches" and n is not None and batch_size < LEAST:
            raise InputError(
                f"batch_size: expected {LEAST} or more, since {why} and debiased CKA is estimated "
                f"from batches; got {batch_size}."
            )
        if way == "batches" and n is not None:
            # An estimate from batches needs them in random order; a loader's is taken as it is.
            order = np.random.default_rng(0).permutation(n)
            shown = masked_batches(inputs, fixed or _cut(n, batch_size), mask, order)
        else:
            shown = _chain((first, rows), batches)
        least = LEAST if way == "batches" else 1
        held = fixed or max(least, max(most, SMALL) // (COPIES * size))
        read = passes.read(shown, held, least)
        if way == "sums":
            found = _from_sums(read, chosen, passes)
        elif way == "batches":
            found = _from_batches(read, chosen, passes)
        else:
            found = _from_all(read, chosen, most, passes)
    return found.assign_attrs(
        plan=f"{why}; {found.attrs['plan']}",
        reduce=describe(reduce),
        left_out=json.dumps(passes.left_out),
    )


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


class _Passes:
    """Both networks, and how a batch is run through them.

    ``unfit`` holds, for each side, layer → why it cannot be compared: it is given as one unit that
    is zero, and its scores are NaN.
    """

    def __init__(
        self,
        readers: list[Reader],
        mask: MaskOf,
        call: Callable[[nn.Module, Any], Any] | None,
    ) -> None:
        self.readers, self.mask, self.call = readers, mask, call
        self.unfit: list[dict[str, str]] = [{} for _ in readers]
        self.units: list[dict[str, int]] = [{} for _ in readers]
        for one, unfit_here in zip(readers, self.unfit, strict=True):
            one.lost = unfit_here
            if not one.chosen.modules:
                inside = next(one.model.children(), None) is not None
                raise InputError(
                    f"layers: none to compare in a {type(one.model).__name__}: "
                    + (
                        f"expected names, globs or types, got {one.asked!r}."
                        if inside
                        else "no module stands inside it; wrap it, nn.Sequential(model)."
                    )
                )

    @property
    def left_out(self) -> dict[str, str]:
        """Layer → why it is not read."""
        learned = [one.learned for one in self.readers if one.learned is not None]
        return {name: why for one in learned for name, why in one.left_out.items()}

    def learn(self, few: tuple[Any, int], batch: tuple[Any, int]) -> int:
        """Learn of the layers; the number of inputs that a network has to have, or 0.

        Raises:
            InputError: a network cannot be read.

        """
        for one in self.readers:
            one.learn(partial(self._show, one.model), few, batch, check=self.call is None)
        return max(0 if one.learned is None else one.learned.fixed for one in self.readers)

    def _show(self, model: nn.Module, pair: Any, at: slice) -> Any:
        return (self.call or run)(model, given(pair[0], model))

    def widths(self, pair: Any, rows: int) -> tuple[list[list[int]], int]:
        """The units of every layer of each side, and the bytes that one input takes."""
        few = min(rows, LEAST)
        try:
            read = self._both(few_rows(pair, rows, few), few)
        except Exception:  # made for one number of inputs
            few, read = rows, self._both(pair, rows)
        found, size = [], 0
        for side in read:
            matrices = [_matrix(name, value) for name, value in side.items()]
            found.append([x.shape[1] for x in matrices])
            size += sum(x.shape[1] * x.element_size() for x in matrices)
        return found, max(1, size)

    def read(self, batches: Iterable[Any], most: int, least: int) -> Generator[Read]:
        """What the layers of both return for each batch, cut where it is too large to hold."""
        for pair, rows in batches:
            cut = [(pair, rows)] if rows <= most else pieces(pair, rows, most, least)
            for part, count in cut:
                found = self._both(part, count)
                for side, some in enumerate(found):
                    some.update({name: self._fit(side, name, v) for name, v in some.items()})
                yield found[0], found[1] if len(found) > 1 else None
                for some in found:
                    some.clear()  # or two batches would be held while the next one is read
        for one, reasons, units in zip(self.readers, self.unfit, self.units, strict=True):
            if units and units.keys() <= reasons.keys():
                name, why = next(iter(reasons.items()))
                raise InputError(
                    f"layers: none of a {type(one.model).__name__} can be compared; {name} is "
                    f"{why}."
                )

    def _both(self, pair: Any, rows: int) -> list[dict[str, Tensor]]:
        return [
            one.read(
                partial(self._show, one.model, pair, slice(0, rows)),
                rows,
                mask_for(pair, self.mask, rows),
            )
            for one in self.readers
        ]

    def _fit(self, side: int, name: str, value: Tensor) -> Tensor:
        """A layer's matrix; zeros once it was found unfit."""
        reasons, units = self.unfit[side], self.units[side]
        if name not in reasons:
            value = value[:, None] if value.ndim == 1 else value
            why = (
                f"without units: {tuple(value.shape)}" if not value.numel() else unfit(value, name)
            )
            if why is None:
                matrix = as_matrix(value, name)
                units.setdefault(name, matrix.shape[1])
                return matrix
            reasons[name] = why
        return torch.zeros(len(value), units.setdefault(name, 1))


def _matrix(name: str, value: Tensor) -> Tensor:
    """As many units as a layer has, whether or not it can be compared."""
    flat = value.reshape(len(value), -1)
    return as_matrix(flat.abs() if flat.is_complex() else flat, name) if flat.numel() else flat


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
        return "held", f"{in_words(held)} of activations, less than {in_words(sums)} of sums"
    if sums <= memory:
        return "sums", f"{in_words(sums)} of sums of products, whatever the number of inputs"
    if measure.name == "debiased_cka":
        return "batches", f"{in_words(sums)} of sums would not fit in {in_words(memory)}"
    raise InputError(
        f"measure: {measure.name} of layers of {units:,} units in all would hold {in_words(sums)}, "
        f"with {in_words(memory)} allowed (memory=); use debiased_cka, which can be had from "
        "batches, fewer layers, or reduce= on large maps."
    )


def _from_sums(batches: Iterable[Read], measure: Measure, passes: _Passes) -> xarray.DataArray:
    sums = CKASums()
    for a, b in batches:
        sums.add(a, b)
    check_probes(sums.n, measure.least, measure.name, "inputs")
    values, reasons = sums.result(measure.name == "debiased_cka")
    reasons = _set_unfit(values, passes, reasons)
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


def _from_batches(batches: Iterable[Read], measure: Measure, passes: _Passes) -> xarray.DataArray:
    found = stream_cka(_on_cpu(batches))
    if not math.isfinite(found.width):
        warnings.warn(
            f"{measure.name} was estimated from {found.batches} batch of inputs, which says "
            "nothing of how far off it is; give more inputs or smaller batches.",
            stacklevel=3,
        )
    lost = f", {found.dropped} left out of batches of fewer than {LEAST}" if found.dropped else ""
    plan = f"estimated from {found.batches} batches{lost}; widest 95 % interval ± {found.width:.2g}"
    reasons = _set_unfit(found.values, passes, found.reasons)
    table = _labelled(
        found.values, found.names_x, found.names_y, measure, found.probes, plan, reasons, {}
    )
    return table.assign_coords(lower=(("x", "y"), found.lower), upper=(("x", "y"), found.upper))


def _on_cpu(batches: Iterable[Read]) -> Iterator[Read]:
    for batch in batches:
        for side in batch:
            if side is not None:
                side.update({name: value.cpu() for name, value in side.items()})
        yield batch


def _set_unfit(values: np.ndarray, passes: _Passes, reasons: dict[str, str]) -> dict[str, str]:
    """Put NaN where a layer was unfit; the reasons with theirs."""
    for axis, (units, unfit_here) in enumerate(zip(passes.units, passes.unfit, strict=True)):
        for place, name in enumerate(units):
            if name in unfit_here:
                np.moveaxis(values, axis, 0)[place] = math.nan
                if len(passes.units) == 1:
                    values[:, place] = math.nan
                reasons = {**reasons, name: unfit_here[name]}
    return reasons


def _from_all(
    batches: Iterable[Read], measure: Measure, memory: int, passes: _Passes
) -> xarray.DataArray:
    held: list[dict[str, list[Tensor]]] = [{}, {}]
    bytes_held, n = 0, 0
    for a, b in batches:
        for side, layers in zip(held, (a, b or {}), strict=True):
            for name, value in layers.items():
                own = value.cpu()
                side.setdefault(name, []).append(own)
                bytes_held += own.numel() * own.element_size()
        n += len(next(iter(a.values())))
        if bytes_held > memory:
            raise InputError(
                f"inputs: {measure.name} needs every activation at once, and after {n:,} inputs "
                f"they take {in_words(bytes_held)}, with {in_words(memory)} allowed (memory=); "
                "give fewer inputs, fewer layers or reduce=, or use debiased_cka, whose memory "
                "does not grow with the inputs."
            )
    names = [list(side) for side in held[: len(passes.unfit)]]
    fit = [
        {name: torch.cat(parts) for name, parts in side.items() if name not in reasons}
        for side, reasons in zip(held, passes.unfit, strict=False)
    ]
    found = similarity_matrix(fit[0], fit[1] if len(fit) > 1 else None, measure, memory=memory)
    for reasons in passes.unfit:
        for name, why in reasons.items():
            tell(measure.name, repr(name), why, None, level=3)
        found = with_unfit(found, names[0], names[-1], reasons)
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
