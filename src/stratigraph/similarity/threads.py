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


class _Outer(threading.local):
    """What torch had in this thread before the outermost hold; 0 outside of all."""

    threads = 0


_outer = _Outer()


@contextmanager
def one_thread_each() -> Iterator[int]:
    """Hold BLAS, and torch in this thread and in new ones, to one thread; yields what torch had.

    The last to leave, of all threads of this process, gives BLAS its threads back; the last of this
    thread gives torch its own.
    """
    own, outer = torch.get_num_threads(), _outer.threads
    with _Holders.lock:
        if _Holders.count == 0:
            _Holders.torch_threads = own
            with _any_thread_may_limit():
                _Holders.blas = _libraries().limit(limits=1, user_api="blas")
        _Holders.count += 1
        # A thread that was started meanwhile has one from those who hold: it knows no better.
        before = outer or (own if own > 1 else _Holders.torch_threads)
    torch.set_num_threads(1)
    _outer.threads = before
    try:
        yield before
    finally:
        _outer.threads = outer
        torch.set_num_threads(1 if outer else before)
        with _Holders.lock:
            _Holders.count -= 1
            if _Holders.count == 0:
                with _any_thread_may_limit():
                    _Holders.blas.restore_original_limits()


@contextmanager
def _any_thread_may_limit() -> Iterator[None]:
    """From threadpoolctl 3.8 on, the first thread to limit OpenBLAS is the only one that can.

    Limits of others do nothing, without a word. Here a lock and a count see to it that they agree.
    """
    from threadpoolctl import OpenBLASController

    clear = getattr(OpenBLASController, "clear_controlling_thread", None)
    if clear is None:
        yield
        return
    clear(force=True)
    try:
        yield
    finally:
        clear(force=True)


@lru_cache(maxsize=1)
def _libraries() -> Any:
    """The BLAS of this process; to look for them takes milliseconds, so once."""
    import scipy.linalg  # noqa: F401  (its BLAS is another copy than numpy's)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
