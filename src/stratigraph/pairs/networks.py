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
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from stratigraph.activations import reader, unwrapped
from stratigraph.activations.batches import count_of, whole
from stratigraph.activations.callers_mask import masked_batches
from stratigraph.activations.layers import Layers
from stratigraph.activations.masks import MaskOf
from stratigraph.activations.reduce import Reduce, describe, sampled_units
from stratigraph.errors import InputError
from stratigraph.pairs.labelled import label_matrix
from stratigraph.pairs.matrix import similarity_matrix
from stratigraph.pairs.passes import Passes, Read
from stratigraph.pairs.planner import MEMORY
from stratigraph.similarity.catalog import find_measure
from stratigraph.similarity.inputs import check_probes
from stratigraph.similarity.measure import Measure, tell
from stratigraph.similarity.moments import CKASums, moments_bytes
from stratigraph.similarity.sizes import in_bytes, in_words
from stratigraph.similarity.streaming import LEAST, stream_cka
from stratigraph.similarity.unfit import with_unfit

if TYPE_CHECKING:
    import xarray

__all__ = ["compare"]

SEVERAL = 16  # batches, where they are cut here
COPIES = 6  # of a batch's activations in all: as they came, in float64, side by side
SMALL = 1 << 20  # bytes: a batch of so much is not worth cutting
SUMMED = ("debiased_cka", "linear_cka")


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
    null: int | None = None,
    groups: Any = None,
    seed: int = 0,
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
        null: so many permutations of the inputs say what chance would score (`chance`); all
            activations are held.
        groups: a label for each input, within which they are permuted.
        seed: of the permutations.

    Returns:
        dims ``("x", "y")``: layers of ``model_a`` and ``model_b``; attributes ``measure``,
        ``plan`` (how it was computed), ``inputs`` (how many), ``reduce``, ``left_out`` (JSON: layer
        → why it was not read), ``reasons`` and ``notes`` (as of `similarity_matrix`). From batches,
        with the coordinates ``lower`` and ``upper`` of a 95 % interval; with a null, those of
        `similarity_matrix`.

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
        passes = Passes(readers, mask, call)
        batches = masked_batches(inputs, batch_size, mask)
        first, rows = next(batches)
        few = ((inputs, None), n) if whole(inputs) and n is not None else (first, rows)
        fixed = passes.learn(few, (first, rows))
        widths, size = passes.widths(first, rows)
        way, why = _way(chosen, None if n is None else n * size, widths, most, null is not None)
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
            chance = {"null": null, "groups": groups, "seed": seed}
            found = _from_all(read, chosen, most, passes, chance)
    return found.assign_attrs(
        plan=f"{why}; {found.attrs['plan']}",
        reduce=describe(reduce),
        left_out=json.dumps(passes.left_out),
        notes=json.dumps(json.loads(found.attrs["notes"]) | _note_samples(found, chosen, reduce)),
    )


def _note_samples(found: xarray.DataArray, measure: Measure, reduce: Reduce) -> dict[str, str]:
    """Layer → that CKA of a sample of its units is not that of the layer."""
    if measure.name not in SUMMED:
        return {}
    names = dict.fromkeys(str(name) for axis in ("x", "y") for name in found[axis].values)
    return {
        name: f"biased if it has more units than the {most} that were read: "
        "use feature_corrected_cka"
        for name in names
        if (most := sampled_units(reduce, name)) is not None
    }


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _cut(n: int, most: int) -> int:
    """The size of several batches, from whose spread the interval comes; none is too small."""
    size = max(LEAST, min(most, math.ceil(n / SEVERAL)))
    sizes = range(size, LEAST - 1, -1)
    return next((s for s in sizes if not 0 < n % s < LEAST), size)


def _way(
    measure: Measure, held: int | None, widths: list[list[int]], memory: int, null: bool
) -> tuple[str, str]:
    """How the scores are had, and why; ``held`` is what all activations take, if that is known."""
    units = sum(map(sum, widths))
    if null:
        return "held", "a null needs every activation at once"
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
        f"with {in_words(memory)} allowed (memory=); use debiased_cka, which can be read from "
        "batches, fewer layers, or reduce= on large maps."
    )


def _from_sums(batches: Iterable[Read], measure: Measure, passes: Passes) -> xarray.DataArray:
    sums = CKASums()
    for a, b in batches:
        sums.add(a, b)
    check_probes(sums.n, measure.least, measure.name, "inputs")
    values, reasons = sums.result(measure.name == "debiased_cka")
    reasons = passes.set_unfit(values, reasons)
    names = [side.names for side in sums.sides]
    notes = {}
    if measure.biased:
        notes = {
            name: f"biased upwards: {width} units and only {sums.n} inputs; use debiased_cka"
            for side in sums.sides
            for name, width in ((m, len(side.offsets[m])) for m in side.names)
            if width > sums.n
        }
    for name, reason in reasons.items():
        tell(measure.name, repr(name), reason, None, level=3)
    plan = "exact, from sums"
    return label_matrix(
        values, names[0], names[-1], measure.name, plan, reasons, notes, inputs=sums.n
    )


def _from_batches(batches: Iterable[Read], measure: Measure, passes: Passes) -> xarray.DataArray:
    found = stream_cka(_on_cpu(batches))
    if not math.isfinite(found.width):
        warnings.warn(
            f"{measure.name} was estimated from {found.batches} batch of inputs, which says "
            "nothing of how far off it is; give more inputs or smaller batches.",
            stacklevel=3,
        )
    lost = f", {found.dropped} left out of batches of fewer than {LEAST}" if found.dropped else ""
    plan = f"estimated from {found.batches} batches{lost}; widest 95 % interval ± {found.width:.2g}"
    reasons = passes.set_unfit(found.values, found.reasons)
    for name, reason in reasons.items():
        tell(measure.name, repr(name), reason, None, level=3)
    return label_matrix(
        found.values,
        found.names_x,
        found.names_y,
        measure.name,
        plan,
        reasons,
        ends=(found.lower, found.upper),
        inputs=found.probes,
    )


def _on_cpu(batches: Iterable[Read]) -> Iterator[Read]:
    for batch in batches:
        for side in batch:
            if side is not None:
                side.update({name: value.cpu() for name, value in side.items()})
        yield batch


def _from_all(
    batches: Iterable[Read],
    measure: Measure,
    memory: int,
    passes: Passes,
    chance: Mapping[str, Any],
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
            needs = measure.name if chance["null"] is None else "a null"
            raise InputError(
                f"inputs: {needs} needs every activation at once, and after {n:,} inputs "
                f"they take {in_words(bytes_held)}, with {in_words(memory)} allowed (memory=); "
                "give fewer inputs, fewer layers or reduce=, or use debiased_cka, whose memory "
                "does not grow with the inputs."
            )
    names = [list(side) for side in held[: len(passes.unfit)]]
    fit = [
        {name: torch.cat(parts) for name, parts in side.items() if name not in reasons}
        for side, reasons in zip(held, passes.unfit, strict=False)
    ]
    right = fit[1] if len(fit) > 1 else None
    found = similarity_matrix(fit[0], right, measure, memory=memory, **chance)
    found = with_unfit(found, names[0], names[-1], passes.unfit, level=4)
    return found.assign_attrs(plan=f"exact, all held; {found.attrs['plan']}", inputs=n)
