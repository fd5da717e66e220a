"""Linear CKA in the interface of torchmetrics: ``update``, ``compute``, and a sum over workers.

The states are the sums of `stratigraph.similarity.moments`: they add. So the score is that of all
inputs at once, unbiased by default, however the inputs are cut into batches and spread over
workers; nothing is averaged over batches. Memory is p·q + p² + q² numbers of float64, whatever the
number of inputs; larger layers are reduced first.

An offset that is common to all inputs costs digits, as it does in any sum of products: ``center_x``
and ``center_y`` take it away beforehand, the same on every worker, and `compute` warns where it
should have been.

Needs ``pip install stratigraph[torchmetrics]``.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from stratigraph.errors import InputError
from stratigraph.similarity.inputs import as_matrix, check_finite
from stratigraph.similarity.measure import PrecisionWarning, UndefinedWarning
from stratigraph.similarity.moments import Sums, hsic, sums_of

__all__ = ["CKA"]

PAIRS = ("xx", "xy", "yy")
PRECISE = 1e-7  # relative; what cancels beyond it costs the digits that are promised
UNDEFINED = 1e-3  # beyond it no digit is left


class CKA(Metric):
    """Linear CKA of two representations of the same inputs.

    Args:
        units_x: p, the units of the first, after flattening.
        units_y: q, those of the second; by default the same number.
        debiased: unbiased products (the default), or the biased score common in papers.
        center_x, center_y: an offset subtracted from every input, (p,) and (q,) or a number.
        options: those of every torchmetrics metric.

    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    inputs: Tensor
    center_x: Tensor

    def __init__(
        self,
        units_x: int,
        units_y: int | None = None,
        *,
        debiased: bool = True,
        center_x: Tensor | float = 0.0,
        center_y: Tensor | float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.units = {"x": units_x, "y": units_x if units_y is None else units_y}
        self.debiased = debiased
        for side, center in (("x", center_x), ("y", center_y)):
            wide = torch.as_tensor(center, dtype=torch.float64)
            if wide.ndim and wide.shape != (self.units[side],):
                raise InputError(
                    f"center_{side}: expected a number or ({self.units[side]},), got shape "
                    f"{tuple(wide.shape)}."
                )
            self.register_buffer(f"center_{side}", wide)
        self.add_state("inputs", torch.tensor(0, dtype=torch.int64), dist_reduce_fx="sum")
        for pair in PAIRS:
            p, q = (self.units[side] for side in pair)
            shapes = {"x": (p,), "y": (q,), "a": (), "b": (), "c": (p, q),
                      "u": (p,), "v": (q,), "w": ()}  # fmt: skip
            for name, shape in shapes.items():
                zeros = torch.zeros(shape, dtype=torch.float64)
                self.add_state(f"{pair}_{name}", zeros, dist_reduce_fx="sum")

    def update(self, x: Tensor, y: Tensor) -> None:
        """Add a batch of the same inputs: (m, p…) and (m, q…)."""
        sides = {}
        for name, value in (("x", x), ("y", y)):
            matrix = as_matrix(value, name)
            if matrix.shape[1] != self.units[name]:
                raise InputError(
                    f"{name}: expected {self.units[name]} units, got {matrix.shape[1]}."
                )
            check_finite(matrix, name)
            center = getattr(self, f"center_{name}")
            sides[name] = matrix.to(center.device, torch.float64) - center
        if len(sides["x"]) != len(sides["y"]):
            raise InputError(
                f"x and y: expected the same inputs, got {len(sides['x'])} and {len(sides['y'])}."
            )
        for pair in PAIRS:
            for name, value in vars(sums_of(sides[pair[0]], sides[pair[1]])).items():
                setattr(self, f"{pair}_{name}", getattr(self, f"{pair}_{name}") + value)
        self.inputs = self.inputs + len(sides["x"])

    def compute(self) -> Tensor:
        """The score of all inputs so far, on all workers; NaN where it is undefined."""
        n, least = int(self.inputs), 4 if self.debiased else 2
        nan = torch.tensor(math.nan, dtype=torch.float64, device=self.center_x.device)
        if n < least:
            # Not an error: `forward` computes the score of one batch alone, which may be a small
            # last one, while the sums of those before it are set aside.
            text = f"CKA is NaN: expected at least {least} inputs in total, got {n}."
            warnings.warn(text, UndefinedWarning, stacklevel=2)
            return nan
        found = {pair: hsic(n, self._sums(pair), self.debiased) for pair in PAIRS}
        for pair in ("xx", "yy"):
            value, size = found[pair]
            lost = torch.finfo(torch.float64).eps * size / value if value > 0 else math.inf
            if lost > UNDEFINED:
                text = (
                    f"CKA is NaN: {pair[0]} is constant or its inputs are equidistant, as far as "
                    f"can be told; if it has a large common offset, pass center_{pair[0]}."
                )
                warnings.warn(text, UndefinedWarning, stacklevel=2)
                return nan
            if lost > PRECISE:
                text = (
                    f"{pair[0]}: its common offset is so large against its spread that the sums "
                    f"lose digits; pass center_{pair[0]}, such as the mean of some inputs."
                )
                warnings.warn(text, PrecisionWarning, stacklevel=2)
        score = found["xy"][0] / math.sqrt(found["xx"][0]) / math.sqrt(found["yy"][0])
        return nan.new_tensor(min(max(score, -1.0 if self.debiased else 0.0), 1.0))

    def _sums(self, pair: str) -> Sums:
        return Sums(*(getattr(self, f"{pair}_{name}") for name in "xyabcuvw"))
