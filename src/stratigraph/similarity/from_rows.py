"""CKA of representations that are read in parts, in bounded memory whatever their length or width.

``sums``     exactly, from sums of products of features (`moments`): memory p·q of all pairs, one
             pass over blocks of rows
``kernels``  exactly, where units are many and probes few: K = Σ X_c X_cᵀ over blocks of columns,
             memory n² for each representation, two passes
``batches``  debiased CKA where neither fits: random batches of probes, with a 95 % interval
             (`streaming`)

Whatever has ``shape`` (n, p), ``nbytes`` and ``read(rows, columns)`` can be read so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.similarity.centring import CONSTANT, centre, rescale
from stratigraph.similarity.gram import gram, pack
from stratigraph.similarity.hsic import DEGENERATE, is_degenerate, u_shift
from stratigraph.similarity.inputs import check_probes
from stratigraph.similarity.moments import CKASums, moments_bytes
from stratigraph.similarity.packed import packed_length
from stratigraph.similarity.sizes import in_words
from stratigraph.similarity.streaming import stream_cka
from stratigraph.similarity.unfit import Sieve, set_unfit

__all__ = ["Found", "cka_from_batches", "cka_from_rows"]

SHARE = 8  # of the memory that one block of rows or columns takes
BATCH = 250  # probes of a random batch
LEAST_BATCH = 16
Progress: TypeAlias = Callable[[int, int], None] | None  # parts done, parts in all
Part = TypeVar("Part")


@dataclass(frozen=True)
class Found:
    """Scores (k, k′), how they were had, name → why one has none; an interval if estimated."""

    values: np.ndarray
    plan: str
    reasons: dict[str, str]
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None


def cka_from_rows(
    left: Mapping[str, Any],
    right: Mapping[str, Any] | None,
    debiased: bool,
    memory: int,
    progress: Progress = None,
) -> Found:
    """CKA of all of ``left`` with all of ``right`` (None: of ``left``).

    Args:
        left: name → what is read in parts, or a matrix; all of the same probes.
        right: the same for the other axis.
        debiased: the debiased score.
        memory: bytes to hold, at most.
        progress: called with (parts read, all parts).

    Raises:
        InputError: the numbers of probes differ, none of a side is finite, or no way fits in
            memory.

    """
    sides = _sieved(left, right)
    n = _probes(sides)
    check_probes(n, 4 if debiased else 2, "CKA", next(iter(sides[0].values())).name)
    widths = [[value.shape[1] for value in side.values()] for side in sides]
    sums = 3 * moments_bytes(widths[0], widths[1] if right else None)
    kernels = 8 * 4 * n * n + 4 * packed_length(n) * sum(map(len, widths))
    flops = {
        "sums": 2.0 * n * sum(widths[0]) * sum(widths[-1]),
        "kernels": 2.0 * n * n * sum(map(sum, widths)),
    }
    fits = {"sums": sums <= memory // 2, "kernels": kernels <= memory // 2}
    ways = sorted((way for way in fits if fits[way]), key=flops.__getitem__)
    if ways:
        way = _from_sums if ways[0] == "sums" else _from_kernels
        return _without_unfit(way(sides, debiased, n, memory, progress), sides)
    if debiased:
        return _from_batches(sides, n, memory, progress=progress)
    raise InputError(
        f"measure: linear_cka on {n:,} probes and {sum(map(sum, widths)):,} units in total needs "
        f"{in_words(2 * min(sums, kernels))}, with {in_words(memory)} allowed (memory=); "
        "debiased_cka can be computed from random batches of the probes."
    )


def _sieved(left: Mapping[str, Any], right: Mapping[str, Any] | None) -> list[dict[str, Sieve]]:
    given = {"a": left} if right is None else {"a": left, "b": right}
    return [
        {name: Sieve(value, f"{argument}[{name!r}]") for name, value in side.items()}
        for argument, side in given.items()
    ]


def _probes(sides: Sequence[Mapping[str, Sieve]]) -> int:
    first, *others = [value for side in sides for value in side.values()]
    n = first.shape[0]
    for value in others:
        if value.shape[0] != n:
            raise InputError(
                f"{value.name}: expected the same {n} probes as {first.name}, got "
                f"{value.shape[0]} rows."
            )
    return n


def _without_unfit(found: Found, sides: list[dict[str, Sieve]]) -> Found:
    """NaN for what was found not to be finite, and why, as in memory."""
    unfit = set_unfit((found.values, found.lower, found.upper), sides)
    return replace(found, reasons={**found.reasons, **unfit})


def _rows_at_a_time(sides: Sequence[Mapping[str, Sieve]], memory: int) -> int:
    units = sum(value.shape[1] for side in sides for value in side.values())
    return max(1, memory // SHARE // (8 * 3 * units))


def _counted(parts: Sequence[Part], progress: Progress) -> Iterator[Part]:
    """Each part; once it is done with, that is told."""
    for done, part in enumerate(parts, 1):
        yield part
        if progress:
            progress(done, len(parts))


def _from_sums(
    sides: list[dict[str, Sieve]], debiased: bool, n: int, memory: int, progress: Progress
) -> Found:
    sums, step = CKASums(), _rows_at_a_time(sides, memory)
    for start in _counted(range(0, n, step), progress):
        rows = np.arange(start, min(start + step, n))
        sums.add(*({name: value.block(rows) for name, value in side.items()} for side in sides))
    values, reasons = sums.result(debiased)
    return Found(values, f"exact, from sums over blocks of {min(step, n):,} probes", reasons)


def _from_kernels(
    sides: list[dict[str, Sieve]], debiased: bool, n: int, memory: int, progress: Progress
) -> Found:
    reasons: dict[str, str] = {}
    stacked = [torch.zeros(len(side), packed_length(n), dtype=torch.float32) for side in sides]
    every = [
        (row, name, value)
        for vectors, side in zip(stacked, sides, strict=True)
        for row, (name, value) in zip(vectors, side.items(), strict=True)
    ]
    for row, name, value in _counted(every, progress):
        vector, reason = _vector(value, n, debiased, memory)
        if reason:
            reasons[name] = reason
            row.fill_(math.nan)
        else:
            row[: len(vector)] = vector
    values = np.zeros((len(stacked[0]), len(stacked[-1])))
    tile = max(1, memory // SHARE // (8 * sum(map(len, stacked))))
    own = [np.zeros(len(vectors)) for vectors in stacked]
    for start in range(0, stacked[0].shape[1], tile):
        parts = [vectors[:, start : start + tile].double() for vectors in stacked]
        values += (parts[0] @ parts[-1].T).numpy()
        own = [o + part.square().sum(1).numpy() for o, part in zip(own, parts, strict=True)]
    values /= np.sqrt(own[0])[:, None] * np.sqrt(own[-1])[None, :]
    values = np.clip(values, -1.0 if debiased else 0.0, 1.0)
    if len(sides) == 1:
        np.fill_diagonal(values, np.where(np.isnan(np.diag(values)), math.nan, 1.0))
    return Found(values, f"exact, from kernels of {n:,} probes over blocks of units", reasons)


def _vector(value: Sieve, n: int, debiased: bool, memory: int) -> tuple[Tensor, str | None]:
    """The packed centred kernel at tr K = 1, from blocks of columns; and why there is none."""
    rows, units = np.arange(n), value.shape[1]
    step = max(1, memory // SHARE // (8 * 3 * n))
    cuts = [slice(start, min(start + step, units)) for start in range(0, units, step)]
    kernel = torch.zeros(n, n, dtype=torch.float64)
    scale: int | None = None
    for columns in cuts:
        block = value.block(rows, columns)
        part = centre(block, value.name)
        if part.reason:
            continue
        if scale is None or part.exponent > scale:
            # To the largest so far: exact, and no square overflows.
            kernel = kernel if scale is None else rescale(kernel, 2 * (part.exponent - scale))
            scale = part.exponent
        kernel += gram(rescale(part.matrix, scale - part.exponent))
    if scale is None:
        return kernel[0], CONSTANT
    kernel /= kernel.trace()
    d = kernel.diagonal().clone()
    if debiased:
        shift = u_shift(d)
        inner = float(kernel.square().sum())
        kernel -= shift[:, None] + shift
        own = float(kernel.fill_diagonal_(0).square().sum())
        if is_degenerate(own, inner, 1.0, block.dtype):
            return kernel[0], DEGENERATE
    return pack(kernel, diagonal=not debiased), None


def _random_batches(
    sides: Sequence[Mapping[str, Sieve]], n: int, size: int, progress: Progress, seed: int = 0
) -> Iterator[tuple[dict[str, Tensor], dict[str, Tensor] | None]]:
    """Batches of the probes in an order drawn from ``seed``, each in the order of the file."""
    order = np.random.default_rng(seed).permutation(n)
    for start in _counted(range(0, n, size), progress):
        rows = np.sort(order[start : start + size])
        cut = [{name: value.block(rows) for name, value in side.items()} for side in sides]
        yield cut[0], cut[1] if len(cut) > 1 else None


def cka_from_batches(
    left: Mapping[str, Any],
    right: Mapping[str, Any] | None,
    n: int,
    memory: int,
    confidence: float = 0.95,
    progress: Progress = None,
) -> Found:
    """Debiased CKA of all of ``left`` with all of ``right`` from random batches, with intervals.

    Raises:
        InputError: not even a few probes of all fit in ``memory``, or none of a side is finite.

    """
    return _from_batches(_sieved(left, right), n, memory, confidence, progress)


def _from_batches(
    sides: list[dict[str, Sieve]],
    n: int,
    memory: int,
    confidence: float = 0.95,
    progress: Progress = None,
) -> Found:
    size = min(BATCH, _rows_at_a_time(sides, memory), n)
    if size < LEAST_BATCH:
        raise InputError(
            f"memory: {LEAST_BATCH} probes of these representations do not fit in "
            f"{in_words(memory)}; allow more."
        )
    found = stream_cka(_random_batches(sides, n, size, progress), confidence=confidence)
    reasons = {**found.reasons, **set_unfit((found.values, found.lower, found.upper), sides)}
    return Found(
        found.values,
        f"estimated from {found.batches} random batches of {size} probes; widest "
        f"{confidence:.0%} interval ± {found.width:.2g}",
        reasons,
        found.lower,
        found.upper,
    )
