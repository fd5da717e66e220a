"""The three ways in which scores of two networks' layers are had, and which of them is taken.

``networks`` says what they are.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.pairs.certified import check_tolerance
from stratigraph.pairs.intervals import confidence_of, interval_matrix
from stratigraph.pairs.labelled import label_matrix
from stratigraph.pairs.passes import Passes, Read
from stratigraph.pairs.scored import check_streamed, score_matrix
from stratigraph.similarity.inputs import check_probes
from stratigraph.similarity.measure import Measure, tell_all
from stratigraph.similarity.moments import CKASums, moments_bytes
from stratigraph.similarity.sizes import in_words
from stratigraph.similarity.streaming import LEAST, stream_cka
from stratigraph.similarity.unfit import with_unfit

if TYPE_CHECKING:
    import xarray

__all__ = ["SUMMED", "Asked", "choose_way", "from_all", "from_batches", "from_sums"]

SUMMED = ("debiased_cka", "linear_cka")


@dataclass(frozen=True)
class Asked:
    """What is asked for beside the scores."""

    interval: bool | float
    tolerance: float | None
    precision: float | None
    null: int | None
    groups: Any
    seed: int

    def check(self, measure: Measure) -> None:
        """Refuse what cannot be had together, or of this measure, before anything is read."""
        exact = bool(self.interval) or self.null is not None
        given = [name for name in ("tolerance", "precision") if getattr(self, name) is not None]
        if len(given) > 1 or (given and exact):
            raise InputError(
                f"{' and '.join(given)}: expected either tolerance or precision, or exact scores "
                "with interval or null."
            )
        if self.interval and not 0 < confidence_of(self.interval) < 1:
            raise InputError(
                f"interval: expected True, or a confidence between 0 and 1, got {self.interval!r}."
            )
        if self.tolerance is not None:
            check_tolerance(measure.name, self.tolerance)
        if self.precision is not None:
            check_streamed(measure)


def choose_way(
    measure: Measure, held: int | None, widths: list[list[int]], memory: int, asked: Asked
) -> tuple[str, str]:
    """How the scores are had, and why; ``held`` is what all activations take, if that is known."""
    units = sum(map(sum, widths))
    if asked.null is not None:
        return "held", "a null needs every activation at once"
    if asked.precision is not None:
        return "batches", f"batches until every 95 % interval is within ± {asked.precision:g}"
    if asked.interval:
        if measure.name == "debiased_cka" and (held is None or held > memory):
            return "batches", f"all activations may not fit in {in_words(memory)}"
        return "held", "an interval leaves out groups of inputs in turn, of all activations"
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
        f"measure: {measure.name} on layers with {units:,} units in total would hold "
        f"{in_words(sums)}, "
        f"with {in_words(memory)} allowed (memory=); use debiased_cka, which can be read from "
        "batches, fewer layers, or reduce= on large maps."
    )


def from_sums(batches: Iterable[Read], measure: Measure, passes: Passes) -> xarray.DataArray:
    """Linear CKA of all inputs, exactly, from sums of products of features."""
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
    tell_all(measure.name, reasons, level=3)
    plan = "exact, from sums"
    return label_matrix(
        values, names[0], names[-1], measure.name, plan, reasons, notes, inputs=sums.n
    )


def from_batches(
    batches: Iterable[Read], measure: Measure, passes: Passes, asked: Asked
) -> xarray.DataArray:
    """Debiased CKA and its interval, from batches in random order."""
    confidence = confidence_of(asked.interval or True)
    found = stream_cka(_on_cpu(batches), precision=asked.precision, confidence=confidence)
    if not math.isfinite(found.width):
        warnings.warn(
            f"{measure.name} was estimated from {found.batches} batch of inputs, which says "
            "nothing of how far off it is; give more inputs or smaller batches.",
            stacklevel=3,
        )
    lost = f", {found.dropped} left out of batches of fewer than {LEAST}" if found.dropped else ""
    told = f"{100 * confidence:g} %"
    asked_for: dict[str, Any] = (
        {"interval": f"{told}, from the spread of batches"} if asked.interval else {}
    )
    plan = (
        f"estimated from {found.batches} batches{lost}; widest {told} interval ± {found.width:.2g}"
    )
    reasons = passes.set_unfit(found.values, found.reasons)
    tell_all(measure.name, reasons, level=3)
    return label_matrix(
        found.values,
        found.names_x,
        found.names_y,
        measure.name,
        plan,
        reasons,
        ends=(found.lower, found.upper),
        inputs=found.probes,
        **asked_for,
    )


def _on_cpu(batches: Iterable[Read]) -> Iterator[Read]:
    for batch in batches:
        for side in batch:
            if side is not None:
                side.update({name: value.cpu() for name, value in side.items()})
        yield batch


def from_all(
    batches: Iterable[Read],
    measure: Measure,
    memory: int,
    passes: Passes,
    asked: Asked,
) -> xarray.DataArray:
    """Any measure of all activations, which are held.

    Raises:
        InputError: they take more than ``memory``.

    """
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
            needs = measure.name if asked.null is None else "a null"
            needs = "an interval" if asked.interval else needs
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
    chance: dict[str, Any] = {"null": asked.null, "groups": asked.groups, "seed": asked.seed}
    if asked.interval:
        confidence = confidence_of(asked.interval)
        found = interval_matrix(
            fit[0], right, measure, confidence=confidence, memory=memory, **chance
        )
    else:
        found = score_matrix(
            fit[0], right, measure, tolerance=asked.tolerance, memory=memory, **chance
        )
    found = with_unfit(found, names[0], names[-1], passes.unfit, level=4)
    return found.assign_attrs(plan=f"exact, all held; {found.attrs['plan']}", inputs=n)
