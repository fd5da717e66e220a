"""Tasks of a comparison, by an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from stratigraph.engine import Engine, LocalEngine
from stratigraph.errors import StratigraphError
from stratigraph.pairs.blocks import Progress

__all__ = ["run_tasks"]


def run_tasks(
    function: Callable[[Any], Any],
    tasks: Iterable[Any],
    count: int,
    engine: Engine | None,
    progress: Progress | None,
) -> Iterator[tuple[int, Any]]:
    """(index, value) of each task as it ends; without an engine, here, on one thread.

    Raises:
        StratigraphError: what a task raised.

    """
    for done, outcome in enumerate((engine or LocalEngine(1)).map(function, tasks), 1):
        if outcome.failure is not None:
            raise outcome.failure.error or StratigraphError(
                f"comparing block {outcome.index}: {outcome.failure.message}"
            )
        yield outcome.index, outcome.value
        if progress:
            progress(done, count)
