"""Pairs by vectors out of core: for a measure that is a cosine of one vector a representation.

The vectors are made once, in files of a scratch folder, and a block of pairs is one product of them
(`products`). A representation with itself is exact.

Where the disk does not hold all vectors, a panel of them stays while the others pass by in strips,
each made, multiplied with the panel, and removed. With M vectors on the disk, those of K are made
some 2K/3M times, which costs little beside the products; no bit depends on it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import ClassVar

import numpy as np

from stratigraph.durable import make_folder
from stratigraph.engine import Engine
from stratigraph.errors import StorageError
from stratigraph.machine import physical_memory
from stratigraph.pairs.blocks import (
    Block,
    Progress,
    Source,
    Wanted,
    blocks,
    fold,
    is_square,
    make_once,
    read_matrix,
    read_scores,
    read_whole,
)
from stratigraph.pairs.comparison import Comparison
from stratigraph.pairs.embedding import VECTORS, Embeddings, Run
from stratigraph.pairs.products import COLUMNS, PART, as_cosines, in_float64, multiply
from stratigraph.pairs.tasks import run_tasks
from stratigraph.records import scratch_folder, storage
from stratigraph.similarity.measure import Measure

__all__ = ["OutOfCore"]

EMBED_BLOCK = 32  # representations whose vectors one task makes, where n allows
PRODUCT_BLOCK = 256  # vectors a side of one product
USUAL_MEMORY = 2**33  # bytes, of a system that does not say


@dataclass(frozen=True)
class _ProductTask:
    """A block of pairs; ``path`` is where its scores are kept, and None returns them."""

    kind: ClassVar[str] = "compare block"  # numbered, in a cluster's dashboard
    left: tuple[Path, ...]
    right: tuple[Path, ...]
    norms: tuple[np.ndarray, np.ndarray]
    wanted: np.ndarray
    bounds: tuple[float | None, float | None]
    same: bool
    double: bool
    path: Path | None


@dataclass(frozen=True)
class OutOfCore:
    """A vector for each representation, in files of a folder.

    Attributes:
        folder: one that outlives the call, for this comparison alone: what an interrupted call left
            there is not computed again, and blocks are read from it. The caller removes it. None is
            a temporary one.
        disk: bytes that vectors may take there; None is what is free, less the matrix.

    """

    name: ClassVar[str] = "vectors"
    folder: Path | None = None
    disk: float | None = None

    def compare(
        self,
        sides: Sequence[Sequence[Source]],
        measure: Measure,
        wanted: Wanted,
        engine: Engine | None,
        progress: Progress | None,
    ) -> Comparison:
        """See `Strategy`.

        Raises:
            StorageError: the folder's disk has no room for the vectors of two blocks.

        """
        run = partial(run_tasks, engine=engine, progress=progress)
        if self.folder is None:
            with scratch_folder() as folder:
                return _multiply_all(
                    sides, measure, wanted, run, folder, keep=False, disk=self.disk
                )
        with storage(self.folder):
            make_folder(self.folder)
            for path in chain(self.folder.glob("vectors-*"), self.folder.glob("packed*")):
                if not path.name.startswith(VECTORS):  # of earlier versions, in another layout
                    path.unlink(missing_ok=True)
        return _multiply_all(sides, measure, wanted, run, self.folder, keep=True, disk=self.disk)


def count_products(measure: Measure, n: int, count: int, wanted: Wanted) -> int:
    """How many pairs of some representations are multiplied, so that those wanted are."""
    found = blocks(fold(wanted), (count, count), _sizes(measure, n)[1])
    return sum(
        (block.rows.stop - block.rows.start) * (block.columns.stop - block.columns.start)
        for block in found
    )


def _sizes(measure: Measure, n: int) -> tuple[int, int]:
    """How many vectors one task makes, and how many a side of one product has."""
    # 256 MB at most, fixed by n and not the machine; n² / 2 entries are a packed half.
    whole = 2 if measure.entries(n) >= n**2 else 1
    chunk = max(1, min(EMBED_BLOCK, 2**27 // (whole * n**2)))
    return chunk, max(PRODUCT_BLOCK // chunk, 1) * chunk


def _multiply_all(
    sides: Sequence[Sequence[Source]],
    measure: Measure,
    wanted: Wanted,
    run: Run,
    folder: Path,
    *,
    keep: bool,
    disk: float | None,
) -> Comparison:
    """``keep`` keeps the products in the folder too, for a call after an interruption."""
    shape = (len(sides[0]), len(sides[-1]))
    n = len(read_matrix(sides[0][0], measure))
    length = measure.entries(n)
    chunk, size = _sizes(measure, n)
    found = blocks(wanted, shape, size)
    pairs = sum(block.pairs for block in found)
    double = in_float64(pairs, length)
    paths = [folder / f"product-{block.name}" if keep else None for block in found]
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
                    same=is_square(sides, block),
                    double=double,
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
    return path is not None and path.is_file() and read_whole(path) is not None


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
    folder: Path, length: int, sides: Sequence[Sequence[Source]], size: int, disk: float | None
) -> int | None:
    """How many vectors the disk holds at a time; None where it holds them all."""
    each, count = 4 * length, sum(map(len, sides))
    there = sum(file.stat().st_size for file in folder.glob(f"{VECTORS}*.npy"))
    free = shutil.disk_usage(folder).free + there - 8 * len(sides[0]) * len(sides[-1])
    room = int((free if disk is None else min(disk, free)) // each)
    least = min(2 * size, count)
    if room < least:
        raise StorageError(
            f"{folder}: the prepared representations need at least {least * each / 1e9:.1f} GB "
            f"there, and {max(room * each, 0) / 1e9:.1f} GB are available. Make room, point "
            "TMPDIR to a larger disk, or compare fewer probes or representations."
        )
    return None if room >= count else room


def _multiply(task: _ProductTask) -> np.ndarray | None:
    """A block's scores (1, r, c), or None where they are kept in a file."""
    found = make_once(task.path, lambda: {"scores": _cosines(task)})["scores"]
    return found if task.path is None else None


def _cosines(task: _ProductTask) -> np.ndarray:
    left = [_open_vectors(path) for path in task.left]
    right = None if task.same else [_open_vectors(path) for path in task.right]
    width = left[0].shape[1]
    total = np.zeros(task.wanted.shape)
    for part in range(0, width, PART):  # the sums of `InMemory`, to the bit
        apart = np.zeros_like(total)
        for start in range(part, min(part + PART, width), COLUMNS):
            cut = slice(start, start + COLUMNS)
            tile = np.concatenate([rows[:, cut] for rows in left])
            other = None if right is None else np.concatenate([rows[:, cut] for rows in right])
            apart += multiply(tile, other, task.double)
        total += apart
    return as_cosines(total, task.norms, task.same, task.wanted, task.bounds)


def _open_vectors(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise StorageError(
            f"{path}: gone or damaged since it was written ({error}); compare again."
        ) from None
