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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import Any

from stratigraph.engine.loop import TICK_SECONDS, Death, Pending, run_tasks
from stratigraph.engine.protocol import Failure, Outcome, raised, title_of
from stratigraph.engine.ray_address import CONNECT_SECONDS, check_address
from stratigraph.engine.ray_worker import Board, Line, run_one
from stratigraph.engine.stop import listening
from stratigraph.engine.words import Hear
from stratigraph.errors import ConfigError
from stratigraph.plugins import import_path
from stratigraph.values import is_number

__all__ = ["RayEngine"]

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
            if not is_number(number) or not least <= number < 1e6:
                raise ConfigError(f"{what}: expected a number of them for a task, got {number!r}.")
        if workers is not None and not 1 <= workers <= 100_000:
            raise ConfigError(f"workers: expected 1 to 100000, got {workers}.")
        self._options = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": 0}
        self._ray = _connect(address, workers)
        room = _count_room(self._ray, cpus, gpus)
        self.workers = workers or room
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
            total = len(tasks) if isinstance(tasks, Sized) else None
            yield from run_tasks(
                _RayTasks(self, function, total, heard is not None), tasks, tick, heard
            )

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


class _RayTasks:
    """Tasks of one map on Ray, as `stratigraph.engine.loop.Workers`."""

    attempts = 5

    def __init__(
        self, engine: RayEngine, function: Callable[[Any], Any], total: int | None, heard: bool
    ) -> None:
        self._ray, self._options, self._workers = engine._ray, engine._options, engine.workers
        self._board, self._number = engine._the_board(), next(engine._maps)
        self._remote = self._ray.remote(run_one)
        self._function, self._total, self._heard = function, total, heard
        self._taken_back: set[Any] = set()
        self._asked: Any = None  # for the words of tasks; the answer is taken when it is there
        self._ahead = 0  # beyond those that run; none at first: Ray would start processes for these

    def room(self, suspects: bool) -> int:
        return self._workers + self._ahead

    def submit(self, index: int, task: Any, again: bool) -> Any:
        title = title_of(self._function, task, index, self._total)
        named = self._remote.options(name=title, **self._options)
        line = Line(self._board, self._number, index, self._heard)
        return named.remote(self._function, task, line, BUSY_SECONDS if again else 0.0)

    def wait(self, pending: Mapping[Any, Any]) -> Iterable[Any]:
        done, _ = self._ray.wait(list(pending), timeout=TICK_SECONDS)
        if done:
            self._ahead = self._workers  # so that none waits while an outcome is dealt with
        return done

    def take(self, handle: Any) -> tuple[Any, Failure | None] | Death:
        try:
            kind, value = self._ray.get(handle)
        except self._ray.exceptions.RayTaskError as error:  # of ours, not of the task's
            return None, raised(error)
        except self._ray.exceptions.RayError as error:
            return Death(str(error))
        return (value, None) if kind == "value" else (None, value)

    def renew(self) -> bool:
        return False

    def hear(self) -> Iterable[tuple[int, dict[str, Any]]]:
        self._asked = self._asked or self._board.heard.remote(self._number)
        if not self._ray.wait([self._asked], timeout=0)[0]:
            return ()
        heard, self._asked = self._ray.get(self._asked), None
        return heard.items()

    def stop(self, pending: Pending) -> None:
        self._board.put_up.remote(self._number, "stop")  # again, should it have been born anew
        # What waits for a place would wait on, and hear nothing. Who has begun is not among them:
        # a cancelled task is ended where it stands.
        began = self._ray.get(self._board.began.remote(self._number))
        for reference, (index, _) in pending.items():
            if index not in began and reference not in self._taken_back:
                self._taken_back.add(reference)
                self._ray.cancel(reference, force=False)

    def close(self, pending: Pending, whole: bool) -> None:
        self._board.put_up.remote(self._number, "over")
        if pending:  # of a map that was given up: whatever they hold is free once they are gone
            for reference in pending:
                self._ray.cancel(reference, force=True)
            self._ray.wait(list(pending), num_returns=len(pending), timeout=GONE_SECONDS)


@contextlib.contextmanager
def _without_its_log() -> Iterator[None]:
    """Within, what Ray's own code writes to standard error goes nowhere: errors are told by us."""
    try:
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # there is no standard error
        yield
        return
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _connect(address: str | None, workers: int | None) -> Any:
    # How often it looks for a cluster, once a second, where something else answers: it reads this
    # when it is loaded.
    os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", f"{CONNECT_SECONDS:.0f}")
    try:
        import ray
    except ImportError:
        raise ConfigError(
            "engine ray: Ray is not installed; `pip install 'stratigraph[ray]'`."
        ) from None
    if ray.is_initialized():
        return ray
    if address is not None:
        check_address(address)
    where: dict[str, Any] = {"address": address}
    if address is None:
        where = {"address": "local", "num_cpus": workers, "include_dashboard": False}
    before = os.environ.get("PYTHONPATH")
    if address is None:
        # The workers of this machine find what this process finds, the user's own modules included.
        os.environ["PYTHONPATH"] = os.pathsep.join(import_path())
    try:
        with contextlib.nullcontext() if address is None else _without_its_log():
            ray.init(
                **where,
                namespace="stratigraph",
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
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


def _count_room(ray: Any, cpus: float, gpus: float) -> int:
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
