"""Tiles over a pool of threads, BLAS held to one thread within each.

BLAS and LAPACK let go of Python's lock, so tiles of fixed size over a pool keep all cores busy, and
no bit depends on how many cores there are. Pools of BLAS's own, of OpenMP and of torch wait for
each other by spinning: a comparison of seven layers took twenty times as long.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeAlias

import torch

from stratigraph.machine import count_cores

__all__ = ["Each", "one_thread_each", "spread_over_threads"]

Each: TypeAlias = Callable[..., Iterable[Any]]  # as `map`: values in the order of the tasks


@contextmanager
def spread_over_threads(threads: int | None = None) -> Iterator[tuple[Each, int]]:
    """A `map` over a pool of threads, BLAS held to one within; and how many threads there are.

    Args:
        threads: of the pool; None takes as many as torch may (``OMP_NUM_THREADS`` and
            ``torch.set_num_threads`` say), and no more than this process has cores.

    """
    with one_thread_each() as before:
        count = min(before, count_cores()) if threads is None else threads
        if count == 1:
            yield map, 1
            return
        with ThreadPoolExecutor(count, thread_name_prefix="stratigraph") as pool:
            yield pool.map, count


class _Holders:
    """How many hold libraries to one thread now, and what there was before the first of them."""

    lock = threading.Lock()
    count = 0
    torch_threads = 1
    blas: Any = None
    here = threading.local()  # how many of them are in this thread


@contextmanager
def one_thread_each() -> Iterator[int]:
    """Hold BLAS, and torch in this thread and in new ones, to one thread; yields what torch had.

    The last to leave, of all threads of this process, gives BLAS its threads back; the last of this
    thread gives torch its own.
    """
    with _Holders.lock:
        if _Holders.count == 0:
            _Holders.torch_threads = torch.get_num_threads()
            _Holders.blas = _libraries().limit(limits=1, user_api="blas")
        _Holders.count += 1
        before = _Holders.torch_threads
    depth = getattr(_Holders.here, "depth", 0)
    _Holders.here.depth = depth + 1
    torch.set_num_threads(1)
    try:
        yield before
    finally:
        _Holders.here.depth = depth
        if depth == 0:
            torch.set_num_threads(before)
        with _Holders.lock:
            _Holders.count -= 1
            if _Holders.count == 0:
                _Holders.blas.restore_original_limits()


@lru_cache(maxsize=1)
def _libraries() -> Any:
    """The BLAS of this process; to look for them takes milliseconds, so once."""
    import scipy.linalg  # noqa: F401  (its BLAS is another copy than numpy's)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
