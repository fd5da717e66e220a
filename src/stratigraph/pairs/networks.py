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
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from stratigraph.activations import reader, unwrapped
from stratigraph.activations.batches import count_of, whole
from stratigraph.activations.callers_mask import masked_batches
from stratigraph.activations.layers import Layers
from stratigraph.activations.masks import MaskOf
from stratigraph.activations.reduce import Reduce, describe, sampled_units
from stratigraph.errors import InputError
from stratigraph.pairs.labelled import as_dataset
from stratigraph.pairs.network_ways import (
    SUMMED,
    Asked,
    choose_way,
    from_all,
    from_batches,
    from_sums,
)
from stratigraph.pairs.passes import Passes
from stratigraph.pairs.planner import MEMORY
from stratigraph.similarity.catalog import find_measure
from stratigraph.similarity.inputs import check_probes
from stratigraph.similarity.measure import Measure
from stratigraph.similarity.sizes import in_bytes
from stratigraph.similarity.streaming import LEAST

if TYPE_CHECKING:
    import xarray

__all__ = ["compare"]

SEVERAL = 16  # batches, where they are cut here
COPIES = 6  # of a batch's activations in all: as they came, in float64, side by side
SMALL = 1 << 20  # bytes: a batch of so much is not worth cutting


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
    interval: bool | float = False,
    tolerance: float | None = None,
    precision: float | None = None,
    null: int | None = None,
    groups: Any = None,
    seed: int = 0,
) -> Any:
    """Compare every layer of one network with every layer of another (or of itself).

    Args:
        model_a: any module, on any device and of any floating-point dtype; for a data-parallel or
            compiled one, what it wraps is read.
        model_b: another; the same object compares its layers with each other, in one pass.
        inputs: a tensor (n, …), a tuple or mapping of such, a DataLoader or any iterable of
            batches; see `stratigraph.activations.batches`.
        measure: a name of the catalogue, or a `Measure`.
        layers: names, globs or types, for both; see `stratigraph.activations.layers`.
        layers_b: those of ``model_b``, if they have other names.
        reduce: makes large maps smaller; see `stratigraph.activations.reduce`.
        mask: which tokens are real, if the networks are not told: (n, t), the name of an input,
            or a function of a batch; see `stratigraph.activations.masks`.
        batch_size: inputs per pass, if they are cut into batches here; fewer if that many
            would not fit in ``memory``.
        call: runs one pass of a model on a batch; by default the batch's type decides how the
            model is called.
        memory: bytes to hold, or words such as ``"2 GB"``; it decides whether CKA is exact.
        interval: an interval for each score over the inputs that might have been drawn, at 95 %
            or the given confidence (`intervals`); all activations are held or, if they would not
            fit, debiased CKA is estimated from batches, whose spread gives the interval.
        tolerance: accept scores within intervals no wider than this (`certified`); Procrustes
            only; all activations are held.
        precision: show random batches until every 95 % interval is within ± this (`streaming`);
            debiased CKA only.
        null: number of permutations of the inputs that estimate what chance would score
            (`chance`); all activations are held.
        groups: a label for each input, within which they are permuted.
        seed: seed of the permutations.

    Returns:
        a DataArray, dims ``("x", "y")``: layers of ``model_a`` and ``model_b``; attributes
        ``measure``, ``plan`` (how it was computed), ``inputs`` (how many), ``reduce``, ``left_out``
        (layer → why it was not read), ``reasons`` and ``notes`` as in `similarity_matrix`, mappings
        in ``found.sg``. From batches, it has the coordinates ``lower`` and ``upper`` of a 95 %
        interval.

        With an interval or a null, a Dataset as in `similarity_matrix`: ``value``, ``lower``,
        ``upper``, ``p``, ….

    Raises:
        InputError: an unknown layer or measure, no inputs, a network that draws random numbers or
            sets itself up in its first pass, more to hold than ``memory``, or no layer that can be
            compared; the message says what to do.

    """
    chosen, most = find_measure(measure), in_bytes(memory)
    asked_for = Asked(interval, tolerance, precision, null, groups, seed)
    asked_for.check(chosen)
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
        way, why = choose_way(chosen, None if n is None else n * size, widths, most, asked_for)
        if way == "batches" and n is not None and batch_size < LEAST:
            raise InputError(
                f"batch_size: expected at least {LEAST}, since {why} and debiased CKA is "
                f"estimated from batches; got {batch_size}."
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
            found = from_sums(read, chosen, passes)
        elif way == "batches":
            found = from_batches(read, chosen, passes, asked_for)
        else:
            found = from_all(read, chosen, most, passes, asked_for)
    found = found.assign_attrs(
        plan=f"{why}; {found.attrs['plan']}",
        reduce=describe(reduce),
        left_out=json.dumps(passes.left_out),
        notes=json.dumps(json.loads(found.attrs["notes"]) | _note_samples(found, chosen, reduce)),
    )
    return as_dataset(found) if interval or null is not None else found


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
