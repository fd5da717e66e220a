"""Tiles over a pool of threads, BLAS held to one thread within each.

BLAS and LAPACK let go of Python's lock, so tiles of fixed size over a pool keep all cores busy, and
no bit depends on how many cores there are. Pools of BLAS's own, of OpenMP and of torch wait for
each other by spinning: a comparison of seven layers took twenty times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeAlias

from stratigraph.machine import count_cores, one_thread_each

__all__ = ["Each", "spread_over_threads"]

Each: TypeAlias = Callable[..., Iterable[Any]]  # as `map`: values in the order of the tasks


@contextmanager
def spread_over_threads(threads: int | None = None) -> Iterator[tuple[Each, int]]:
    """A `map` over a pool of threads, BLAS held to one within; and how many threads there are.

    Args:
        threads: of the pool; None takes as many as torch may (``OMP_NUM_THREADS`` and
            ``torch.set_num_threads`` say), and no more than this process has cores.

    """
    import scipy.linalg  # noqa: F401  (whose BLAS, another copy than numpy's, is then held too)

    with one_thread_each() as before:
        count = min(before, count_cores()) if threads is None else threads
        if count == 1:
            yield map, 1
            return
        with ThreadPoolExecutor(count, thread_name_prefix="stratigraph") as pool:
            yield pool.map, count
