"""Whether a run's snapshots fit each other: the same bits twice, or one from somewhere else.

With a, b, c the weights of three snapshots that follow each other, and

    d(x, y)² = Σ ‖x_k − y_k‖² / s_k        over the tensors k, s_k the largest ‖·‖² of the three,

b does not fit between a and c where both d(a, b) and d(b, c) are above `APART` · d(a, c). Nothing
that moves steadily does that: on a line they add up to d(a, c), in a random walk of many dimensions
d(a, c)² = d(a, b)² + d(b, c)², and around a minimum all three are alike. The checkpoint of another
run does, and so does a wrong step in its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["APART", "Neighbours", "weights_digest"]

APART = 2.0


def weights_digest(model: nn.Module) -> str:
    """SHA-256 of every tensor of a network: names, types, shapes and bits."""
    hasher = hashlib.sha256()
    for name, tensor in sorted(_tensors(model).items()):
        hasher.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        bits = tensor.detach().cpu().contiguous().flatten()
        hasher.update(bits.view(torch.uint8).numpy().data)
    return hasher.hexdigest()


class Neighbours:
    """The last two snapshots of a run, and what is said of a further one."""

    def __init__(self) -> None:
        self._digests: dict[str, int] = {}
        self._last: list[tuple[int, dict[str, Tensor]]] = []

    def add(self, step: int, model: nn.Module, digest: str) -> list[tuple[int, str]]:
        """What is to be pointed out now that a network has come to ``step``: steps and texts."""
        found = []
        if (before := self._digests.setdefault(digest, step)) != step:
            found.append((step, f"the same weights as at step {before:,}, bit for bit"))
        floats = {
            name: tensor.detach().cpu().clone()
            for name, tensor in _tensors(model).items()
            if tensor.is_floating_point()
        }
        self._last = [*self._last[-2:], (step, floats)]
        if len(self._last) == 3:
            (first, a), (middle, b), (last, c) = self._last
            ab, bc, ac = _distances(a, b, c)
            if min(ab, bc) > APART * ac:
                text = (
                    f"its weights do not fit between those of steps {first:,} and {last:,}: they "
                    f"are {ab:.3g} and {bc:.3g} away, and those {ac:.3g} from each other; is it of "
                    "another run, or of another step?"
                )
                found.append((middle, text))
        return found


def _distances(
    a: Mapping[str, Tensor], b: Mapping[str, Tensor], c: Mapping[str, Tensor]
) -> tuple[float, float, float]:
    squares = [0.0, 0.0, 0.0]
    for name in a:
        x, y, z = (one[name].double() for one in (a, b, c))
        scale = max(float(one.square().sum()) for one in (x, y, z))
        if scale > 0:
            for at, (one, other) in enumerate(((x, y), (y, z), (x, z))):
                squares[at] += float((one - other).square().sum()) / scale
    ab, bc, ac = (square**0.5 for square in squares)
    return ab, bc, ac


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: t for name, t in model.state_dict().items() if isinstance(t, Tensor)}
