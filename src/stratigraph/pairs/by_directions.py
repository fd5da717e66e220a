"""CKA between two bounds, all pairs: products of the leading directions that each side keeps.

With K = FFᵀ, F = [H T] cut after r columns, K = K_r + K_t (both positive semi-definite), and so for
L,

    0 ≤ ⟨K, L⟩ − ⟨K_r, L_s⟩ = ⟨K_t, L_s⟩ + ⟨K_r, L_t⟩ + ⟨K_t, L_t⟩
      ≤ ‖K_t‖_F ‖L_s‖_F + ‖K_r‖_F ‖L_t‖_F + ‖K_t‖_F ‖L_t‖_F,     ‖K_t‖_F = ‖TᵀT‖_F.

‖K_t‖_F weighs directions by their squares, so few are kept: a pair costs n·r·s in place of n²/2,
a representation n·r numbers in place of n²/2, and ⟨K_r, L_s⟩ = ‖H_xᵀH_y‖²_F of a block of pairs is
one product. What debiasing adds, the diagonals of K and L, is exact.

Every representation keeps as many directions as the largest ‖K‖_F of all of them takes (K of
HSIC 1; it is near 1 for all but nearly equidistant probes): the width then holds for every pair.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor

from stratigraph.pairs.blocks import (
    Notes,
    Run,
    Source,
    Wanted,
    blocks,
    cuts,
    joined,
    kept,
    prepared,
    read_scores,
    reread,
)
from stratigraph.pairs.comparison import Comparison
from stratigraph.similarity.cka import EQUIDISTANT
from stratigraph.similarity.leading import ITSELF, LAYERS, columns, rank, tails
from stratigraph.similarity.measure import Measure, Prepared

__all__ = ["by_directions"]

KEEP_BLOCK = 32  # representations whose directions one task finds
PRODUCT_BLOCK = 256  # representations a side of one block of pairs
ROUNDING = 1e-9  # what float64 may add to either end
USUAL = 1.5  # ‖K‖_F that is provided for at first


@dataclass(frozen=True)
class _KeepTask:
    kind: ClassVar[str] = "compare: directions of block"  # numbered, in a cluster's dashboard
    sources: tuple[Source, ...]
    measure: Measure
    level: float
    path: Path | None


Directions: TypeAlias = Mapping[str, np.ndarray] | Path  # in memory, or in a file


@dataclass(frozen=True)
class _ProductTask:
    """A block of pairs; ``path`` is where its scores are kept, and None returns them."""

    kind: ClassVar[str] = "compare block"  # numbered, in a cluster's dashboard
    left: tuple[Directions, ...]
    right: tuple[Directions, ...]
    wanted: np.ndarray
    same: bool
    measure: Measure
    path: Path | None


def by_directions(
    sides: list[list[Source]],
    measure: Measure,
    tolerance: float,
    wanted: Wanted,
    run: Run,
    folder: Path | None,
    *,
    keep: bool,
) -> Comparison:
    """Intervals of all pairs, NaN where they are not wanted.

    Args:
        sides: one list of sources, or two.
        measure: linear_cka or debiased_cka.
        tolerance: the widest that an interval may be.
        wanted: the pairs wanted; of one set, each pair once.
        run: maps a function over tasks, giving (index, value) as they end.
        folder: where the directions are kept; None keeps them in memory.
        keep: keep the products there too, for a call that comes after an interruption.

    """
    kept_of = _directions(sides, measure, tolerance, run, folder)
    shape = (len(sides[0]), len(sides[-1]))
    found = blocks(wanted, shape, PRODUCT_BLOCK)
    paths = [folder / f"bracket-{block.name}" if folder and keep else None for block in found]

    def chunks(side: list[Directions], cut: slice) -> tuple[Directions, ...]:
        return tuple(side[cut.start // KEEP_BLOCK : -(-cut.stop // KEEP_BLOCK)])

    def tasks() -> Iterator[_ProductTask]:
        for block, path in zip(found, paths, strict=True):
            yield _ProductTask(
                chunks(kept_of[0][0], block.rows),
                chunks(kept_of[-1][0], block.columns),
                wanted(block.rows, block.columns),
                len(sides) == 1 and block.rows == block.columns,
                measure,
                path,
            )

    done: list[np.ndarray | None] = [None] * len(found)
    for index, scores in run(_multiply, tasks(), len(found)):
        done[index] = scores

    def load(number: int) -> np.ndarray:
        return read_scores(paths[number], done[number])

    notes = [side[1] for side in kept_of]
    return Comparison(shape, found, load, len(sides) == 1, notes[0], notes[-1])


def _directions(
    sides: list[list[Source]],
    measure: Measure,
    tolerance: float,
    run: Run,
    folder: Path | None,
) -> list[tuple[list[Directions], Notes]]:
    """What each side keeps, in chunks; once more where a ‖K‖_F exceeds what was provided for."""
    largest = USUAL
    while True:
        # ‖K_t‖‖L‖ + ‖K‖‖L_t‖ + ‖K_t‖‖L_t‖ is then within the tolerance for every pair.
        level = (tolerance - 2 * ROUNDING) / (2 * largest + 0.5 * tolerance)
        made = []
        for number, side in enumerate(sides):
            tasks = [
                _KeepTask(
                    tuple(side[cut]),
                    measure,
                    level,
                    folder / f"kept-{number}-{cut.start}-{level:.6e}.npz" if folder else None,
                )
                for cut in cuts(len(side), KEEP_BLOCK)
            ]
            made.append((tasks, dict(run(_keep, tasks, len(tasks)))))
        found = max(float(part["norms"].max()) for _, parts in made for part in parts.values())
        if found <= largest:
            return [
                (
                    [task.path or parts[i] for i, task in enumerate(tasks)],
                    joined([Notes.of(parts[i]) for i in range(len(tasks))]),
                )
                for tasks, parts in made
            ]
        largest = 1.001 * found  # the same again next time, but for rounding


def _keep(task: _KeepTask) -> dict[str, np.ndarray]:
    """The directions of a chunk; where they are kept in a file, all but the directions."""
    found = kept(task.path, partial(_found, task))
    if task.path is None:
        return found
    return {name: value for name, value in found.items() if name not in ("rows", "diagonals")}


def _found(task: _KeepTask) -> dict[str, np.ndarray]:
    every = [prepared(source, columns, task.measure) for source in task.sources]
    cut = [_cut_directions(p, task.measure, task.level) for p in every]
    notes = Notes(
        tuple(p.reason or c.reason for p, c in zip(every, cut, strict=True)),
        tuple(p.doubt for p in every),
    )
    return {
        "rows": np.concatenate([c.rows.numpy() for c in cut]),
        "counts": np.array([len(c.rows) for c in cut]),
        "heads": np.array([c.head for c in cut]),
        "tails": np.array([c.tail for c in cut]),
        "norms": np.array([c.norm for c in cut]),
        "diagonals": np.stack([c.diagonal.numpy() for c in cut]),
        **notes.arrays(),
    }


@dataclass(frozen=True)
class _Cut:
    """K of HSIC 1 with itself: its leading directions, and norms of what they hold and leave."""

    rows: Tensor  # (r, n)
    diagonal: Tensor  # (n,)
    head: float = 0.0  # ‖K_r‖_F
    tail: float = 0.0  # ‖K_t‖_F
    norm: float = 0.0  # ‖K‖_F
    reason: str | None = None


def _cut_directions(p: Prepared, measure: Measure, level: float) -> _Cut:
    nothing = torch.zeros(0, p.n, dtype=torch.float64), torch.zeros(p.n, dtype=torch.float64)
    if p.reason:
        return _Cut(*nothing)
    f, inner = p.parts
    squares = inner.square()
    whole, d = float(squares.sum()), f.square().sum(1)
    own = whole
    if measure.name == "debiased_cka":
        own += _diagonals(d[None], d[None])[0, 0].item()
    if own <= 1e-13 * whole:
        return _Cut(*nothing, reason=EQUIDISTANT)
    strict = squares.tril(-1)
    tail = tails(squares.diagonal() + 2 * strict.sum(0)) / own**0.5
    r = rank(tail, level)
    head = math.sqrt(float(squares[:r, :r].sum()) / own)
    rows = (f[:, :r].T / own**0.25).contiguous()
    return _Cut(rows, d / own**0.5, head, float(tail[r]), math.sqrt(whole / own))


def _diagonals(d: Tensor, e: Tensor) -> Tensor:
    """⟨K̃, L̃⟩ − ⟨K, L⟩ of all pairs, from diagonals ``(k, n)`` and ``(k′, n)``."""
    n = d.shape[1]
    sums = torch.outer(d.sum(1), e.sum(1)) / ((n - 1) * (n - 2))
    return sums - n / (n - 2) * (d @ e.T)


def _multiply(task: _ProductTask) -> np.ndarray | None:
    """A block's intervals (4, r, c), or None where they are kept in a file."""
    found = kept(task.path, lambda: {"scores": _brackets(task)})["scores"]
    return found if task.path is None else None


def _brackets(task: _ProductTask) -> np.ndarray:
    left = [_open_source(part) for part in task.left]
    right = left if task.same else [_open_source(part) for part in task.right]
    ends = np.full((LAYERS, *task.wanted.shape), math.nan)
    top = 0
    for x in left:
        at = 0
        for y in right:
            rows, cols = np.flatnonzero(x["counts"]), np.flatnonzero(y["counts"])
            if len(rows) and len(cols):
                ends[np.ix_(np.arange(LAYERS), top + rows, at + cols)] = _product(
                    x, y, rows, cols, task.measure
                )
            at += len(y["counts"])
        top += len(x["counts"])
    if task.same:
        itself = np.flatnonzero(~np.isnan(ends[0].diagonal()))
        ends[0, itself, itself], ends[1, itself, itself] = ITSELF, 1.0
    return np.where(task.wanted, ends, math.nan)


def _open_source(part: Directions) -> Mapping[str, np.ndarray]:
    """A chunk's directions, in memory or in their file."""
    return reread(part) if isinstance(part, Path) else part


def _product(
    x: Mapping[str, Any], y: Mapping[str, Any], rows: np.ndarray, cols: np.ndarray, measure: Measure
) -> np.ndarray:
    """Intervals and ranks of all pairs of two chunks, of the representations that have any."""
    inner = np.square(x["rows"] @ y["rows"].T)
    counts = x["counts"][rows], y["counts"][cols]
    starts = [np.concatenate([[0], count.cumsum()[:-1]]) for count in counts]
    low = np.add.reduceat(np.add.reduceat(inner, starts[0], axis=0), starts[1], axis=1)
    tail = x["tails"][rows], y["tails"][cols]
    gap = np.outer(tail[0], y["heads"][cols]) + np.outer(x["heads"][rows], tail[1])
    gap += np.outer(*tail)
    if measure.name == "debiased_cka":
        d, e = (torch.from_numpy(k["diagonals"][i]) for k, i in ((x, rows), (y, cols)))
        low += _diagonals(d, e).numpy()
    least, most = measure.bounds
    ends = np.clip([low - ROUNDING, low + gap + ROUNDING], least, most)
    ranks = np.broadcast_arrays(counts[0][:, None], counts[1][None, :])
    return np.concatenate([ends, np.stack(ranks)])
