"""What every engine promises, as checks: functions of an `Engine`.

The tasks are functions of this module, which other processes import by name; so it imports little.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

from stratigraph.engine import Engine, Outcome, tell
from stratigraph.testing.require import require

__all__ = ["CHECKS"]

PATIENCE = 60.0  # seconds; a busy cluster starts processes slowly


class Unloadable(Exception):
    """Its arguments are not those that it was made of, so no pickle of it can be loaded."""

    def __init__(self, number: str, of: str) -> None:
        super().__init__(f"{number} of {of}")


def square(x: int) -> int:
    """A task."""
    return x * x


def fail_on_three(x: int) -> int:
    """A task that raises."""
    if x == 3:
        raise ValueError("three is not welcome")
    return x


def fail_badly_on_three(x: int) -> int:
    """A task that raises what no other process can load."""
    if x == 3:
        raise Unloadable("three", of="four")
    return x


def die_on_two(task: tuple[int, int]) -> int:
    """A task that ends its process, unless it is that of the check: (x, its process)."""
    x, asking = task
    if x == 2 and os.getpid() != asking:
        os._exit(9)
    return x


def count_threads(_: int) -> int:
    """How many threads torch would use."""
    import torch

    return torch.get_num_threads()


def say(x: int) -> int:
    """A task that tells how far it is."""
    for step in range(3):
        tell({"x": x, "step": step})
    return x


def say_and_wait(path: Path) -> str:
    """Speak until somebody has heard, and says so by a file."""
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError("nobody heard")
        tell({"name": path.name})
        time.sleep(0.02)
    return path.name


def _outcomes(
    engine: Engine, function: Callable[[Any], Any], tasks: Iterable[Any], **more: Any
) -> dict[int, Outcome]:
    """Every outcome by the number of its task, each of which has one."""
    tasks = list(tasks)
    found = list(engine.map(function, tasks, **more))
    numbers = sorted(one.index for one in found)
    wanted = list(range(len(tasks)))
    text = f"{engine.name}: expected an outcome of each of the tasks {wanted}, got {numbers}."
    require(numbers == wanted, text)
    return {one.index: one for one in found}


def _require_values(engine: Engine, found: dict[int, Outcome], wanted: dict[int, Any]) -> None:
    for number, value in wanted.items():
        one = found[number]
        require(
            one.failure is None and one.value == value,
            f"{engine.name}: expected {value!r} of task {number}, got {one}.",
        )


def check_outcomes(engine: Engine) -> None:
    """Every task has one outcome, with its value; no tasks have none."""
    require(isinstance(engine, Engine), f"expected a stratigraph.engine.Engine, got {engine!r}.")
    found = _outcomes(engine, square, range(9))
    _require_values(engine, found, {x: x * x for x in range(9)})
    _outcomes(engine, square, [])


def check_exceptions(engine: Engine) -> None:
    """A task that raises ends alone, and its outcome tells the error and where it was raised."""
    found = _outcomes(engine, fail_on_three, range(6))
    _require_values(engine, found, {x: x for x in (0, 1, 2, 4, 5)})
    failure, of = found[3].failure, f"{engine.name}: a task that raises"
    if failure is None:
        raise AssertionError(f"{of}: expected a failure, got {found[3]}.")
    told = (failure.kind, failure.message, type(failure.error))
    wanted = ("raised", "ValueError: three is not welcome", ValueError)
    require(told == wanted, f"{of}: expected the failure {wanted}, got {told}.")
    require("fail_on_three" in failure.traceback, f"{of}: its traceback does not say where.")
    require(found[3].value is None, f"{of}: expected no value, got {found[3].value!r}.")


def check_errors_that_cannot_travel(engine: Engine) -> None:
    """So does one whose error no other process can load; it is told in words."""
    found = _outcomes(engine, fail_badly_on_three, range(6))
    _require_values(engine, found, {x: x for x in (0, 1, 2, 4, 5)})
    failure = found[3].failure
    told = failure and (failure.kind, failure.message, failure.error)
    wanted = ("raised", "Unloadable: three of four", None)
    require(told == wanted, f"{engine.name}: expected a failure {wanted}, got {told}.")


def check_killed_processes(engine: Engine) -> None:
    """A task whose process dies ends alone; where the tasks run in this process, none is killed."""
    found = _outcomes(engine, die_on_two, [(x, os.getpid()) for x in range(5)])
    _require_values(engine, found, {x: x for x in (0, 1, 3, 4)})
    failure = found[2].failure
    if failure is None and found[2].value == 2:
        return  # it ran here
    killed = failure is not None and failure.kind == "killed" and failure.message
    require(killed, f"{engine.name}: a task whose process died: expected 'killed', got {found[2]}.")


def check_laziness(engine: Engine) -> None:
    """Tasks are read as they are needed: some for each worker are in flight, not all."""
    drawn: list[int] = []

    def draw() -> Iterator[int]:
        for x in range(50):
            drawn.append(x)
            yield x

    results = engine.map(square, draw())
    next(results)
    if isinstance(results, Generator):
        results.close()
    require(
        len(drawn) <= 2 * engine.workers,
        f"{engine.name}: {len(drawn)} of 50 tasks were read for the first outcome of "
        f"{engine.workers} worker(s); expected {2 * engine.workers} at most.",
    )


def check_threads(engine: Engine) -> None:
    """A task computes with one thread, as the last digits depend on how many there are."""
    found = _outcomes(engine, count_threads, range(2))
    _require_values(engine, found, {0: 1, 1: 1})


def check_hearing(engine: Engine) -> None:
    """What tasks tell is heard while they run; and nobody need listen."""
    with tempfile.TemporaryDirectory() as folder:
        names = [Path(folder, f"heard-{number}") for number in range(4)]
        heard = set()

        def hear(index: int, facts: Any) -> None:
            heard.add((index, facts["name"]))
            names[index].touch()

        found = _outcomes(engine, say_and_wait, names, heard=hear)
        wanted = {number: name.name for number, name in enumerate(names)}
        _require_values(engine, found, wanted)
    right = heard == set(wanted.items())
    require(right, f"{engine.name}: expected to hear {wanted}, got {sorted(heard)}.")
    _require_values(engine, _outcomes(engine, say, range(3)), {x: x for x in range(3)})


CHECKS: tuple[Callable[[Engine], None], ...] = (
    check_outcomes,
    check_exceptions,
    check_errors_that_cannot_travel,
    check_killed_processes,
    check_laziness,
    check_threads,
    check_hearing,
)
