"""Linear CKA of all n inputs from sums over them, so that no input is kept.

With features x_i, y_i, squared norms a_i = ‖x_i‖², b_i = ‖y_i‖², means μ, ν, and the sums

    C = Σ x_i y_iᵀ,   u = Σ x_i b_i,   v = Σ y_i a_i,   w = Σ a_i b_i,

the centred kernels K, L of all n inputs have

    ⟨K, L⟩ = ‖C − nμνᵀ‖²_F,
    d·e    = w − 2μ·u − 2ν·v + 4μᵀCν + ‖ν‖²Σa + ‖μ‖²Σb − 3n‖μ‖²‖ν‖²,   d = diag K, e = diag L,

and so the biased and the debiased HSIC (`stratigraph.similarity.hsic`). Every term is a sum over
inputs: batches of any size in any order, on any workers, add up to the same score, which is that of
all inputs at once (not the average over batches that `streaming` gives), in memory p·q.

Features are taken less a fixed offset, so that a large common one costs no digits (the score does
not depend on it); all sums are of float64.

Source: Song et al. 2012 (the U-statistic); the sums are its expansion.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.similarity.centring import CONSTANT, find_constant
from stratigraph.similarity.hsic import DEGENERATE, debiased_hsic_centred, is_degenerate
from stratigraph.similarity.inputs import as_matrix, check_finite, join_sides

__all__ = ["CKASums", "Sums", "hsic", "moments_bytes", "sums_of", "trace"]


@dataclass(frozen=True)
class Sums:
    """The sums of a pair of representations: they add."""

    x: Tensor  # Σ x_i (p,)
    y: Tensor  # Σ y_i (q,)
    a: Tensor  # Σ a_i
    b: Tensor  # Σ b_i
    c: Tensor  # (p, q)
    u: Tensor  # (p,)
    v: Tensor  # (q,)
    w: Tensor  # a number


def sums_of(x: Tensor, y: Tensor) -> Sums:
    """The sums of one batch of a pair, (m, p) and (m, q) in float64."""
    a, b = x.square().sum(1), y.square().sum(1)
    return Sums(x.sum(0), y.sum(0), a.sum(), b.sum(), x.T @ y, x.T @ b, y.T @ a, a @ b)


def hsic(n: int, sums: Sums, debiased: bool) -> tuple[float, float]:
    """⟨K, L⟩ of all n inputs, or their debiased HSIC; and the size of what was cancelled for it."""
    mu, nu = sums.x / n, sums.y / n
    inner = float((sums.c - n * torch.outer(mu, nu)).square().sum())
    if not debiased:
        return inner, inner
    m, k = float(mu @ mu), float(nu @ nu)
    a, b = float(sums.a), float(sums.b)
    diagonal = (
        float(sums.w)
        - 2 * float(mu @ sums.u)
        - 2 * float(nu @ sums.v)
        + 4 * float(mu @ sums.c @ nu)
        + k * a
        + m * b
        - 3 * n * m * k
    )
    value = float(debiased_hsic_centred(inner, diagonal, (a - n * m) * (b - n * k), n))
    return value, max(inner, float(sums.w), n * m * k)


def trace(n: int, sums: Sums) -> float:
    """Tr K of x, centred."""
    return float(sums.a - sums.x @ sums.x / n)


def moments_bytes(p: list[int], q: list[int] | None) -> int:
    """Memory of the sums of layers of these widths, all against all."""
    own = sum(width**2 for width in p) + (sum(width**2 for width in q) if q is not None else 0)
    return 8 * (sum(p) * sum(p if q is None else q) + own)


class _Side:
    """The layers of one network side by side: where each stands, its offset and its own sums."""

    def __init__(self, layers: Mapping[str, Tensor]) -> None:
        self.names = list(layers)
        self.dtypes = {name: value.dtype for name, value in layers.items()}
        self.offsets = {name: _offset(value.double()) for name, value in layers.items()}
        ends = np.cumsum([value.shape[1] for value in layers.values()])
        self.slices = [
            slice(int(end) - value.shape[1], int(end))
            for end, value in zip(ends, layers.values(), strict=True)
        ]
        self.own: list[Sums] = []
        self.constant = {name: torch.ones_like(mean).bool() for name, mean in self.offsets.items()}

    def features(self, layers: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Features less their offsets (m, P), and squared norms (m, k), of a batch."""
        parts = [layers[name].double() - self.offsets[name] for name in self.names]
        for index, (name, part) in enumerate(zip(self.names, parts, strict=True)):
            # The offset is the first batch's mean: what rounding leaves of it is no geometry.
            self.constant[name] &= find_constant(part, self.offsets[name])
            found = sums_of(part, part)
            if index < len(self.own):
                self.own[index] = add_sums(self.own[index], found)
            else:
                self.own.append(found)
        return torch.cat(parts, 1), torch.stack([part.square().sum(1) for part in parts], 1)


def _offset(first: Tensor) -> Tensor:
    """The mean of the first batch (m, p) → (p,); of a unit that is constant there, its value."""
    return torch.where((first == first[0]).all(0), first[0], first.mean(0))


def add_sums(one: Sums, other: Sums) -> Sums:
    """The sums of both batches; the first is overwritten."""
    for name in vars(one):
        getattr(one, name).add_(getattr(other, name))
    return one


class CKASums:
    """The sums of every layer of one side with every layer of the other (or of itself)."""

    def __init__(self) -> None:
        self.n = 0
        self.sides: list[_Side] = []
        self.cross: list[Tensor] = []

    def add(self, a: Mapping[str, Any], b: Mapping[str, Any] | None = None) -> None:
        """One more batch: layer → (m, p…) of the same m inputs, on each side.

        Raises:
            InputError: a value is not finite.

        """
        given = join_sides({"a": a} if b is None else {"a": a, "b": b})
        layers = [{name: as_matrix(v, name) for name, v in side.items()} for side in given]
        for side in layers:
            for name, value in side.items():
                check_finite(value, name)
        if not self.sides:
            self.sides = [_Side(side) for side in layers]
        for own, side in zip(self.sides, layers, strict=True):
            for name, value in side.items():
                if value.shape[1] != len(own.offsets[name]):
                    raise InputError(
                        f"{name}: expected {len(own.offsets[name])} units as in the first batch, "
                        f"got {value.shape[1]}; inputs of one length, or `reduce`, make them alike."
                    )
        features = [own.features(side) for own, side in zip(self.sides, layers, strict=True)]
        (x, norms_x), (y, norms_y) = features[0], features[-1]
        y, norms_y = y.to(x.device), norms_y.to(x.device)
        found = [x.T @ y, x.T @ norms_y, y.T @ norms_x, norms_x.T @ norms_y]
        if self.cross:
            for whole, part in zip(self.cross, found, strict=True):
                whole.add_(part)
        else:
            self.cross = found
        self.n += len(x)

    def result(self, debiased: bool) -> tuple[np.ndarray, dict[str, str]]:
        """CKA (k, k′), NaN where undefined, and layer → why it is."""
        own: list[np.ndarray] = []
        reasons: dict[str, str] = {}
        for side in self.sides:
            values = []
            for name, sums in zip(side.names, side.own, strict=True):
                value, size = hsic(self.n, sums, debiased)
                constant = bool(side.constant[name].all())
                if constant or is_degenerate(value, size, trace(self.n, sums), side.dtypes[name]):
                    # Of this side; the other may have such a layer too.
                    reasons[name] = CONSTANT if constant else DEGENERATE
                    value = math.nan
                values.append(value)
            own.append(np.array(values))
        left, right = self.sides[0], self.sides[-1]
        inner = np.array(
            [
                [hsic(self.n, self._pair(i, j), debiased)[0] for j in range(len(right.names))]
                for i in range(len(left.names))
            ]
        )
        scores = inner / np.sqrt(own[0])[:, None] / np.sqrt(own[-1])[None, :]
        return np.clip(scores, -1.0 if debiased else 0.0, 1.0), reasons

    def _pair(self, i: int, j: int) -> Sums:
        left, right = self.sides[0], self.sides[-1]
        rows, columns = left.slices[i], right.slices[j]
        c, u, v, w = self.cross
        one, other = left.own[i], right.own[j]
        device = c.device
        return Sums(
            one.x, other.x.to(device), one.a, other.a.to(device),
            c[rows, columns], u[rows, j], v[columns, i], w[i, j],
        )  # fmt: skip
