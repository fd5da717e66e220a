"""All pairs: the only loop over pairs in this package.

K representations (or K against K′) are cut into fixed blocks, so that the bits of a result depend
neither on the number of workers nor on the order in which blocks finish. Two ways:

``vectors``  the measure is a cosine of one vector for each representation: the vectors are made
             once (float32, in memory or in a scratch folder), and a block of pairs is one matrix
             product, in float64, over tiles of columns.
``pairs``    each block prepares its representations once and compares the pairs that are wanted.

For a symmetric measure only the upper triangle is computed, then mirrored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from stratigraph.engine import Engine
from stratigraph.errors import InputError, StratigraphError
from stratigraph.similarity.gram import gram, norm64
from stratigraph.similarity.measure import Measure, Prepared, between
from stratigraph.similarity.reduction import read_coordinates

__all__ = ["Comparison", "Source", "all_pairs"]

Source: TypeAlias = Tensor | Path
Vectors: TypeAlias = np.ndarray | Path
Progress: TypeAlias = Callable[[int, int], None]

EMBED_BLOCK = 32  # representations whose vectors one task makes, where n allows
PRODUCT_BLOCK = 256  # vectors a side of one product
PAIR_BLOCK = 16  # representations a side of a block that is compared pair by pair
TILE = 8192  # columns at a time: 16 MB of float64 a side


@dataclass(frozen=True)
class Comparison:
    """Scores ``(k, k′)`` in float64, and for each representation why its scores are NaN or weak."""

    values: np.ndarray
    reasons_x: tuple[str | None, ...]
    reasons_y: tuple[str | None, ...]
    doubts_x: tuple[str | None, ...]
    doubts_y: tuple[str | None, ...]


@dataclass(frozen=True)
class _Block:
    """A rectangle of pairs: rows of one side, columns of the other."""

    rows: slice
    columns: slice


@dataclass(frozen=True)
class _Notes:
    """Why representations are NaN or weak, in the order of their block."""

    reasons: tuple[str | None, ...]
    doubts: tuple[str | None, ...]


def all_pairs(
    xs: Sequence[Source],
    ys: Sequence[Source] | None,
    measure: Measure,
    *,
    vectors: bool,
    wanted: np.ndarray | None = None,
    engine: Engine | None = None,
    spill: bool = False,
    progress: Progress | None = None,
) -> Comparison:
    """Compare every representation of ``xs`` with every one of ``ys`` (of ``xs`` where None).

    Args:
        xs: finite matrices of the same probes, or paths of stored coordinates.
        ys: the same for the other axis.
        measure: what to compute.
        vectors: compare through embedded vectors.
        wanted: boolean ``(k, k′)``; other pairs are NaN. Within one set, a pair of a symmetric
            measure is wanted if either order is.
        engine: where blocks run; None is this process, with torch's own threads.
        spill: keep the vectors in a temporary folder rather than in memory.
        progress: called with (tasks done, tasks in all).

    """
    same = ys is None
    sides = [list(xs)] if ys is None else [list(xs), list(ys)]
    mask = _mask(wanted, len(sides[0]), len(sides[-1]), fold=same and measure.symmetric)
    run = partial(_each, engine=engine, progress=progress)
    if vectors:
        spilled = spill or (engine is not None and engine.workers > 1)
        with TemporaryDirectory(prefix="stratigraph-") as folder:
            into = Path(folder) if spilled else None
            values, notes = _by_vectors(sides, measure, mask, run, into)
    else:
        values, notes = _by_pairs(sides, measure, mask, run)
    for axis, side in ((0, notes[0]), (1, notes[-1])):
        bad = [i for i, reason in enumerate(side.reasons) if reason]
        values[(bad, slice(None)) if axis == 0 else (slice(None), bad)] = math.nan
    if same and measure.symmetric:
        values = np.where(mask, values, values.T)
    return Comparison(
        values, notes[0].reasons, notes[-1].reasons, notes[0].doubts, notes[-1].doubts
    )


def _mask(wanted: np.ndarray | None, rows: int, columns: int, *, fold: bool) -> np.ndarray:
    mask = np.ones((rows, columns), bool) if wanted is None else np.asarray(wanted)
    if mask.shape != (rows, columns) or mask.dtype != bool:
        raise InputError(
            f"wanted: expected a boolean matrix of shape {(rows, columns)}, "
            f"got {mask.dtype} of shape {mask.shape}."
        )
    return np.triu(mask | mask.T) if fold else mask


def _each(
    function: Callable[[Any], Any],
    tasks: Sequence[Any],
    *,
    engine: Engine | None,
    progress: Progress | None,
) -> Iterator[tuple[int, Any]]:
    """(index, value) of each task as it ends; a task's failure is raised."""
    if engine is None:
        for index, task in enumerate(tasks):
            yield index, function(task)
            if progress:
                progress(index + 1, len(tasks))
        return
    for done, outcome in enumerate(engine.map(function, tasks), 1):
        if outcome.failure is not None:
            raise outcome.failure.error or StratigraphError(
                f"comparing block {outcome.index}: {outcome.failure.message}"
            )
        yield outcome.index, outcome.value
        if progress:
            progress(done, len(tasks))


def _cuts(count: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _blocks(mask: np.ndarray, size: int) -> list[_Block]:
    """The rectangles that hold a wanted pair."""
    return [
        _Block(rows, columns)
        for rows in _cuts(mask.shape[0], size)
        for columns in _cuts(mask.shape[1], size)
        if mask[rows, columns].any()
    ]


def _matrix(source: Source, measure: Measure) -> Tensor:
    if isinstance(source, Tensor):
        return source
    return read_coordinates(source, centred=measure.translation)


def _prepared(source: Source, prepare: Callable[[Tensor], Prepared], measure: Measure) -> Prepared:
    matrix = _matrix(source, measure)
    if isinstance(source, Path) and not bool(torch.isfinite(matrix).all()):
        return Prepared(len(matrix), "none", reason="not finite: its activations held NaN or inf")
    return prepare(matrix)


# --- vectors ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _EmbedTask:
    sources: tuple[Source, ...]
    measure: Measure
    path: Path | None


@dataclass(frozen=True)
class _Embedded:
    vectors: Vectors
    norms: tuple[float, ...]
    notes: _Notes


@dataclass(frozen=True)
class _ProductTask:
    left: tuple[Vectors, ...]
    right: tuple[Vectors, ...]
    same: bool


def _by_vectors(
    sides: list[list[Source]],
    measure: Measure,
    mask: np.ndarray,
    run: Callable[..., Iterator[tuple[int, Any]]],
    folder: Path | None,
) -> tuple[np.ndarray, list[_Notes]]:
    made, norms, notes = [], [], []
    for number, side in enumerate(sides):
        size = _embed_block(side)
        tasks = [
            _EmbedTask(
                tuple(side[cut]),
                measure,
                None if folder is None else folder / f"vectors-{number}-{cut.start}.npy",
            )
            for cut in _cuts(len(side), size)
        ]
        done: dict[int, _Embedded] = dict(run(_embed, tasks))
        ordered = [done[index] for index in range(len(tasks))]
        made.append((size, [e.vectors for e in ordered]))
        norms.append(np.array([norm for e in ordered for norm in e.norms]))
        notes.append(_joined([e.notes for e in ordered]))
    size = max(PRODUCT_BLOCK // made[0][0], 1) * made[0][0]
    blocks = _blocks(mask, size)
    products = [
        _ProductTask(
            _chunks(*made[0], block.rows),
            _chunks(*made[-1], block.columns),
            same=len(sides) == 1 and block.rows == block.columns,
        )
        for block in blocks
    ]
    values = np.full(mask.shape, math.nan)
    for index, product in run(_multiply, products):
        values[blocks[index].rows, blocks[index].columns] = product
    with np.errstate(invalid="ignore", divide="ignore"):
        values /= norms[0][:, None] * norms[-1][None, :]
    low, high = measure.bounds
    return np.where(mask, np.clip(values, low, high), math.nan), notes


def _embed_block(side: list[Source]) -> int:
    """Few enough that a task's vectors take 256 MB at most: fixed by n, not by the machine."""
    first = side[0]
    n = len(first) if isinstance(first, Tensor) else len(read_coordinates(first))
    return max(1, min(EMBED_BLOCK, 2**27 // n**2))


def _chunks(size: int, vectors: list[Vectors], cut: slice) -> tuple[Vectors, ...]:
    return tuple(vectors[cut.start // size : -(-cut.stop // size)])


def _embed(task: _EmbedTask) -> _Embedded:
    """Vectors as rows of float32, zero where a representation has none, and their norms."""
    embed = task.measure.embed
    if embed is None:
        raise InputError(f"measure: {task.measure.name} cannot be embedded as vectors.")
    rows, reasons, doubts, norms = np.zeros((len(task.sources), 0), np.float32), [], [], []
    for index, source in enumerate(task.sources):
        found = _prepared(source, embed, task.measure)
        reasons.append(found.reason)
        doubts.append(found.doubt)
        norms.append(1.0)
        if found.parts:
            vector = found.parts[0].to("cpu", torch.float32)
            norms[-1] = norm64(vector)
            if not rows.shape[1]:
                rows = np.zeros((len(rows), len(vector)), np.float32)
            rows[index] = vector.numpy()
    if task.path is not None:
        np.save(task.path, rows)
    return _Embedded(
        rows if task.path is None else task.path,
        tuple(norms),
        _Notes(tuple(reasons), tuple(doubts)),
    )


def _multiply(task: _ProductTask) -> np.ndarray:
    left = [_opened(vectors) for vectors in task.left]
    right = left if task.same else [_opened(vectors) for vectors in task.right]
    width = max(vectors.shape[1] for vectors in [*left, *right])
    total = torch.zeros(sum(map(len, left)), sum(map(len, right)), dtype=torch.float64)
    for start in range(0, width, TILE):
        tile = _tile(left, start, width)
        total += gram(tile, None if task.same else _tile(right, start, width), panel=128)
    return total.numpy()


def _opened(vectors: Vectors) -> np.ndarray:
    return np.load(vectors, mmap_mode="r") if isinstance(vectors, Path) else vectors


def _tile(chunks: list[np.ndarray], start: int, width: int) -> Tensor:
    """Columns of stacked vectors in float64; a chunk in which none is defined stays zero."""
    tile = torch.zeros(sum(map(len, chunks)), min(TILE, width - start), dtype=torch.float64)
    view, at = tile.numpy(), 0
    for chunk in chunks:
        if chunk.shape[1]:
            view[at : at + len(chunk)] = chunk[:, start : start + TILE]
        at += len(chunk)
    return tile


# --- pairs -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _CompareTask:
    left: tuple[Source, ...]
    right: tuple[Source, ...]
    same: bool
    wanted: np.ndarray
    measure: Measure


def _by_pairs(
    sides: list[list[Source]],
    measure: Measure,
    mask: np.ndarray,
    run: Callable[..., Iterator[tuple[int, Any]]],
) -> tuple[np.ndarray, list[_Notes]]:
    blocks = _blocks(mask, PAIR_BLOCK)
    tasks = [
        _CompareTask(
            tuple(sides[0][block.rows]),
            tuple(sides[-1][block.columns]),
            len(sides) == 1 and block.rows == block.columns,
            mask[block.rows, block.columns],
            measure,
        )
        for block in blocks
    ]
    values = np.full(mask.shape, math.nan)
    found: list[list[list[str | None]]] = [[[None] * len(s), [None] * len(s)] for s in sides]
    for index, (scores, left, right) in run(_compare, tasks):
        block = blocks[index]
        values[block.rows, block.columns] = scores
        for side, cut, notes in ((found[0], block.rows, left), (found[-1], block.columns, right)):
            side[0][cut] = [a or b for a, b in zip(side[0][cut], notes.reasons, strict=True)]
            side[1][cut] = [a or b for a, b in zip(side[1][cut], notes.doubts, strict=True)]
    return values, [_Notes(tuple(side[0]), tuple(side[1])) for side in found]


def _compare(task: _CompareTask) -> tuple[np.ndarray, _Notes, _Notes]:
    """Each representation that is wanted is prepared once; then every wanted pair is scored."""
    left: dict[int, Prepared] = {}
    right = left if task.same else {}
    values = np.full(task.wanted.shape, math.nan)
    for i, j in np.argwhere(task.wanted).tolist():
        if i not in left:
            left[i] = _prepared(task.left[i], task.measure.prepare, task.measure)
        if j not in right:
            right[j] = _prepared(task.right[j], task.measure.prepare, task.measure)
        values[i, j] = between(task.measure, left[i], right[j])
    return values, _noted(left, len(task.left)), _noted(right, len(task.right))


def _noted(prepared: dict[int, Prepared], count: int) -> _Notes:
    nothing = Prepared(0, "none")
    every = [prepared.get(index, nothing) for index in range(count)]
    return _Notes(tuple(p.reason for p in every), tuple(p.doubt for p in every))


def _joined(notes: list[_Notes]) -> _Notes:
    return _Notes(
        tuple(reason for part in notes for reason in part.reasons),
        tuple(doubt for part in notes for doubt in part.doubts),
    )
