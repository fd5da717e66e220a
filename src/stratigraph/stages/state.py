"""Where a run stands: written and told by whoever trains it, for whoever watches."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

from stratigraph.durable import Output, check_held, fresh_beside
from stratigraph.engine import tell
from stratigraph.records import sealed_json, write_json
from stratigraph.study.layout import STATE

__all__ = ["StateFile"]

HEARTBEAT_SECONDS = 0.5


class StateFile:
    """The run's ``state.json``: cheap to write often, and read by everyone who watches."""

    def __init__(self, run: Path, steps: int) -> None:
        self.path = run / STATE
        self.steps = steps
        self.began = self.last = time.monotonic()
        self.first_step: int | None = None
        self.signs: list[str] = []  # early warnings, as far as any were told
        self.told: dict[str, list[float]] = {}  # how bad each was, for a run that goes on

    def beat(self, step: int, loss: float | None) -> None:
        """Say where the run is, at most a few times a second.

        Raises:
            StorageError: its folder is not there any more.

        """
        now = time.monotonic()
        if self.first_step is None:
            self.first_step, self.began = step, now
        elif now - self.last < HEARTBEAT_SECONDS:
            return
        self.last = now
        speed = (step - self.first_step) / max(now - self.began, 1e-9)
        facts = {
            "state": "running",
            "step": step,
            "loss": loss,
            "steps_per_second": round(speed, 2),
        }
        tell(facts | {"signs": self.signs} if self.signs else facts)
        self._write(facts)

    def end(self, state: str, step: int, reason: str = "") -> None:
        """Say that the run is over; this one reaches the disk."""
        facts = {"state": state, "step": step, "steps": self.steps, "reason": reason}
        write_json(self.path, self._with_signs(facts))

    def _with_signs(self, facts: dict[str, Any]) -> dict[str, Any]:
        known = {"signs": self.signs, "told": self.told}
        return facts | {name: value for name, value in known.items() if value}

    def _write(self, facts: dict[str, Any]) -> None:
        # Renamed but not synced: it is replaced within the second, and a lost one costs nothing.
        facts = self._with_signs(facts | {"steps": self.steps, "pid": os.getpid()})
        check_held(self.path)
        # A disk that does not take it costs a look at the run, not the run.
        fresh = fresh_beside(self.path)
        try:
            output = Output(fresh)
            try:
                output.write(sealed_json(facts))
            finally:
                output.close()
            fresh.replace(self.path)
        except OSError:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
