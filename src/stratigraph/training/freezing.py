"""Freezing what has settled: layers from the bottom up, with no backward pass below them.

Every ``every`` steps each layer's representation of some fixed inputs is compared with what it was
at the reading before. A layer whose similarity to its own past has been at least ``threshold`` for
``patience`` readings in a row has settled. The longest run of settled layers from the input on is
frozen: their weights need no gradient, so the backward pass ends above them, and Adam leaves them
and their moments alone. The last layer is never frozen.

Frozen layers thaw together if the loss says so: if the mean loss between two readings stays above
the mean loss since they were frozen by ``thaw`` standard errors of the difference, ``patience``
readings in a row. Each thaw doubles the patience. An objective whose strength grows
(annealing) raises the loss by itself, and thaws what would be better left frozen: give it a larger
``thaw``.

With ``schedule``, pairs (step, layers), nothing is read: so many layers are frozen once that many
updates have been made, and from 0 on before the first.

A weight that two layers share is frozen when both are: a cut between frozen and trained layers
never parts them, and moves towards the input until it does not.

Everything that a decision depends on is in `Freezer.state`, so a resumed run freezes as an
uninterrupted one. Sources: Raghu et al. 2017, arXiv 1706.05806 (freeze training); Brock et al.
2017, arXiv 1706.04983 (FreezeOut, the fixed schedule).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from stratigraph.errors import ConfigError, suggest
from stratigraph.values import check_number, check_whole

__all__ = ["Freezer", "Freezing", "trainable_layers"]

Reading = Callable[[], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Freezing:
    """When layers are frozen.

    Args:
        every: steps between two readings.
        threshold: of the similarity to the reading before, at most 1.
        patience: readings in a row.
        thaw: standard errors of the mean loss.
        after: the first step at which a layer may be frozen.
        inputs: how many fixed inputs are read.
        schedule: (step, layers) pairs; then nothing is read.

    Raises:
        ConfigError: a value that cannot be used.

    """

    every: int = 200
    threshold: float = 0.9999  # docs/how-to/freezing.md: what lower ones cost
    patience: int = 3
    thaw: float = 3.0
    after: int = 0
    inputs: int = 128
    schedule: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        check_whole("freezing: every", self.every, 2, 10**9)
        check_number("freezing: threshold", self.threshold, -1, 1)
        check_whole("freezing: patience", self.patience, 1, 10**6)
        check_number("freezing: thaw", self.thaw, 0, 10**6)
        check_whole("freezing: after", self.after, 0, 10**9)
        check_whole("freezing: inputs", self.inputs, 4, 4096)
        given: Any = self.schedule
        if not isinstance(given, Sequence) or isinstance(given, str):
            raise ConfigError(f"freezing: schedule: expected (step, layers) pairs, got {given!r}.")
        pairs = []
        for pair in given:
            if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
                raise ConfigError(f"freezing: schedule: expected (step, layers), got {pair!r}.")
            for what, value in zip(("step", "layers"), pair, strict=True):
                check_whole(f"freezing: schedule: {what}", value, 0, 10**9)
            pairs.append(tuple(pair))
        if [step for step, _ in pairs] != sorted({step for step, _ in pairs}):
            raise ConfigError(f"freezing: schedule: steps must increase, got {given!r}.")
        object.__setattr__(self, "schedule", tuple(pairs))

    @classmethod
    def from_mapping(cls, values: Any) -> Freezing:
        """The settings as a study file has them: a mapping, or ``true`` for the defaults.

        Raises:
            ConfigError: an unknown key, or a value that cannot be used.

        """
        if values is True:
            return cls()
        if not isinstance(values, Mapping):
            raise ConfigError(f"freezing: expected a mapping of settings, got {values!r}.")
        known = list(cls.__dataclass_fields__)
        for key in values:
            if key not in known:
                raise ConfigError(f"freezing: no setting is called {key!r}.{suggest(key, known)}")
        if values.get("schedule") and "threshold" not in values:
            # A schedule reads none. It is part of a run's name all the same, and scheduled runs
            # keep the one that they had when this was the default.
            values = {**values, "threshold": 0.999}
        return cls(**values)


def trainable_layers(model: nn.Module, names: Sequence[str]) -> dict[str, nn.Module]:
    """Those of the named layers, in order, that have weights of their own."""
    modules = dict(model.named_modules())
    return {
        name: modules[name] for name in names if next(modules[name].parameters(), None) is not None
    }


class Freezer:
    """Freezes and thaws the layers of one network while it trains.

    Call `start` before the first update, and `step` after each.

    Args:
        settings: when.
        layers: from the input on, each with weights of its own.
        read: each layer's representation of the fixed inputs as a vector of length 1 whose inner
            product with another such vector is their similarity (zeros where it has none).

    Attributes:
        frozen: how many layers are, counted from the input.
        told: (step, frozen), each change.

    Raises:
        ConfigError: the layers share weights so that none could be frozen without the last.

    """

    def __init__(
        self, settings: Freezing, layers: Mapping[str, nn.Module], read: Reading | None
    ) -> None:
        self.settings, self.layers, self.read = settings, dict(layers), read
        self.frozen = 0
        self.patience = settings.patience
        self.told: list[tuple[int, int]] = []
        # What the caller has frozen for good is not ours to thaw.
        self._own = [[p for p in m.parameters() if p.requires_grad] for m in layers.values()]
        self._cuts = [0, *(c for c in range(1, len(layers)) if not self._shared(c))]
        if len(layers) > 1 and self._cuts == [0]:
            raise ConfigError(
                f"freezing: the layers {', '.join(layers)} share weights, so none could be "
                "frozen without the last, which never is; name layers that share none with it."
            )
        self._streaks = dict.fromkeys(layers, 0)
        self._past: dict[str, Tensor] = {}
        self._window = torch.zeros(3, dtype=torch.float64)  # losses: how many, sum, of squares
        self._since = torch.zeros(3, dtype=torch.float64)  # the same since layers were frozen
        self._strikes = 0

    def _shared(self, cut: int) -> set[int]:
        """The weights that stand on both sides of a cut."""
        below, above = (
            {id(p) for own in side for p in own} for side in (self._own[:cut], self._own[cut:])
        )
        return below & above

    def start(self, step: int) -> None:
        """Updates begin, or go on, after so many: what the schedule has frozen by then is."""
        if self.settings.schedule:
            due = [layers for at, layers in self.settings.schedule if at <= step]
            self._freeze(step, due[-1] if due else 0)

    def step(self, step: int, loss: Tensor | None) -> None:
        """One update was made, whose batch had this loss; a schedule needs none.

        Raises:
            ConfigError: no loss, and no schedule.

        """
        if self.settings.schedule:
            self.start(step)
            return
        if loss is None:
            raise ConfigError("freezing: without a schedule, the loss of each update is needed.")
        value = loss.detach().to("cpu", torch.float64)
        self._window += torch.stack((torch.ones_like(value), value, value.square()))
        if step % self.settings.every:
            return
        self._look(step)
        self._window.zero_()

    def _look(self, step: int) -> None:
        """One reading: thaw if the loss has risen, freeze what has settled."""
        if self.frozen:
            (mean, error), (usual, its) = _mean(self._window), _mean(self._since)
            risen = mean - usual > self.settings.thaw * math.hypot(error, its)
            self._strikes = self._strikes + 1 if risen else 0
            if self._strikes >= self.patience:
                self.patience *= 2
                self._streaks = dict.fromkeys(self.layers, 0)
                self._freeze(step, 0)
        now = {} if self.read is None else self.read()
        for name in self.layers:
            if name in self._past and name in now:
                before, after = self._past[name], now[name]
                # A layer that had no geometry and has one now is not like its past.
                alike = float(before @ after) if before.shape == after.shape else 0.0
                same = alike >= self.settings.threshold
                self._streaks[name] = self._streaks[name] + 1 if same else 0
        self._past = {name: vector.detach().clone() for name, vector in now.items()}
        if step >= self.settings.after:
            waiting = (i for i, n in enumerate(self.layers) if self._streaks[n] < self.patience)
            self._freeze(step, max(self.frozen, next(waiting, len(self.layers))))
        self._since += self._window  # at the moment of freezing, the first of what is usual

    def _freeze(self, step: int, count: int) -> None:
        """Freeze the first ``count`` layers, and train the others."""
        count = max(cut for cut in self._cuts if cut <= count)
        if count == self.frozen:
            return
        if not self.frozen or count < self.frozen:
            self._since.zero_()
            self._strikes = 0
        self.frozen = count
        self.told.append((step, count))
        self._apply()

    def _apply(self) -> None:
        for index, parameters in enumerate(self._own):
            for parameter in parameters:
                parameter.requires_grad_(index >= self.frozen)
                if index < self.frozen:
                    parameter.grad = None  # the optimiser passes over what has no gradient

    def frozen_modules(self) -> list[nn.Module]:
        """The modules that are frozen."""
        return list(self.layers.values())[: self.frozen]

    def state(self) -> dict[str, Tensor]:
        """All that later decisions depend on, as tensors."""
        numbers = [self.frozen, self.patience, self._strikes]
        return {
            "numbers": torch.tensor(numbers, dtype=torch.int64),
            "streaks": torch.tensor(list(self._streaks.values()), dtype=torch.int64),
            "window": self._window.clone(),
            "since": self._since.clone(),
            "told": torch.tensor(self.told, dtype=torch.int64).reshape(-1, 2),
            **{f"past.{name}": vector.cpu() for name, vector in self._past.items()},
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on as from the moment that `state` was taken."""
        self.frozen, self.patience, self._strikes = state["numbers"].tolist()
        self._streaks = dict(zip(self.layers, state["streaks"].tolist(), strict=True))
        self._window, self._since = state["window"].clone(), state["since"].clone()
        self.told = [(int(step), int(count)) for step, count in state["told"].tolist()]
        self._past = {
            name.removeprefix("past."): vector
            for name, vector in state.items()
            if name.startswith("past.")
        }
        self._apply()


def _mean(sums: Tensor) -> tuple[float, float]:
    """The mean of losses from their number, sum and sum of squares, and its standard error."""
    count, total, squares = sums.tolist()
    mean = total / count
    return mean, math.sqrt(max(squares / count - mean**2, 0.0) / count)
