"""CKA from batches: linear in the number of probes, in memory that does not grow with it.

A batch of m probes gives an unbiased estimate of every HSIC, the U-statistic ⟨K̃, L̃⟩/(m(m − 3)) of
its m × m kernels. Sums over batches estimate numerator and denominators without bias,

    CKA = Σ_b ⟨K̃_b, L̃_b⟩ / √(Σ_b ‖K̃_b‖² · Σ_b ‖L̃_b‖²),

and per batch all pairs of layers are one product of packed, U-centred Gram vectors: n·m·Σp flops
for the kernels and n·m·k²/2 for the pairs, against n²Σp for all probes at once.

The batches' sums are kept in at most 64 groups (when they are full, neighbours are merged), and
leaving out one group at a time gives the jackknife's standard error:

    s² = (g − 1)/g Σ_g (θ_(g) − θ̄)²,   interval θ ± t_{g−1} s.

Estimate and interval assume batches drawn at random: sorted data need a shuffle first, which
`shuffled_batches` does with a stated seed.

Source: Song et al. 2012; Nguyen, Raghu & Kornblith 2021, arXiv 2010.15327 (minibatch CKA);
Efron & Tibshirani 1993 (jackknife over groups).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy

from stratigraph.errors import InputError
from stratigraph.similarity.inputs import as_array, as_matrix, join_sides
from stratigraph.similarity.packed import pack_layer, packed_length
from stratigraph.similarity.threads import Each, spread_over_threads

__all__ = ["StreamedCKA", "shuffled_batches", "stream_cka"]

GROUPS = 64
LEAST = 4  # probes of a batch: the U-statistic divides by m − 3


@dataclass(frozen=True)
class StreamedCKA:
    """Minibatch-unbiased CKA of all pairs, with an interval.

    Attributes:
        values: ``(k, k′)``, NaN where a layer is constant.
        lower: the lower end of the interval for each pair; NaN from fewer than two groups.
        upper: its upper end.
        names_x: the layers, in order.
        names_y: those of the other axis.
        probes: that were used.
        batches: that were used.
        dropped: probes of batches of fewer than 4, which no unbiased estimate can use.
        reasons: layer → why it has no score.

    """

    values: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    names_x: tuple[str, ...]
    names_y: tuple[str, ...]
    probes: int
    batches: int
    dropped: int
    reasons: dict[str, str]

    @property
    def width(self) -> float:
        """Half the widest interval."""
        half = (self.upper - self.lower) / 2
        return float(np.nanmax(half)) if np.isfinite(half).any() else math.inf


def shuffled_batches(
    a: Mapping[str, Any], b: Mapping[str, Any] | None = None, *, size: int = 250, seed: int = 0
) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Cut arrays of the same probes into batches, in an order drawn from ``seed``."""
    sides = join_sides({"a": a} if b is None else {"a": a, "b": b})
    whole = [{name: as_matrix(v, name) for name, v in side.items()} for side in sides]
    n = len(next(iter(whole[0].values())))
    order = np.random.default_rng(seed).permutation(n)
    for start in range(0, n, size):
        rows = np.sort(order[start : start + size])
        cut = [{name: value[rows] for name, value in side.items()} for side in whole]
        yield cut[0], None if b is None else cut[1]


def stream_cka(
    batches: Iterable[Any],
    *,
    precision: float | None = None,
    confidence: float = 0.95,
    least_batches: int = 16,
) -> StreamedCKA:
    """Minibatch-unbiased CKA of every layer with every layer.

    Args:
        batches: each a mapping layer → ``(m, p…)``, or a pair of such mappings (one for each axis;
            the second may be None). Batches in random order, of 4 probes at least.
        precision: stop reading as soon as no interval is wider than ± this; None reads all.
        confidence: of the intervals.
        least_batches: read before the first look at the width, so that a lucky start stops nothing.

    Raises:
        InputError: no batch could be used, batches differ in their layers, or a value is not
            finite.

    """
    if precision is not None and not 0 < precision < math.inf:
        raise InputError(f"precision: expected a positive half-width, got {precision!r}.")
    if not 0 < confidence < 1:
        raise InputError(f"confidence: expected a number between 0 and 1, got {confidence!r}.")
    sums = _Sums()
    look = least_batches
    for batch in batches:
        a, b = batch if isinstance(batch, tuple) else (batch, None)
        sums.add(a, b)
        if precision is not None and sums.batches >= look:
            found = sums.result(confidence)
            if found.width <= precision:
                return found
            # Each look is a chance to stop early by luck: look again after a quarter more.
            look = math.ceil(1.25 * sums.batches)
    if not sums.batches:
        raise InputError(
            f"batches: expected at least one with {LEAST} or more probes, got {sums.dropped} "
            "probes in total."
        )
    return sums.result(confidence)


class _Sums:
    """Sums of ⟨K̃, L̃⟩, ‖K̃‖², ‖L̃‖² over groups of batches."""

    def __init__(self) -> None:
        self.names: tuple[tuple[str, ...], tuple[str, ...]] | None = None
        self.groups: list[tuple[np.ndarray, ...]] = []
        self.counts: list[int] = []
        self.first: tuple[np.ndarray, np.ndarray] | None = None  # exponents of the first batch
        self.span, self.probes, self.batches, self.dropped = 1, 0, 0, 0

    def add(self, a: Mapping[str, Any], b: Mapping[str, Any] | None) -> None:
        names = (tuple(a), tuple(a if b is None else b))
        if self.names is None:
            self.names = names
        elif names != self.names:
            raise InputError(
                f"batches: expected the layers {self.names[0]} in each, got {names[0]}."
            )
        a, *others = join_sides({"a": a} if b is None else {"a": a, "b": b})
        b = others[0] if others else None
        with spread_over_threads() as (each, _):
            left = _pack_all(a, each)
            right = left if b is None else _pack_all(b, each)
        if left is None:
            self.dropped += len(next(iter(a.values())))
            return
        if right is None or right.probes != left.probes:
            raise InputError("batches: expected the same probes on both sides of each batch.")
        # Layers are scaled by powers of two, batch by batch: here all to the first batch's.
        self.first = self.first or (left.exponents, right.exponents)
        x = np.exp2(2 * (left.exponents - self.first[0]))
        y = np.exp2(2 * (right.exponents - self.first[1]))
        # Packed halves: twice their product is the sum over i ≠ j.
        inner = 2 * (left.rows @ right.rows.T) * np.outer(x, y)
        m = left.probes
        weight = 1 / (m - 3)  # a batch counts by its probes: m of the mean, which is H / (m(m − 3))
        self._store((weight * inner, weight * left.own * x**2, weight * right.own * y**2))
        self.probes += m
        self.batches += 1

    def _store(self, part: tuple[np.ndarray, ...]) -> None:
        if self.groups and self.counts[-1] < self.span:
            self.groups[-1] = _add(self.groups[-1], part)
            self.counts[-1] += 1
            return
        if len(self.groups) == GROUPS:
            pairs = range(0, GROUPS, 2)
            self.groups = [_add(self.groups[i], self.groups[i + 1]) for i in pairs]
            self.counts = [self.counts[i] + self.counts[i + 1] for i in pairs]
            self.span *= 2
        self.groups.append(part)
        self.counts.append(1)

    def result(self, confidence: float) -> StreamedCKA:
        if self.names is None:
            raise InputError("batches: expected at least one, got none.")
        stacked = [np.stack([group[i] for group in self.groups]) for i in range(3)]
        whole = [part.sum(0) for part in stacked]
        values = _cosines(whole)
        low = high = np.full_like(values, math.nan)
        count = len(self.groups)
        if count > 1:
            left_out = np.stack(
                [_cosines([whole[i] - stacked[i][g] for i in range(3)]) for g in range(count)]
            )
            spread = np.sqrt((count - 1) / count * np.square(left_out - left_out.mean(0)).sum(0))
            reach = spread * scipy.stats.t.ppf((1 + confidence) / 2, count - 1)
            low, high = values - reach, values + reach
        reasons = {
            name: "constant in every batch, or equidistant: its debiased HSIC with itself is 0"
            for names, own in zip(self.names, whole[1:], strict=True)
            for name, value in zip(names, own, strict=True)
            if value <= 0
        }
        return StreamedCKA(
            values,
            low,
            high,
            *self.names,
            probes=self.probes,
            batches=self.batches,
            dropped=self.dropped,
            reasons=reasons,
        )


def _add(a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    return tuple(one + other for one, other in zip(a, b, strict=True))


def _cosines(sums: list[np.ndarray]) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        value = sums[0] / np.sqrt(np.outer(sums[1], sums[2]))
    return np.where(np.outer(sums[1] > 0, sums[2] > 0), np.clip(value, -1.0, 1.0), math.nan)


class _Vectors(NamedTuple):
    """Packed U-centred Gram rows (k, m(m − 1)/2) of m probes; of each its HSIC, and exponent."""

    rows: np.ndarray
    own: np.ndarray
    exponents: np.ndarray
    probes: int


def _pack_all(layers: Mapping[str, Any], each: Each) -> _Vectors | None:
    """The rows of a batch's layers; None of too few probes."""
    matrices = {name: as_matrix(value, name) for name, value in layers.items()}
    first, m = next((name, len(x)) for name, x in matrices.items())
    for name, x in matrices.items():
        if len(x) != m:
            raise InputError(f"{name}: expected the {m} probes of {first}, got {len(x)} rows.")
    if m < LEAST:
        return None
    rows = np.empty((len(matrices), packed_length(m, diagonal=False)), np.float32)

    def pack(name: str, row: np.ndarray) -> tuple[float, int]:
        found = pack_layer(as_array(matrices[name]), row, debiased=True, name=name)
        if found.reason:
            row[:] = 0
        return found.own, found.exponent

    own, exponents = np.array(list(each(pack, matrices, rows)), float).T
    return _Vectors(rows.astype(np.float64), own, exponents, m)
