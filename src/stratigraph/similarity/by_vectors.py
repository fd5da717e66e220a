"""Pairs by vectors: a measure that is a cosine of one vector for each representation.

The vectors are made once (float32, in memory or in a scratch folder), and a block of pairs is one
matrix product over tiles of columns, summed in float64: in float64 too, or, where that would take
seconds, in float32, whose rounding then adds at most some 2e-7 to a score. A representation with
itself is exact.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor

from stratigraph.durable import sha256
from stratigraph.errors import InputError, StorageError
from stratigraph.similarity.blocks import (
    Notes,
    Run,
    Source,
    blocks,
    cuts,
    joined,
    kept,
    prepared,
)
from stratigraph.similarity.gram import gram, norm64, packed_length
from stratigraph.similarity.measure import Measure
from stratigraph.similarity.reduction import read_coordinates
from stratigraph.snapshots import npy, write_file

__all__ = ["by_vectors"]

Vectors: TypeAlias = np.ndarray | Path

EMBED_BLOCK = 32  # representations whose vectors one task makes, where n allows
PRODUCT_BLOCK = 256  # vectors a side of one product
TILE = 8192  # columns at a time: 16 MB of float64 a side
LONG = 2**34  # multiply-adds of all pairs beyond which they are made in float32


@dataclass(frozen=True)
class _EmbedTask:
    kind: ClassVar[str] = "compare: vectors of block"  # numbered, in a cluster's dashboard
    sources: tuple[Source, ...]
    measure: Measure
    path: Path | None


@dataclass(frozen=True)
class _Embedded:
    vectors: Vectors
    norms: tuple[float, ...]
    notes: Notes


@dataclass(frozen=True)
class _ProductTask:
    kind: ClassVar[str] = "compare block"  # numbered, in a cluster's dashboard
    left: tuple[Vectors, ...]
    right: tuple[Vectors, ...]
    same: bool
    device: str
    dtype: torch.dtype
    path: Path | None


def by_vectors(
    sides: list[list[Source]],
    measure: Measure,
    mask: np.ndarray,
    run: Run,
    folder: Path | None,
) -> tuple[np.ndarray, list[Notes]]:
    """Scores ``(k, k′)``, NaN outside ``mask``, and each side's notes.

    Args:
        sides: one list of sources, or two.
        measure: one that embeds.
        mask: the pairs wanted, bool ``(k, k′)``.
        run: maps a function over tasks, giving (index, value) as they end.
        folder: where the vectors and the products are kept; None keeps them in memory. What an
            interrupted call left in it is not made again.

    Raises:
        StorageError: the folder's disk has no room for the vectors.

    """
    if folder is not None:
        _check_room(folder, sides)
    made, norms, notes = [], [], []
    for number, side in enumerate(sides):
        size = _embed_block(side)
        tasks = [
            _EmbedTask(
                tuple(side[cut]),
                measure,
                None if folder is None else folder / f"vectors-{number}-{cut.start}.npy",
            )
            for cut in cuts(len(side), size)
        ]
        done: dict[int, _Embedded] = dict(run(_embed, tasks))
        ordered = [done[index] for index in range(len(tasks))]
        made.append((size, [e.vectors for e in ordered]))
        norms.append(np.array([norm for e in ordered for norm in e.norms]))
        notes.append(joined([e.notes for e in ordered]))
    first, n = sides[0][0], _probes(sides[0])
    device = str(first.device) if isinstance(first, Tensor) else "cpu"
    dtype = torch.float32 if mask.sum() * packed_length(n) > LONG else torch.float64
    size = max(PRODUCT_BLOCK // made[0][0], 1) * made[0][0]
    found = blocks(mask, size)
    products = [
        _ProductTask(
            _chunks(*made[0], block.rows),
            _chunks(*made[-1], block.columns),
            same=len(sides) == 1 and block.rows == block.columns,
            device=device,
            dtype=dtype,
            path=None
            if folder is None
            else folder / f"product-{block.rows.start}-{block.columns.start}.npz",
        )
        for block in found
    ]
    values = np.full(mask.shape, math.nan)
    for index, product in run(_multiply, products):
        values[found[index].rows, found[index].columns] = product
    with np.errstate(invalid="ignore", divide="ignore"):
        values /= norms[0][:, None] * norms[-1][None, :]
    low, high = measure.bounds
    return np.where(mask, np.clip(values, low, high), math.nan), notes


def _probes(side: list[Source]) -> int:
    first = side[0]
    return len(first) if isinstance(first, Tensor) else len(read_coordinates(first))


def _embed_block(side: list[Source]) -> int:
    """Few enough that a task's vectors take 256 MB at most: fixed by n, not by the machine."""
    n = _probes(side)
    return max(1, min(EMBED_BLOCK, 2**27 // n**2))


def _chunks(size: int, vectors: list[Vectors], cut: slice) -> tuple[Vectors, ...]:
    return tuple(vectors[cut.start // size : -(-cut.stop // size)])


def _check_room(folder: Path, sides: list[list[Source]]) -> None:
    n = _probes(sides[0])
    there = sum(file.stat().st_size for file in folder.glob("vectors-*.npy"))
    needed = 4 * packed_length(n) * sum(map(len, sides)) - there
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageError(
            f"{folder}: the prepared representations need {needed / 1e9:.1f} GB more, "
            f"{free / 1e9:.1f} GB are free. Make room, let TMPDIR name a larger disk, or compare "
            "fewer probes or representations."
        )


def _embed(task: _EmbedTask) -> _Embedded:
    """Vectors as rows of float32, zero where a representation has none, and their norms."""
    if task.path is None:
        rows, norms, notes = _made(task)
        return _Embedded(rows, norms, notes)
    path, beside = task.path, task.path.with_suffix(".npz")
    hashes: list[str] = []

    def make() -> dict[str, np.ndarray]:
        rows, norms, notes = _made(task)
        hashes.append(write_file(path, *npy(rows)))
        return {"norms": np.array(norms), "sha256": np.array(hashes[-1]), **notes.arrays()}

    # The small file comes last: while it is missing, the large one counts for nothing.
    found = kept(beside, make)
    if not hashes and not (path.is_file() and sha256(path) == str(found.get("sha256"))):
        beside.unlink()  # damaged since an earlier attempt left it
        found = kept(beside, make)
    return _Embedded(path, tuple(found["norms"].tolist()), Notes.of(found))


def _made(task: _EmbedTask) -> tuple[np.ndarray, tuple[float, ...], Notes]:
    embed = task.measure.embed
    if embed is None:
        raise InputError(f"measure: {task.measure.name} cannot be embedded as vectors.")
    rows, reasons, doubts, norms = np.zeros((len(task.sources), 0), np.float32), [], [], []
    for index, source in enumerate(task.sources):
        found = prepared(source, embed, task.measure)
        reasons.append(found.reason)
        doubts.append(found.doubt)
        norms.append(1.0)
        if found.parts:
            vector = found.parts[0].to("cpu", torch.float32)
            norms[-1] = norm64(vector)
            if not rows.shape[1]:
                rows = np.zeros((len(rows), len(vector)), np.float32)
            rows[index] = vector.numpy()
    return rows, tuple(norms), Notes(tuple(reasons), tuple(doubts))


def _multiply(task: _ProductTask) -> np.ndarray:
    return kept(task.path, lambda: {"values": _product(task)})["values"]


def _product(task: _ProductTask) -> np.ndarray:
    left = [_opened(vectors) for vectors in task.left]
    right = left if task.same else [_opened(vectors) for vectors in task.right]
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


def _opened(vectors: Vectors) -> np.ndarray:
    return np.load(vectors, mmap_mode="r") if isinstance(vectors, Path) else vectors


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
