"""Pairs by vectors: a measure that is a cosine of one vector for each representation.

The vectors are made once (float32, in memory or in a scratch folder), and a block of pairs is one
matrix product over tiles of columns, summed in float64: in float64 too, or, where that would take
seconds, in float32, whose rounding then adds at most some 2e-7 to a score. A representation with
itself is exact.

Where the disk does not hold all vectors, a panel of them stays while the others pass by in strips,
each made, multiplied with the panel, and removed. With M vectors on the disk, those of K are made
some 2K/3M times, which costs little beside the products; no bit depends on it.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from stratigraph.errors import StorageError
from stratigraph.memory import physical_memory
from stratigraph.pairs.blocks import (
    Block,
    Run,
    Source,
    Wanted,
    blocks,
    kept,
    loaded,
    read_scores,
)
from stratigraph.pairs.comparison import Comparison
from stratigraph.pairs.coordinates import read_coordinates
from stratigraph.pairs.embedding import Chunk, Embeddings
from stratigraph.similarity.gram import gram
from stratigraph.similarity.measure import Measure

__all__ = ["by_vectors"]

EMBED_BLOCK = 32  # representations whose vectors one task makes, where n allows
PRODUCT_BLOCK = 256  # vectors a side of one product
TILE = 8192  # columns at a time: 16 MB of float64 a side
USUAL_MEMORY = 2**33  # bytes, of a system that does not say
LONG = 2**34  # multiply-adds of all pairs beyond which they are made in float32


@dataclass(frozen=True)
class _ProductTask:
    """A block of pairs; ``path`` is where its scores are kept, and None returns them."""

    kind: ClassVar[str] = "compare block"  # numbered, in a cluster's dashboard
    left: tuple[Chunk, ...]
    right: tuple[Chunk, ...]
    norms: tuple[np.ndarray, np.ndarray]
    wanted: np.ndarray
    bounds: tuple[float | None, float | None]
    same: bool
    device: str
    dtype: torch.dtype
    path: Path | None


def by_vectors(
    sides: list[list[Source]],
    measure: Measure,
    wanted: Wanted,
    run: Run,
    folder: Path | None,
    *,
    keep: bool,
    disk: float | None = None,
) -> Comparison:
    """Scores of all pairs, NaN where they are not wanted.

    Args:
        sides: one list of sources, or two.
        measure: one that embeds.
        wanted: the pairs wanted; of one set and a symmetric measure, each pair once.
        run: maps a function over tasks, giving (index, value) as they end.
        folder: where the vectors are kept; None keeps them in memory.
        keep: keep the products there too, for a call that comes after an interruption.
        disk: bytes that the vectors may take there; None is what is free, less the matrix.

    Raises:
        StorageError: the folder's disk has no room for the vectors of two blocks.

    """
    shape = (len(sides[0]), len(sides[-1]))
    first, n = sides[0][0], _probes(sides[0])
    length = measure.entries(n)
    # 256 MB at most, fixed by n and not the machine; n² / 2 entries are a packed half.
    whole = 2 if length >= n**2 else 1
    chunk = max(1, min(EMBED_BLOCK, 2**27 // (whole * n**2)))
    size = max(PRODUCT_BLOCK // chunk, 1) * chunk
    found = blocks(wanted, shape, size)
    pairs = sum(block.pairs for block in found)
    dtype = torch.float32 if pairs * length > LONG else torch.float64
    device = str(first.device) if isinstance(first, Tensor) else "cpu"
    paths = [folder / f"product-{block.name}" if folder and keep else None for block in found]
    done: list[np.ndarray | None] = [None] * len(found)
    vectors = Embeddings(sides, measure, folder, chunk, run)
    room = _room(folder, length, sides, size, disk)
    for panel in _panels(found, size, room, len(sides) == 1):
        todo = [i for i in panel if not _is_whole(paths[i])]
        todo.sort(key=lambda i: _turn(found[i], size, length))
        if not todo:
            continue
        vectors.make([found[i] for i in todo], panels=len(panel) < len(found))

        def tasks(numbers: list[int] = todo) -> Iterator[_ProductTask]:
            for i in numbers:
                block = found[i]
                left, of_left = vectors.of(0, block.rows)
                right, of_right = vectors.of(len(sides) - 1, block.columns)
                yield _ProductTask(
                    left,
                    right,
                    (of_left, of_right),
                    wanted(block.rows, block.columns),
                    measure.bounds,
                    same=len(sides) == 1 and block.rows == block.columns,
                    device=device,
                    dtype=dtype,
                    path=paths[i],
                )

        for index, product in run(_multiply, tasks(), len(todo)):
            done[todo[index]] = product

    def load(number: int) -> np.ndarray:
        return read_scores(paths[number], done[number])

    notes = vectors.notes()
    mirrored = len(sides) == 1 and measure.symmetric
    return Comparison(shape, found, load, mirrored, notes[0], notes[-1])


def _is_whole(path: Path | None) -> bool:
    return path is not None and path.is_file() and loaded(path) is not None


def _probes(side: list[Source]) -> int:
    first = side[0]
    return len(first) if isinstance(first, Tensor) else len(read_coordinates(first))


def _panels(found: list[Block], size: int, room: int | None, one_set: bool) -> Iterator[list[int]]:
    """The blocks in groups whose vectors fit together: a panel with itself, and with each strip."""
    if room is None:
        yield list(range(len(found)))
        return
    strip = max(room // 4 // size, 1) * size
    panel = max((room - strip) // size, 1) * size
    groups: dict[tuple[int, int], list[int]] = {}
    for index, block in enumerate(found):
        row, column = block.rows.start // panel, block.columns.start
        inside = one_set and column // panel == row
        groups.setdefault((row, -1 if inside else column // strip), []).append(index)
    yield from (groups[key] for key in sorted(groups))


def _turn(block: Block, size: int, length: int) -> tuple[int, ...]:
    """When a block has its turn: square by square, of which the system can hold the vectors.

    A row of blocks after another would read all vectors from the disk for each, where they are more
    than memory; of two squares in turn, here and there, one side is the same.
    """
    held = (physical_memory() or USUAL_MEMORY) // 2
    side = max(held // (2 * 4 * length * size), 1) * size
    row, column = block.rows.start // side, block.columns.start // side
    return row, column if row % 2 == 0 else -column, block.rows.start, block.columns.start


def _room(
    folder: Path | None, length: int, sides: list[list[Source]], size: int, disk: float | None
) -> int | None:
    """How many vectors the disk holds at a time; None where it holds them all."""
    if folder is None:
        return None
    each, count = 4 * length, sum(map(len, sides))
    there = sum(file.stat().st_size for file in folder.glob("vectors-*.npy"))
    free = shutil.disk_usage(folder).free + there - 8 * len(sides[0]) * len(sides[-1])
    room = int((free if disk is None else min(disk, free)) // each)
    least = min(2 * size, count)
    if room < least:
        raise StorageError(
            f"{folder}: the prepared representations need at least {least * each / 1e9:.1f} GB "
            f"there, and {max(room * each, 0) / 1e9:.1f} GB may be taken. Make room, let TMPDIR "
            "name a larger disk, or compare fewer probes or representations."
        )
    return None if room >= count else room


def _multiply(task: _ProductTask) -> np.ndarray | None:
    """A block's scores (1, r, c), or None where they are kept in a file."""
    found = kept(task.path, lambda: {"scores": _cosines(task)})["scores"]
    return found if task.path is None else None


def _cosines(task: _ProductTask) -> np.ndarray:
    left = [_open_source(part) for part in task.left]
    right = left if task.same else [_open_source(part) for part in task.right]
    product = _product(task, left, right)
    product /= task.norms[0][:, None] * task.norms[1][None, :]
    return np.where(task.wanted, np.clip(product, *task.bounds), math.nan)[None]


def _open_source(vectors: Chunk) -> np.ndarray:
    """A chunk's vectors, from memory or from their file."""
    if isinstance(vectors, np.ndarray):
        return vectors
    try:
        return np.load(vectors, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise StorageError(
            f"{vectors}: gone or damaged since it was written ({error}); compare again."
        ) from None


def _product(task: _ProductTask, left: list[np.ndarray], right: list[np.ndarray]) -> np.ndarray:
    width = max(vectors.shape[1] for vectors in [*left, *right])
    count = [sum(map(len, side)) for side in (left, right)]
    total = torch.zeros(*count, dtype=torch.float64, device=task.device)
    own = torch.zeros(count[0], dtype=torch.float64, device=task.device)
    columns = _columns(sum(count), task.device)
    for start in range(0, width, columns):
        tile = _tile(left, start, columns, width, task)
        if task.same:
            total += gram(tile)
            own += tile.double().square_().sum(1)
        else:
            total += gram(tile, _tile(right, start, columns, width, task))
    if task.same:
        total.diagonal().copy_(own)
    return total.cpu().numpy()


def _columns(rows: int, device: str) -> int:
    """Columns of a tile: fixed on the CPU, a sixteenth of the free memory on a GPU."""
    if not device.startswith("cuda"):
        return TILE
    free, _ = torch.cuda.mem_get_info(device)
    return max(free // 16 // (8 * rows), 1)


def _tile(
    chunks: list[np.ndarray], start: int, columns: int, width: int, task: _ProductTask
) -> Tensor:
    """Columns of stacked vectors; a chunk in which none is defined stays zero."""
    tile = torch.zeros(sum(map(len, chunks)), min(columns, width - start), dtype=task.dtype)
    view, at = tile.numpy(), 0
    for chunk in chunks:
        if chunk.shape[1]:
            view[at : at + len(chunk)] = chunk[:, start : start + columns]
        at += len(chunk)
    return tile.to(task.device)
