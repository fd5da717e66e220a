"""What every score reads: codes beside the factors that they should tell apart.

Codes c are (n, z), of one image a row: the mean of q(z|x), as a rule. Factors v are (n, f), whole
numbers that name values. Rows that share a value of a factor are a *group*. The scores that their
authors compute from a generator, which draws fresh images with a factor held, are computed here
from groups: draws are rows of a group, so from the empirical distribution instead of the true one.

Whatever is constant holds no information to score. A factor of one value is left out (its column is
NaN in what a score tells), and where all codes are constant, or too few factors vary, a score is
NaN with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stratigraph.errors import InputError
from stratigraph.labels import join_rows
from stratigraph.values import whole_numbers

__all__ = [
    "Scored",
    "Table",
    "held_out",
    "moves",
    "read_table",
    "undefined",
]

STILL = 1e-12  # of the largest code: a spread below is rounding


@dataclass(frozen=True)
class Scored:
    """What a score says of some codes.

    Attributes:
        score: the number; NaN where it is undefined.
        n: rows that it was estimated from.
        settings: of its estimator.
        parts: the numbers of its definition that stand beside it, by name; may be empty.
        by_factor: its share for each factor (f,), NaN for those left out; empty where it has none.
        by_latent: its share for each latent (z,), as well.
        matrix: what it is read from, (z, f): mutual information, importance, …; may be empty.
        reason: why it is NaN; empty otherwise.
        note: what to keep in mind where it is not; as a rule empty.

    """

    score: float
    n: int
    settings: Any
    parts: Mapping[str, float] = field(default_factory=dict)
    by_factor: np.ndarray = field(default_factory=lambda: np.empty(0))
    by_latent: np.ndarray = field(default_factory=lambda: np.empty(0))
    matrix: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    reason: str = ""
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Codes and the factors that vary.

    Attributes:
        codes: float64 (n, z), finite.
        values: (n, v) of the v factors that vary, each from 0 to its number of values less 1.
        sizes: the number of values of each, (v,).
        kept: the places of these among the f factors that were given, (v,).
        factors: f.
        reason: why nothing can be scored; empty where it can.

    """

    codes: np.ndarray
    values: np.ndarray
    sizes: np.ndarray
    kept: np.ndarray
    factors: int
    reason: str = ""

    def spread(self, of_kept: np.ndarray) -> np.ndarray:
        """What is known of the factors that vary, (…, v), beside NaN for the others, (…, f)."""
        whole = np.full((*of_kept.shape[:-1], self.factors), np.nan)
        whole[..., self.kept] = of_kept
        return whole


def read_table(
    codes: np.ndarray, factors: np.ndarray, *, latents: int = 1, varying: int = 1
) -> Table:
    """Codes and factors, checked.

    Args:
        codes: (n, z), finite.
        factors: whole numbers, (n, f).
        latents: how many latents a score needs.
        varying: how many factors of more than one value it needs.

    Raises:
        InputError: the shapes or the labels of rows do not fit, codes are not finite, or factors
            are not whole.

    """
    c, v = map(np.asarray, join_rows({"codes": codes, "factors": factors}).values())
    if c.ndim != 2 or c.dtype.kind not in "fiub" or 0 in c.shape:
        raise InputError(
            f"codes: expected numbers (n, z), got an array of shape {c.shape} and type {c.dtype}."
        )
    if v.ndim != 2 or len(v) != len(c) or v.dtype.kind not in "iubf":
        raise InputError(
            f"factors: expected whole numbers ({len(c)}, f), one row per code, got an "
            f"array of shape {v.shape} and type {v.dtype}."
        )
    v = whole_numbers(v, "factors")
    c = c.astype(np.float64)
    if not np.isfinite(c).all():
        row, column = np.argwhere(~np.isfinite(c))[0]
        raise InputError(
            f"codes: expected finite numbers, got {c[row, column]} in row {row}, latent {column}."
        )
    columns = [np.unique(column, return_inverse=True) for column in v.T]
    sizes = np.array([len(kinds) for kinds, _ in columns], dtype=np.int64)
    kept = np.flatnonzero(sizes > 1)
    values = np.stack([columns[i][1] for i in kept], axis=1) if len(kept) else v[:, :0]
    reason = ""
    if len(kept) < varying:
        reason = f"{len(kept)} of {v.shape[1]} factors vary; it needs {varying}"
    elif c.shape[1] < latents:
        reason = f"there is 1 latent; it needs {latents}"
    elif not moves(c).any():
        reason = "every latent is constant"
    return Table(c, values, sizes[kept], kept, v.shape[1], reason)


def moves(codes: np.ndarray) -> np.ndarray:
    """Which latents are not constant, (z,)."""
    found: np.ndarray = np.ptp(codes, axis=0) > STILL * np.abs(codes).max(axis=0)
    return found


def held_out(table: Table, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from, this share of them, and the rows that are held out, at random."""
    n = len(table.codes)
    order = np.random.default_rng(seed).permutation(n)
    return order[: int(share * n)], order[int(share * n) :]


def undefined(table: Table, settings: Any, reason: str = "") -> Scored:
    """NaN, with its reason."""
    return Scored(math.nan, len(table.codes), settings, reason=reason or table.reason)
