"""The engine of a cluster: tasks on Ray, each on one thread of whatever it was given.

What moves is a task (paths and settings, a few kilobytes) and its outcome; arrays lie in the
study's folder, which every node must see; of a study at a URL each node that trains has a working
copy of its own. A worker that is killed or a node that is lost costs what its tasks did since their
last checkpoint: they are sent again, and the lock of a run keeps a worker that only seemed dead
from being joined by another. A task that raises is not sent again.

Nothing but this file, and `stratigraph.engine.ray_worker`, knows Ray.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

from stratigraph.engine.local import TICK_SECONDS
from stratigraph.engine.protocol import Deaths, Failure, Outcome, raised, title_of
from stratigraph.engine.ray_worker import Board, Line, run_one
from stratigraph.engine.stop import listening, stopping
from stratigraph.engine.words import Hear
from stratigraph.errors import ConfigError
from stratigraph.plugins import import_path

__all__ = ["RayEngine"]

ATTEMPTS = 5  # deaths in a row, without progress in between, after which a task is given up
GONE_SECONDS = 10.0  # that the tasks of a map that was given up have to be gone
BUSY_SECONDS = 90.0  # that a task sent again waits for the lock of its last worker


class RayEngine:
    """Runs tasks as Ray tasks.

    Args:
        address: of a cluster, or ``auto`` for the one that this machine belongs to; None starts one
            on this machine, which ends with this process.
        workers: tasks at once; by default as many as the cluster has room for.
        cpus: cores that a task asks for.
        gpus: GPUs that a task asks for; a fraction lets several small models share one.

    Raises:
        ConfigError: Ray is not installed, or no cluster answers at the address; or a number that
            cannot be.

    """

    name = "ray"

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        *,
        cpus: float = 1,
        gpus: float = 0,
    ) -> None:
        for what, number in (("cpus", cpus), ("gpus", gpus)):
            least = 0 if what == "gpus" else 1e-9
            if isinstance(number, bool) or not least <= number < 1e6:
                raise ConfigError(f"{what}: expected a number of them for a task, got {number!r}.")
        if workers is not None and not 1 <= workers <= 100_000:
            raise ConfigError(f"workers: expected 1 to 100000, got {workers}.")
        self._options = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": 0}
        self._ray = _connected(address, workers)
        if workers is None or address is None:  # a cluster may grow, and this machine does not
            room = _room(self._ray, cpus, gpus)
            workers = workers or room
        self.workers = workers
        # One for all maps: its process takes a second of a core to start.
        self._board: tuple[str, Any] | None = None  # of a connection to a cluster, and itself
        self._maps = itertools.count()

    def map(
        self,
        function: Callable[[Any], Any],
        tasks: Iterable[Any],
        *,
        tick: Callable[[], None] | None = None,
        heard: Hear | None = None,
    ) -> Iterator[Outcome]:
        """See `Engine.map`."""
        with listening():
            yield from self._outcomes(function, tasks, tick or (lambda: None), heard)

    def _outcomes(
        self,
        function: Callable[[Any], Any],
        tasks: Iterable[Any],
        tick: Callable[[], None],
        heard: Hear | None,
    ) -> Iterator[Outcome]:
        ray = self._ray
        total = len(tasks) if isinstance(tasks, Sized) else None
        remote = ray.remote(run_one)
        board, number = self._the_board(), next(self._maps)
        asked: Any = None  # for the words of tasks; the answer is taken when it is there
        queue = enumerate(tasks)
        again: list[tuple[int, Any]] = []
        deaths = Deaths()
        pending: dict[Any, tuple[int, Any]] = {}
        ahead = 0  # beyond those that run; none at first: Ray would start processes for these too
        told = False
        try:
            while True:
                told = told or stopping()
                if told:
                    board.put_up.remote(number, "stop")  # again, should it have been born anew
                room = 0 if told else max(self.workers + ahead - len(pending), 0)
                batch = again[:room]
                del again[: len(batch)]
                batch += itertools.islice(queue, room - len(batch))
                for index, task in batch:
                    title = title_of(function, task, index, total)
                    named = remote.options(name=title, **self._options)
                    patience = BUSY_SECONDS if index in deaths else 0.0
                    line = Line(board, number, index, heard is not None)
                    pending[named.remote(function, task, line, patience)] = (index, task)
                if not pending:
                    if told and not stopping():  # taken back: nobody further out raises
                        raise KeyboardInterrupt
                    return
                done, _ = ray.wait(list(pending), timeout=TICK_SECONDS)
                if heard is not None:
                    asked = asked or board.heard.remote(number)
                    if ray.wait([asked], timeout=0)[0]:
                        there = {index for index, _ in pending.values()}
                        for index, facts in ray.get(asked).items():
                            if index in there:
                                heard(index, facts)
                        asked = None
                tick()
                for reference in done:
                    ahead = self.workers  # so that none waits while an outcome is dealt with
                    index, task = pending.pop(reference)
                    try:
                        kind, value = ray.get(reference)
                    except ray.exceptions.RayTaskError as error:  # of ours, not of the task's
                        yield Outcome(index, failure=raised(error))
                    except ray.exceptions.RayError as error:
                        count = deaths.count(index, task)
                        if count >= ATTEMPTS:
                            text = f"its worker died {count} times without progress: {error}"
                            yield Outcome(index, failure=Failure("killed", text))
                        else:
                            again.append((index, task))
                    else:
                        if kind == "value":
                            yield Outcome(index, value=value)
                        elif kind == "failure":
                            yield Outcome(index, failure=value)
        finally:
            board.put_up.remote(number, "over")
            if pending:  # of a map that was given up: whatever they hold is free once they are gone
                for reference in pending:
                    ray.cancel(reference, force=True)
                ray.wait(list(pending), num_returns=len(pending), timeout=GONE_SECONDS)

    def _the_board(self) -> Any:
        """It lives where the driver does, and as long; were it killed alone, another would come."""
        ray = self._ray
        job = ray.get_runtime_context().get_job_id()
        if self._board is None or self._board[0] != job:
            here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
                ray.get_runtime_context().get_node_id(), soft=False
            )
            options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
            board = ray.remote(Board).options(scheduling_strategy=here, **options).remote()
            self._board = job, board
        return self._board[1]


def _connected(address: str | None, workers: int | None) -> Any:
    try:
        import ray
    except ImportError:
        raise ConfigError(
            "engine ray: Ray is not installed; `pip install 'stratigraph[ray]'`."
        ) from None
    if ray.is_initialized():
        return ray
    where: dict[str, Any] = {"address": address}
    if address is None:
        where = {"address": "local", "num_cpus": workers, "include_dashboard": False}
    before = os.environ.get("PYTHONPATH")
    if address is None:
        # The workers of this machine find what this process finds, the user's own modules included.
        os.environ["PYTHONPATH"] = os.pathsep.join(import_path())
    try:
        ray.init(**where, namespace="stratigraph", log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"engine ray: no cluster answers at {address or 'this machine'} "
            f"({str(error).splitlines()[0]}); start one with `ray start --head`."
        ) from None
    finally:
        if address is None:
            os.environ.pop("PYTHONPATH")
            os.environ |= {} if before is None else {"PYTHONPATH": before}
    return ray


def _room(ray: Any, cpus: float, gpus: float) -> int:
    """How many tasks the cluster can hold at once, now."""
    there = ray.cluster_resources()
    with contextlib.suppress(ZeroDivisionError):
        found = there.get("CPU", 0) / cpus
        if gpus:
            found = min(found, there.get("GPU", 0) / gpus)
        if found >= 1:
            return int(found)
    raise ConfigError(
        f"engine ray: a task asks for {cpus} cores and {gpus} GPUs, and the cluster has "
        f"{there.get('CPU', 0):g} and {there.get('GPU', 0):g}; ask for less."
    )
