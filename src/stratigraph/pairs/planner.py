"""Which way to compare: the cheapest exact plan for the sizes at hand, said in words.

With K representations of n probes and p_k units, and P pairs wanted,

    vectors   Σ n² p_k  to make the packed vectors, then at most K² n² /2 for the pairs, by products
    pairs     Σ n p_k min(n, p_k) to prepare, then the measure's own cost for each pair

For a measure that embeds, a pair costs n²/2 multiply-adds through vectors and about n p q through
features: features win where layers are narrow for the number of probes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stratigraph.errors import InputError
from stratigraph.machine import physical_memory
from stratigraph.pairs.by_vectors import OutOfCore
from stratigraph.pairs.in_memory import InMemory
from stratigraph.pairs.pair_by_pair import PAIR_BLOCK, PairByPair
from stratigraph.pairs.pairwise import Strategy
from stratigraph.similarity.measure import Measure

__all__ = ["MEMORY", "Plan", "check_room", "choose"]

MEMORY = 2 << 30  # bytes of prepared vectors that are held, unless another number is asked for


@dataclass(frozen=True)
class Plan:
    """A way to compare, its cost, and why it was chosen."""

    strategy: Strategy
    flops: float
    memory: int
    why: str

    def __str__(self) -> str:
        return f"{self.strategy.name}: {self.why}"


def choose(
    measure: Measure,
    n: int,
    widths_x: Sequence[int],
    widths_y: Sequence[int] | None,
    pairs: int,
    memory: int,
    *,
    folder: Path | None = None,
    disk: float | None = None,
    workers: int = 1,
) -> Plan:
    """The cheapest exact plan.

    Args:
        measure: what is computed.
        n: probes.
        widths_x: units of each representation.
        widths_y: of those of the other axis; None within one set.
        pairs: how many are wanted.
        memory: bytes of vectors to hold; more goes to a scratch folder.
        folder: where what is done outlives an interruption.
        disk: bytes that vectors may take there.
        workers: processes that share the work; more than one share vectors through a folder.

    """
    widths = [*widths_x, *(widths_y or [])]
    spread = sum(widths_x) * sum(widths_y or widths_x) / max(len(widths_x), 1)
    spread /= max(len(widths_y or widths_x), 1)
    direct = sum(2.0 * n * p * min(n, p) for p in widths) + pairs * 2.0 * n * spread
    if measure.embed is None:
        why = f"{measure.name} has no vector form"
        return Plan(PairByPair("pairs", folder), direct, 0, why)
    length = measure.entries(n)
    held = 4 * length * len(widths)
    embedded = sum(float(n) * n * p for p in widths) + 2.0 * length * pairs
    if direct < embedded:
        why = f"{direct:.2g} flops in feature space, {embedded:.2g} through Gram matrices"
        return Plan(PairByPair("features", folder), direct, 0, why)
    inside = folder is None and held <= memory and workers == 1
    where = "memory" if held <= memory else "a scratch folder"
    return Plan(
        InMemory() if inside else OutOfCore(folder, disk),
        embedded,
        held,
        f"{embedded:.2g} flops through packed Gram matrices ({held / 1e6:.0f} MB in {where}), "
        f"{direct:.2g} in feature space",
    )


def check_room(rows: int, columns: int, n: int, strategy: Strategy) -> None:
    """Refuse what this machine cannot hold, before anything of it is allocated."""
    needed = 2 * 8 * rows * columns  # the matrix, and its blocks
    if isinstance(strategy, PairByPair):
        needed += 8 * n * n * min(2 * PAIR_BLOCK, rows + columns)
    there = physical_memory()
    if there is not None and needed > there:
        raise InputError(
            f"{rows or columns} × {columns} representations of {n} probes need about "
            f"{needed / 1e9:.1f} GB, and this machine has {there / 1e9:.1f} GB; compare fewer "
            "representations, or fewer probes, at a time."
        )
