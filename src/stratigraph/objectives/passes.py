"""One pass of the network, and what its objective makes of it.

Most objectives are a regulariser, a function of the posterior and the step. Some need more: the
images and the output (a likelihood with a scale), modules of their own that are trained and kept
with the network (`Parts`), random numbers, or an independent batch. `Pass` offers all of it, and an
objective that takes it has ``terms`` in place of ``regulariser``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from stratigraph.models import Posterior, VAEOutput
from stratigraph.objectives.terms import RECONSTRUCTIONS
from stratigraph.shapes import Images, Scalar

__all__ = ["Parts", "Pass", "Terms"]


class Parts(NamedTuple):
    """Modules that an objective trains with the network, and settings of Adam that are theirs."""

    modules: dict[str, nn.Module]
    adam: dict[str, Any] = {}  # noqa: RUF012  (NamedTuple's defaults are shared, and never changed)


def _none(*_: Any) -> Any:
    raise LookupError("this pass was made without it")


@dataclass(frozen=True)
class Pass:
    """A batch, what the network made of it, and what an objective may draw on.

    Attributes:
        images: (b, c, h, w) in [0, 1].
        result: the network's output and posterior.
        step: counted from 0.
        likelihood: one of `RECONSTRUCTIONS`.
        parts: the objective's own modules, by name.
        stream: a name → a generator that depends on it, the seed and the step alone.
        other: the posterior of an independent batch, without gradient.

    """

    images: Images
    result: VAEOutput
    step: int
    likelihood: str = "bernoulli"
    parts: Mapping[str, nn.Module] = field(default_factory=dict)
    stream: Callable[[str], torch.Generator] = _none
    other: Callable[[], Posterior] = _none

    def reconstruction(self) -> Scalar:
        """R, the likelihood's negative logarithm, in nats an image."""
        return RECONSTRUCTIONS[self.likelihood](self.result.output, self.images)


@dataclass(frozen=True)
class Terms:
    """The loss of a batch and its parts, each a scalar tensor in nats an image.

    Attributes:
        loss: what the network is trained for: reconstruction + regulariser.
        reconstruction, regulariser, kl: its parts; NaN where there is none.
        beside: what the objective's own parts are trained for, if that is another loss. It shares
            no weight with ``loss``, so both are one backward pass.
        more: further terms to log, by name.

    """

    loss: Tensor
    reconstruction: Tensor
    regulariser: Tensor
    kl: Tensor
    beside: Tensor | None = None
    more: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def minimised(self) -> Tensor:
        """What the backward pass begins from."""
        return self.loss if self.beside is None else self.loss + self.beside

    def logged(self) -> dict[str, Tensor]:
        """Every term by its name in the table of losses."""
        return {
            "loss": self.loss,
            "reconstruction": self.reconstruction,
            "regulariser": self.regulariser,
            "kl": self.kl,
            **self.more,
        }

    def with_weight(self, weight: float) -> Terms:
        """The same with the regulariser weighed, and the loss with it."""
        if weight == 1:
            return self
        regulariser = weight * self.regulariser
        return replace(self, loss=self.reconstruction + regulariser, regulariser=regulariser)

    def values(self) -> dict[str, float]:
        """Every term as a number."""
        return {name: float(term.detach()) for name, term in self.logged().items()}

    def detached(self) -> Terms:
        """The same without the graph."""
        return Terms(
            self.loss.detach(),
            self.reconstruction.detach(),
            self.regulariser.detach(),
            self.kl.detach(),
            None if self.beside is None else self.beside.detach(),
            {name: term.detach() for name, term in self.more.items()},
        )
