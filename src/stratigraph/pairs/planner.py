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

from stratigraph.errors import InputError
from stratigraph.memory import physical_memory
from stratigraph.pairs.pairwise import PAIR_BLOCK
from stratigraph.similarity.measure import Measure

__all__ = ["MEMORY", "Plan", "check_room", "choose"]

MEMORY = 2 << 30  # bytes of prepared vectors that are held, unless another number is asked for


@dataclass(frozen=True)
class Plan:
    """A way to compare, its cost, and why it was chosen."""

    way: str
    flops: float
    memory: int
    spill: bool
    why: str

    def __str__(self) -> str:
        return f"{self.way}: {self.why}"


def choose(
    measure: Measure,
    n: int,
    widths_x: Sequence[int],
    widths_y: Sequence[int] | None,
    pairs: int,
    memory: int,
) -> Plan:
    """The cheapest exact plan; ``widths_y`` is None within one set."""
    widths = [*widths_x, *(widths_y or [])]
    spread = sum(widths_x) * sum(widths_y or widths_x) / max(len(widths_x), 1)
    spread /= max(len(widths_y or widths_x), 1)
    direct = sum(2.0 * n * p * min(n, p) for p in widths) + pairs * 2.0 * n * spread
    if measure.embed is None:
        return Plan("pairs", direct, 0, False, f"{measure.name} has no vector form")
    length = measure.entries(n)
    held = 4 * length * len(widths)
    embedded = sum(float(n) * n * p for p in widths) + 2.0 * length * pairs
    if direct < embedded:
        return Plan(
            "features",
            direct,
            0,
            False,
            f"{direct:.2g} flops in feature space, {embedded:.2g} through Gram matrices",
        )
    spill = held > memory
    where = "a scratch folder" if spill else "memory"
    return Plan(
        "vectors",
        embedded,
        held,
        spill,
        f"{embedded:.2g} flops through packed Gram matrices ({held / 1e6:.0f} MB in {where}), "
        f"{direct:.2g} in feature space",
    )


def check_room(rows: int, columns: int, n: int, way: str) -> None:
    """Refuse what this machine cannot hold, before anything of it is allocated."""
    needed = 2 * 8 * rows * columns  # the matrix, and its blocks
    if way != "vectors":
        needed += 8 * n * n * min(2 * PAIR_BLOCK, rows + columns)
    there = physical_memory()
    if there is not None and needed > there:
        raise InputError(
            f"{rows or columns} × {columns} representations of {n} probes need about "
            f"{needed / 1e9:.1f} GB, and this machine has {there / 1e9:.1f} GB; compare fewer "
            "representations, or fewer probes, at a time."
        )
