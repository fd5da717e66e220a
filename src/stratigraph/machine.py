"""What this machine has: memory, and cores; and libraries held to one thread of them each."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, ClassVar

__all__ = ["count_cores", "one_thread_each", "physical_memory"]


def physical_memory() -> int | None:
    """Bytes of this machine's memory; None where it does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def count_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Holders:
    """How many hold libraries to one thread now, and what there was before the first of them."""

    lock = threading.Lock()
    count = 0
    torch_threads = 1
    limits: ClassVar[dict[bool, Any]] = {}  # of BLAS, in order: without scipy's, with it


class _Outer(threading.local):
    """What torch had in this thread before the outermost hold; 0 outside of all."""

    threads = 0


_outer = _Outer()


def _forget() -> None:
    """In a forked child: who held in the parent is not here, and may have held the lock."""
    _Holders.lock, _Holders.count, _outer.threads = threading.Lock(), 0, 0
    _Holders.limits.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def one_thread_each() -> Iterator[int]:
    """Hold BLAS, and torch in this thread and in new ones, to one thread; yields what torch had.

    The last to leave, of all threads of this process, gives BLAS its threads back; the last of this
    thread gives torch its own.
    """
    import torch

    own, outer = torch.get_num_threads(), _outer.threads
    with _Holders.lock:
        if _Holders.count == 0:
            _Holders.torch_threads = own
        with_scipy = "scipy.linalg" in sys.modules  # it may come while others hold
        if with_scipy not in _Holders.limits:
            with _any_thread_may_limit():
                libraries = _find_libraries(with_scipy)
                _Holders.limits[with_scipy] = libraries.limit(limits=1, user_api="blas")
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
            while _Holders.count == 0 and _Holders.limits:
                with _any_thread_may_limit():
                    _Holders.limits.popitem()[1].restore_original_limits()


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


@lru_cache(maxsize=2)
def _find_libraries(with_scipy: bool) -> Any:
    """The BLAS of this process; to look for them takes milliseconds, so once, and with scipy's."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
