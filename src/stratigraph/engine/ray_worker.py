"""The worker's side of the engine of a cluster: one task, what it says, and what it is asked.

A board lies between the two. The driver puts up on it what the tasks of a map are asked to do, and
reads what they say; it lives where the driver does, and goes with it.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from stratigraph.engine.local import one_thread
from stratigraph.engine.protocol import raised
from stratigraph.engine.stop import ask_to_stop, stopping, withdraw
from stratigraph.engine.words import speaking
from stratigraph.errors import BusyError

__all__ = ["Board", "Line", "run_one"]

LOOK_SECONDS = 0.5  # between two looks at whether to stop
SAY_SECONDS = 1.0  # between two words of a task: hundreds of them share one listener


class Board:
    """What the tasks of each map are asked to do; and the last word of each of them."""

    def __init__(self) -> None:
        self.asked: dict[int, Literal["stop", "over"]] = {}
        self.words: dict[int, dict[int, dict[str, Any]]] = {}
        self.begun: dict[int, set[int]] = {}

    def put_up(self, number: int, what: Literal["stop", "over"]) -> None:
        """Ask the tasks of a map to stop after their step; or to end, as nobody waits for them."""
        self.asked[number] = what
        if what == "over":
            self.words.pop(number, None)
            self.begun.pop(number, None)

    def begin(self, number: int, index: int) -> Literal["stop", "over"] | None:
        """A task begins, unless it is asked not to: what it is asked."""
        asked = self.asked.get(number)
        if asked is None:
            self.begun.setdefault(number, set()).add(index)
        return asked

    def began(self, number: int) -> set[int]:
        """The tasks of a map that have begun; once they are asked to stop, no other will."""
        return self.begun.get(number, set())

    def look(self, number: int) -> Literal["stop", "over"] | None:
        """What those of a map are asked."""
        return self.asked.get(number)

    def say(self, number: int, index: int, facts: dict[str, Any]) -> None:
        """What a task says."""
        if self.asked.get(number) != "over":
            self.words.setdefault(number, {})[index] = facts

    def heard(self, number: int) -> dict[int, dict[str, Any]]:
        """The last word of each task of a map that said something since this was last asked."""
        return self.words.pop(number, {})


@dataclass(frozen=True)
class Line:
    """From a task to its driver's board."""

    board: Any
    number: int  # of its map
    index: int  # of the task in it
    wordy: bool  # whether somebody listens

    def begin(self) -> Literal["stop", "over"] | None:
        """Say that it begins; what it is asked to do."""
        return self._ask(self.board.begin.remote(self.number, self.index))

    def asked(self) -> Literal["stop", "over"] | None:
        """What it is asked to do; "over" where the board, and so the driver, is gone."""
        return self._ask(self.board.look.remote(self.number))

    def _ask(self, answer: Any) -> Literal["stop", "over"] | None:
        import ray

        try:
            return ray.get(answer)
        except ray.exceptions.RayError:
            return "over"

    def say(self, facts: dict[str, Any]) -> None:
        """Say something, and do not wait for it to be heard."""
        self.board.say.remote(self.number, self.index, facts)


def run_one(
    function: Callable[[Any], Any], task: Any, line: Line, patience: float
) -> tuple[str, Any]:
    """One task, in a worker: ("value", …), ("failure", …), or ("stopped", None).

    A task whose last worker is said to be dead waits so many seconds for that one's lock: it may be
    dying still.
    """
    withdraw()  # this worker may have been asked in another map
    if line.begin():
        return "stopped", None
    over, turn = threading.Event(), threading.Lock()

    def watch() -> None:
        while not over.wait(LOOK_SECONDS):
            what = line.asked()
            with turn:
                if over.is_set():
                    return  # and another task may have begun here
                if what == "over":
                    os._exit(1)  # what it started must not hold locks
                if what == "stop":
                    ask_to_stop()

    said = -math.inf

    def speak(facts: dict[str, Any]) -> None:
        nonlocal said
        if time.monotonic() - said >= SAY_SECONDS:
            said = time.monotonic()
            line.say(facts)

    threading.Thread(target=watch, daemon=True).start()
    deadline = time.monotonic() + patience
    try:
        while True:
            try:
                with one_thread(), speaking(speak if line.wordy else None):
                    return "value", function(task)
            except BusyError:
                if time.monotonic() > deadline or stopping():
                    raise
                over.wait(LOOK_SECONDS)
    except Exception as error:
        return "failure", raised(error)
    finally:
        with turn:
            over.set()
