"""Scores of all pairs, the probes of one side permuted again and again: what chance makes of them.

A permutation π is the same for every layer of the side. What was prepared of a layer is permuted,
not made anew:

vectors      a score is a cosine of vectors with an entry for each pair of probes (i, j), which is
             where that of (π_i, π_j) was: one list of places serves all layers of the side, and a
             draw is one product
prepared     the measure permutes its own form: features and bases by rows, ‖F_xᵀPF_y‖_* by the
             rows of F_y or the Cholesky factor of PKPᵀ
anew         a measure that says nothing of it is prepared again of permuted activations: slow

Draws are shared out over threads, each with a BLAS of one thread; no bit depends on their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.pairs.blocks import Progress, cuts
from stratigraph.pairs.in_memory import InMemory, write_sides
from stratigraph.pairs.planner import choose
from stratigraph.pairs.products import PART, multiply
from stratigraph.similarity.measure import Measure, Prepared, between
from stratigraph.similarity.sizes import in_words
from stratigraph.similarity.threads import Each, spread_over_threads

__all__ = ["score_permuted"]

Draw = Callable[[np.ndarray], np.ndarray]  # an order of the probes → scores (k, k′)


def score_permuted(
    sides: Sequence[Sequence[Tensor]],
    measure: Measure,
    orders: np.ndarray,
    memory: int,
    progress: Progress | None = None,
    threads: int | None = None,
) -> tuple[np.ndarray, str]:
    """Scores under every order of the last side's probes, (b, k, k′), and how they were had.

    Args:
        sides: finite matrices of the same probes; of one list, a copy of it is permuted, and by a
            symmetric measure each pair is scored once and mirrored.
        measure: what to compute.
        orders: of the probes, (b, n).
        memory: bytes to hold.
        progress: called with (draws done, draws in all).
        threads: that share the draws.

    Raises:
        InputError: there is more to hold than ``memory``.

    """
    rows, columns, n = len(sides[0]), len(sides[-1]), orders.shape[1]
    mirrored = len(sides) == 1 and measure.symmetric
    vectors = _takes_vectors(sides, measure, n, memory)
    _check_room(sides, measure, vectors, len(orders), n, memory)
    found = np.empty((len(orders), rows, columns))
    with spread_over_threads(threads) as (each, workers):
        if vectors:
            way = "permuting the places of packed vectors"
            draw = _draw_by_vectors(sides, measure, n, each, workers)
        else:
            known = measure.permute is not None
            way = "permuting what was prepared" if known else "preparing every permuted layer again"
            draw = _draw_by_parts(sides, measure, mirrored, each)
        for index, scores in enumerate(each(draw, orders)):
            if mirrored:
                scores = np.triu(scores) + np.triu(scores, 1).T
            found[index] = scores
            if progress:
                progress(index + 1, len(orders))
    return found, way


def _takes_vectors(
    sides: Sequence[Sequence[Tensor]], measure: Measure, n: int, memory: int
) -> bool:
    """Whether draws are products of vectors: they can be, and nothing else is cheaper."""
    if measure.places is None or measure.permute is None:
        return measure.places is not None
    widths = [[matrix.shape[1] for matrix in side] for side in sides]
    other = widths[1] if len(sides) > 1 else None
    pairs = len(sides[0]) * len(sides[-1])
    return isinstance(choose(measure, n, widths[0], other, pairs, memory).strategy, InMemory)


def _check_room(
    sides: Sequence[Sequence[Tensor]],
    measure: Measure,
    vectors: bool,
    draws: int,
    n: int,
    memory: int,
) -> None:
    every = [matrix for side in sides for matrix in side]
    if vectors:
        held = 4 * measure.entries(n) * len(every) + 4 * n * n
    else:
        held = sum(8 * n * min(n, matrix.shape[1]) for matrix in every)
    held += 8 * draws * len(sides[0]) * len(sides[-1])
    if held > memory:
        raise InputError(
            f"null: {draws} draws of {len(sides[0])} × {len(sides[-1])} scores of {n} probes would "
            f"hold {in_words(held)}, with {in_words(memory)} allowed (memory=); give fewer probes, "
            "layers or draws."
        )


def _draw_by_vectors(
    sides: Sequence[Sequence[Tensor]], measure: Measure, n: int, each: Each, workers: int
) -> Draw:
    length = measure.entries(n)
    rows, known = write_sides(sides, length, measure, each, workers)
    norms = [np.sqrt([vector.squared for vector in side]) for side in known]
    scale = norms[0][:, None] * norms[-1]
    places = measure.places(n) if measure.places else np.empty((n, n), np.int32)
    there = np.flatnonzero(places.ravel() >= 0)
    entry = np.empty(int(places.max()) + 1, np.int64)  # of each number of a vector, in the matrix
    entry[places.ravel()[there]] = there
    parts = cuts(len(entry), PART)

    def draw(order: np.ndarray) -> np.ndarray:
        moved = places.take(order, 0).take(order, 1).ravel().take(entry).astype(np.intp)
        total = np.zeros(scale.shape)
        for part in parts:
            own = np.empty((len(rows[-1]), part.stop - part.start), np.float32)
            np.take(rows[-1], moved[part], 1, out=own, mode="clip")  # unbuffered
            total += multiply(rows[0][:, part], own, double=False)
        return np.asarray(np.clip(total / scale, *measure.bounds))

    return draw


def _draw_by_parts(
    sides: Sequence[Sequence[Tensor]], measure: Measure, mirrored: bool, each: Each
) -> Draw:
    made = [list(each(measure.prepare, side)) for side in sides]
    shape = len(made[0]), len(made[-1])
    pairs = [(i, j) for i in range(shape[0]) for j in range(i if mirrored else 0, shape[1])]

    def permuted(one: Prepared, matrix: Tensor, order: np.ndarray) -> Prepared:
        if one.reason:
            return one
        if measure.permute is not None:
            return measure.permute(one, order)
        return measure.prepare(matrix[torch.from_numpy(order).to(matrix.device)])

    def draw(order: np.ndarray) -> np.ndarray:
        moved = [permuted(p, m, order) for p, m in zip(made[-1], sides[-1], strict=True)]
        scores = np.full(shape, math.nan)
        for i, j in pairs:
            scores[i, j] = between(measure, made[0][i], moved[j])
        return scores

    return draw
