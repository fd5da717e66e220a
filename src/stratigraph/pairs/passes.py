"""Two networks, and how one batch after the other is run through both."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stratigraph.activations import Reader
from stratigraph.activations.batches import few_rows, given, pieces, run
from stratigraph.activations.callers_mask import mask_for
from stratigraph.activations.masks import MaskOf
from stratigraph.errors import InputError
from stratigraph.similarity.inputs import as_matrix
from stratigraph.similarity.streaming import LEAST
from stratigraph.similarity.unfit import unfit

__all__ = ["Passes", "Read"]

Read = tuple[dict[str, Tensor], dict[str, Tensor] | None]


class Passes:
    """Both networks, and how a batch is run through them.

    ``unfit`` holds, for each side, layer → why it cannot be compared: it is given as one unit that
    is zero, and its scores are NaN.
    """

    def __init__(
        self,
        readers: list[Reader],
        mask: MaskOf,
        call: Callable[[nn.Module, Any], Any] | None,
    ) -> None:
        self.readers, self.mask, self.call = readers, mask, call
        self.unfit: list[dict[str, str]] = [{} for _ in readers]
        self.units: list[dict[str, int]] = [{} for _ in readers]
        for one, unfit_here in zip(readers, self.unfit, strict=True):
            one.lost = unfit_here
            if not one.chosen.modules:
                inside = next(one.model.children(), None) is not None
                raise InputError(
                    f"layers: none to compare in a {type(one.model).__name__}: "
                    + (
                        f"expected names, globs or types, got {one.asked!r}."
                        if inside
                        else "it contains no module; wrap it, nn.Sequential(model)."
                    )
                )

    @property
    def left_out(self) -> dict[str, str]:
        """Layer → why it is not read."""
        learned = [one.learned for one in self.readers if one.learned is not None]
        return {name: why for one in learned for name, why in one.left_out.items()}

    def learn(self, few: tuple[Any, int], batch: tuple[Any, int]) -> int:
        """Learn of the layers; the number of inputs that a network has to have, or 0.

        Raises:
            InputError: a network cannot be read.

        """
        for one in self.readers:
            one.learn(partial(self._show, one.model), few, batch, check=self.call is None)
        return max(0 if one.learned is None else one.learned.fixed for one in self.readers)

    def _show(self, model: nn.Module, pair: Any, at: slice) -> Any:
        return (self.call or run)(model, given(pair[0], model))

    def widths(self, pair: Any, rows: int) -> tuple[list[list[int]], int]:
        """The units of every layer of each side, and the bytes that one input takes."""
        few = min(rows, LEAST)
        try:
            read = self._both(few_rows(pair, rows, few), few)
        except Exception:  # made for one number of inputs
            few, read = rows, self._both(pair, rows)
        found, size = [], 0
        for side in read:
            matrices = [_matrix(name, value) for name, value in side.items()]
            found.append([x.shape[1] for x in matrices])
            size += sum(x.shape[1] * x.element_size() for x in matrices)
        return found, max(1, size)

    def read(self, batches: Iterable[Any], most: int, least: int) -> Generator[Read]:
        """What the layers of both return for each batch, cut where it is too large to hold."""
        for pair, rows in batches:
            cut = [(pair, rows)] if rows <= most else pieces(pair, rows, most, least)
            for part, count in cut:
                found = self._both(part, count)
                for side, some in enumerate(found):
                    some.update({name: self._fit(side, name, v) for name, v in some.items()})
                yield found[0], found[1] if len(found) > 1 else None
                for some in found:
                    some.clear()  # or two batches would be held while the next one is read
        for one, reasons, units in zip(self.readers, self.unfit, self.units, strict=True):
            if units and units.keys() <= reasons.keys():
                name, why = next(iter(reasons.items()))
                raise InputError(
                    f"layers: none of a {type(one.model).__name__} can be compared; {name} is "
                    f"{why}."
                )

    def _both(self, pair: Any, rows: int) -> list[dict[str, Tensor]]:
        return [
            one.read(
                partial(self._show, one.model, pair, slice(0, rows)),
                rows,
                mask_for(pair, self.mask, rows),
            )
            for one in self.readers
        ]

    def _fit(self, side: int, name: str, value: Tensor) -> Tensor:
        """A layer's matrix; zeros once it was found unfit."""
        reasons, units = self.unfit[side], self.units[side]
        if name not in reasons:
            value = value[:, None] if value.ndim == 1 else value
            why = (
                f"without units: {tuple(value.shape)}" if not value.numel() else unfit(value, name)
            )
            if why is None:
                matrix = as_matrix(value, name)
                units.setdefault(name, matrix.shape[1])
                return matrix
            reasons[name] = why
        return torch.zeros(len(value), units.setdefault(name, 1))

    def set_unfit(self, values: np.ndarray, reasons: dict[str, str]) -> dict[str, str]:
        """Put NaN where a layer was unfit; the reasons with theirs."""
        for axis, (units, unfit_here) in enumerate(zip(self.units, self.unfit, strict=True)):
            for place, name in enumerate(units):
                if name in unfit_here:
                    np.moveaxis(values, axis, 0)[place] = math.nan
                    if len(self.units) == 1:
                        values[:, place] = math.nan
                    reasons = {**reasons, name: unfit_here[name]}
        return reasons


def _matrix(name: str, value: Tensor) -> Tensor:
    """As many units as a layer has, whether or not it can be compared."""
    flat = value.reshape(len(value), -1)
    return as_matrix(flat.abs() if flat.is_complex() else flat, name) if flat.numel() else flat
