"""Which axis of a layer's output is the inputs'.

An axis is the inputs' if its size follows their number. One pass of 8 inputs and one of the last 5
of them tell it from every axis that only happens to be as long: a table of positions or of weights,
a mask for all, the time of a recurrent network that puts time first. An output has to have one such
axis, and is then read as (n, …) with that axis first. And what an input gives has to be the same
whatever the others are: statistics of a batch are no representation of an input. Two more passes
tell that, one with the last input in all places and one with the first, since a caller who runs the
passes may fix draws by the place of an input in its batch. On so many rows of the same sizes the
arithmetic is the same to the bit, so an effect of `FAR` of a layer's spread is told. One of ε moves
a CKA of n inputs by at most 2ε √((1 + √n)/2), to first order: 8ε for 1,000 of them, where one
direction is far larger than the many others, and 2ε where all are alike.

A network that runs on one number of inputs alone (exported so, or with that number in a ``view``)
is shown the same inputs in turned order: what is of the inputs turns with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Seen", "axis_that_follows", "axis_that_turns", "depends", "repeats", "seen"]

SKETCH = 1 << 14  # numbers of a row that are kept, to be compared
# Of a layer's spread. With few digits 0.03 may be rounding, where tokens of several inputs are
# multiplied together (experts, packed sequences), and in int8 with a scale for each batch 0.09.
FAR, FAR_HALF, FAR_QUANTISED = 1e-4, 0.03, 0.1
# Between passes of two numbers of inputs, whose products are added in other orders.
FAR_OF_SIZES = 0.03
ULPS = 8  # of the numbers themselves, where they are far from zero beside their spread


@dataclass(frozen=True)
class Seen:
    """An output of one pass: its shape, and some of its values along each axis of the inputs' size.

    Attributes:
        shape: of the output.
        rows: the number of inputs of the pass.
        rough: it has few digits.
        ulp: the distance of two of its numbers beside 1, where it has many.
        sketches: axis → (rows, some units).

    """

    shape: tuple[int, ...]
    rows: int
    rough: bool
    ulp: float
    sketches: dict[int, Tensor]


def seen(value: Tensor, rows: int) -> Seen:
    """What is kept of an output of a pass of so many inputs."""
    sketches = {}
    for axis, size in enumerate(value.shape):
        if size == rows and value.numel():
            flat = value.movedim(axis, 0).reshape(rows, -1)
            step = torch.linspace(0, flat.shape[1] - 1, min(SKETCH, flat.shape[1]))
            some = flat.index_select(1, step.round().long().to(flat.device))
            if some.is_complex():
                some = torch.view_as_real(some.resolve_conj()).flatten(1)
            exact = some.is_floating_point()
            sketches[axis] = some.float() if exact and some.element_size() < 4 else some
            sketches[axis] = sketches[axis] if exact else some.double()
    rough = value.is_floating_point() and value.element_size() < 4
    real = value.dtype.to_real() if value.is_complex() else value.dtype
    ulp = torch.finfo(real).eps if real.is_floating_point else 0.0
    return Seen(tuple(value.shape), rows, rough, 0.0 if rough else ulp, sketches)


def axis_that_follows(one: Seen, two: Seen) -> tuple[int | None, str]:
    """The inputs' axis, from passes of two numbers of inputs; or None, and why there is none."""
    shapes = f"{one.shape} for {one.rows} inputs and {two.shape} for {two.rows}"
    if len(one.shape) != len(two.shape):
        return None, f"it has another number of axes for another number of inputs: {shapes}"
    sizes = zip(one.shape, two.shape, strict=True)
    return _only([i for i, pair in enumerate(sizes) if pair == (one.rows, two.rows)], shapes)


def axis_that_turns(one: Seen, turned: Seen) -> tuple[int | None, str]:
    """The same from two passes of the same inputs, the last of which stood first in the second."""
    axes = [
        axis
        for axis, values in one.sketches.items()
        if (other := turned.sketches.get(axis)) is not None
        and _near(values.roll(1, 0), other, one.rough)
        and not _near(values, other, one.rough)
    ]
    return _only(axes, f"{one.shape}, for the same {one.rows} inputs in two orders")


def _only(axes: list[int], shapes: str) -> tuple[int | None, str]:
    if len(axes) == 1:
        return axes[0], ""
    if axes:
        return None, f"{len(axes)} axes follow the inputs, got {shapes}"
    return None, f"no axis follows the inputs, got {shapes}"


def repeats(one: Seen, two: Seen, axis: int) -> bool:
    """Whether the inputs of the second pass, the last ones of the first, gave the same again."""
    x, y = _common(one, two, axis)
    if x is None or y is None:
        return True
    return _near(x, y, one.rough) and not _far(x, y, FAR_HALF if one.rough else FAR, one.ulp)


def depends(
    one: Seen, two: Seen, axis: int, place: int | None = None, *, quantised: bool = False
) -> bool:
    """Whether what an input gives depends on the inputs beside it.

    Told where it gave something else in another pass, by `FAR` of how far the inputs are from each
    other.

    Args:
        one: the first pass.
        two: another, of the last of its inputs alone; or, with a ``place``, of as many inputs, all
            of them the one that stood there.
        axis: the inputs'.
        place: see ``two``.
        quantised: the network has quantised modules.

    """
    x, y = _common(one, two, axis)
    if x is None or y is None:
        return False
    far = FAR_QUANTISED if quantised else FAR_HALF if one.rough else FAR
    if place is None:
        return _far(x, y, max(far, FAR_OF_SIZES), one.ulp)
    # One row of n is compared: its own spread is √n times smaller than that of all.
    at = torch.arange(len(x), device=x.device)[:, None] == place
    return _far(x, torch.where(at, y, x), far / len(x) ** 0.5, one.ulp / len(x) ** 0.5)


def _far(x: Tensor, y: Tensor, far: float, ulp: float) -> bool:
    there = x.isfinite()
    if not torch.equal(there, y.isfinite()):
        return True
    x, y = (torch.where(there, some, 0).double() for some in (x, y))
    spread = torch.linalg.vector_norm(x - x.mean(0))
    rounding = ULPS * ulp * torch.linalg.vector_norm(x)
    return bool(torch.linalg.vector_norm(x - y) > far * spread + rounding)


def _common(one: Seen, two: Seen, axis: int) -> tuple[Tensor | None, Tensor | None]:
    x, y = one.sketches.get(axis), two.sketches.get(axis)
    if x is None or y is None or x.shape[1] != y.shape[1]:  # of other lengths
        return None, None
    rows = min(len(x), len(y))
    return x[-rows:], y[-rows:]


def _near(x: Tensor, y: Tensor, rough: bool) -> bool:
    # A GPU may add in another order; noise that anyone would put in is far above this.
    near = {"rtol": 1e-2, "atol": 1e-3} if rough else {"rtol": 1e-4, "atol": 1e-6}
    return x.shape == y.shape and torch.allclose(x, y, equal_nan=True, **near)
