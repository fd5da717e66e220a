"""What is done when latents collapse: the regulariser is annealed anew, or training stops.

Every ``every`` steps the information I(x; z_j) of each latent is read from some fixed inputs. Where
it is below ``nats`` of at least ``share`` of the latents, ``patience`` readings in a row, from step
``after`` on, the run has collapsed. Then

anneal   the regulariser's weight, which is 1, falls to 0 and rises linearly to 1 again in ``over``
         steps, so that the decoder learns to use the latents before they can be switched off; at
         most ``most`` times, after which the run goes on as it is;
stop     training ends there, and what its steps would have cost is saved.

Everything that a decision depends on is in `CollapseWatch.state`, so a resumed run does as an
uninterrupted one. Source of the annealing: Bowman et al. 2016, arXiv 1511.06349, section 3.1; that
it begins when the collapse is seen is ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stratigraph.errors import ConfigError, StratigraphError, suggest
from stratigraph.values import check_number, check_whole

__all__ = ["ACTIONS", "CollapseWatch", "CollapsedError", "OnCollapse"]

ACTIONS = ("anneal", "stop")
SHARES = {"after": 10, "over": 2, "every": 50}  # of the steps, one in so many

Reading = Callable[[], np.ndarray]


class CollapsedError(StratigraphError):
    """The latents of a run collapsed, which is to end there."""

    def __init__(self, step: int, told: str) -> None:
        self.step = step
        super().__init__(f"its latents collapsed at step {step} ({told}), so it stopped.")


@dataclass(frozen=True)
class OnCollapse:
    """When latents have collapsed, and what is done.

    Args:
        action: ``anneal`` or ``stop``.
        every: steps between two readings.
        nats: of information, below which a latent has collapsed.
        share: of the latents; 1 is all of them.
        patience: readings in a row.
        after: the first step at which a reading counts.
        over: steps in which the weight rises again.
        most: how many times it is annealed.
        inputs: how many fixed inputs are read.

    Raises:
        ConfigError: a value that cannot be used.

    """

    action: str = "anneal"
    every: int = 50
    nats: float = 0.05
    share: float = 1.0
    patience: int = 2
    after: int = 1000
    over: int = 1000
    most: int = 1
    inputs: int = 128

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ConfigError(
                f"on_collapse: expected {' or '.join(ACTIONS)}, got {self.action!r}."
                + (suggest(self.action, ACTIONS) if isinstance(self.action, str) else "")
            )
        for name, least, most in (
            ("every", 1, 10**9), ("patience", 1, 10**6), ("after", 0, 10**9), ("over", 1, 10**9),
            ("most", 1, 10**6), ("inputs", 4, 4096),
        ):  # fmt: skip
            check_whole(f"on_collapse: {name}", getattr(self, name), least, most)
        check_number("on_collapse: nats", self.nats, most=100, above=0)
        check_number("on_collapse: share", self.share, most=1, above=0)

    @classmethod
    def from_value(cls, value: Any, steps: int) -> OnCollapse:
        """The settings as a study file has them: an action, or a mapping of it and settings.

        What is left out in steps follows from those of the run: readings at one in 50, the first
        that counts after a tenth, the weight rising in half of them.

        Raises:
            ConfigError: an unknown key, or a value that cannot be used.

        """
        values = {"action": value} if isinstance(value, str) else value
        known = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(values, Mapping) or "action" not in values:
            raise ConfigError(
                f"on_collapse: expected {' or '.join(ACTIONS)}, or a mapping with such an "
                f"`action`, got {value!r}."
            )
        for key in values:
            if key not in known:
                raise ConfigError(
                    f"on_collapse: no setting is called {key!r}.{suggest(key, known)}"
                )
        given: dict[str, Any] = {name: max(steps // part, 1) for name, part in SHARES.items()}
        return cls(**given | dict(values))


class CollapseWatch:
    """Watches the latents of one training, and says what the regulariser weighs.

    Args:
        settings: when, and what.
        read: the information of each latent on the fixed inputs, nats (z,).

    Attributes:
        told: (step, latents that had collapsed, latents), each time that something was done.

    """

    def __init__(self, settings: OnCollapse, read: Reading) -> None:
        self.settings, self.read = settings, read
        self.told: list[tuple[int, int, int]] = []
        self._strikes = 0

    def weight(self, step: int) -> float:
        """What the regulariser weighs in the update after so many."""
        began = [at for at, *_ in self.told if at <= step]
        return min(1.0, (step - began[-1]) / self.settings.over) if began else 1.0

    def step(self, step: int) -> bool:
        """So many updates were made; whether something is done about it.

        Raises:
            CollapsedError: the latents collapsed, and the run is to stop.

        """
        own = self.settings
        if step % own.every or step < own.after or len(self.told) >= own.most:
            return False
        if self.weight(step) < 1:
            return False
        nats = self.read()
        collapsed = int((nats < own.nats).sum())
        self._strikes = self._strikes + 1 if collapsed >= own.share * len(nats) else 0
        if self._strikes < own.patience:
            return False
        self._strikes = 0
        self.told.append((step, collapsed, len(nats)))
        if own.action == "stop":
            raise CollapsedError(step, self._seen(collapsed, len(nats)))
        return True

    def _seen(self, collapsed: int, latents: int) -> str:
        return f"{collapsed} of {latents} latents carry less than {self.settings.nats:g} nats"

    def texts(self) -> list[tuple[int, str]]:
        """What was done at which step, in words."""
        over = f"the regulariser is annealed over {self.settings.over:,} steps"
        return [(step, f"collapse: {self._seen(*seen)}; {over}") for step, *seen in self.told]

    def state(self) -> dict[str, Tensor]:
        """All that later decisions depend on, as tensors."""
        return {
            "collapse.strikes": torch.tensor(self._strikes, dtype=torch.int64),
            "collapse.told": torch.tensor(self.told, dtype=torch.int64).reshape(-1, 3),
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on as from the moment that `state` was taken."""
        self._strikes = int(state["collapse.strikes"])
        self.told = [tuple(row) for row in state["collapse.told"].tolist()]
