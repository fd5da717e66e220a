"""What BLAS alone takes, ten lines of numpy, and ours, on the same arrays in turn: ratios to BLAS.

Run as ``python benchmarks/similarity.py floor A C``. Each figure is the least of the rounds, user
and system time together; all run under the threads that the benchmark was told.
"""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.linalg import blas

from stratigraph.pairs.matrix import similarity_matrix

__all__ = ["floor_of_batch", "floor_of_cka", "floor_of_products", "in_turn"]


def in_turn(calls: dict[str, Callable[[], Any]], rounds: int) -> list[dict[str, Any]]:
    """Time calls one after another, several times; print and return each one's least."""
    least: dict[str, list[float]] = {name: [np.inf, np.inf] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            before = resource.getrusage(resource.RUSAGE_SELF)
            wall = time.perf_counter()
            call()
            wall = time.perf_counter() - wall
            after = resource.getrusage(resource.RUSAGE_SELF)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            least[name] = [min(least[name][0], cpu), min(least[name][1], wall)]
    floor = next(iter(least.values()))
    for name, (cpu, wall) in least.items():
        print(
            f"  {name:44s} {cpu:8.3f} s CPU {cpu / floor[0]:6.2f} {wall:8.3f} s wall "
            f"{wall / floor[1]:6.2f}",
            flush=True,
        )
    return [{"name": name, "cpu": cpu, "wall": wall} for name, (cpu, wall) in least.items()]


def floor_of_cka(layers: dict[str, torch.Tensor], rounds: int) -> list[dict[str, Any]]:
    """All pairs within one set, by one symmetric product a layer and by ours."""
    arrays = [x.numpy() for x in layers.values()]

    def products() -> None:
        for x in arrays:
            blas.ssyrk(1.0, x.T, trans=1)

    def ten_lines() -> np.ndarray:
        rows = []
        for x in arrays:
            centred = x - x.mean(0)
            kernel = centred @ centred.T
            rows.append((kernel / np.linalg.norm(kernel)).ravel())
        stacked = np.stack(rows)
        return stacked @ stacked.T

    return in_turn(
        {
            "one ssyrk a layer": products,
            "ten lines of numpy": ten_lines,
            "ours, debiased_cka": lambda: similarity_matrix(layers),
            "ours, linear_cka": lambda: similarity_matrix(layers, None, "linear_cka"),
        },
        rounds,
    )


def floor_of_products(
    a: dict[str, torch.Tensor], b: dict[str, torch.Tensor] | None, rounds: int
) -> list[dict[str, Any]]:
    """The products that all pairs cannot do without: XXᵀ of each layer, and rows with rows."""
    arrays = [x.numpy() for x in [*a.values(), *(b or {}).values()]]
    n, columns = len(arrays[0]), 8192
    left, right = (np.ones((len(side), columns), np.float32) for side in (a, b or a))

    def products() -> None:
        for x in arrays:
            blas.ssyrk(1.0, x.T, trans=1)
        for _ in range(math.ceil(n * (n - 1) / 2 / columns)):
            left @ (left if b is None else right).T

    return in_turn(
        {
            "its products: one ssyrk a layer, rows × rows": products,
            "ours, debiased_cka": lambda: similarity_matrix(a, b),
            "ours, linear_cka": lambda: similarity_matrix(a, b, "linear_cka"),
        },
        rounds,
    )


def floor_of_batch(rounds: int) -> list[dict[str, Any]]:
    """The whole product of a batch of 250 probes, which peers take, and half of it by symmetry."""
    x = np.random.default_rng(0).standard_normal((250, 8192), dtype=np.float32)
    y = x.copy()
    return in_turn(
        {"whole product, 250 × 8,192": lambda: x @ y.T, "half, by ssyrk": lambda: x @ x.T}, rounds
    )
