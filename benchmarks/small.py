"""What a call costs where there is little to compute: two layers of 100 × 50, and 1,000 pairs.

Run as ``python benchmarks/similarity.py small``. Each figure is the quickest of several rounds, in
milliseconds a call, after two calls that are not counted; errors are against our float64 form of
the measure that is named.
"""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

import peers
import stratigraph as sg
from peers import Layers
from stratigraph.pairs.matrix import similarity_matrix
from stratigraph.similarity.catalog import MEASURES
from stratigraph.similarity.cka import debiased_cka, linear_cka
from stratigraph.similarity.measure import between
from stratigraph.similarity.procrustes import procrustes_similarity

PROBES, UNITS = 100, 50
ROWS, COLUMNS = 20, 50  # of the 1,000 pairs
PERMUTATIONS = 200
ROUNDS = 5
SLOW = ("torch_cka", "repsim", "rsatoolbox")  # called once a round

Found = list[dict[str, Any]]


def small() -> Found:
    """Two layers, then 20 × 50, in ours and in each peer; and a permutation null of two."""
    layers = _layers(ROWS + COLUMNS)
    found: Found = []
    for xs, ys in ((layers[:1], layers[-1:]), (layers[:ROWS], layers[ROWS:])):
        print(f"    {len(xs)} × {len(ys)}")
        found += _ours(xs, ys) + _theirs(xs, ys)
    return found + _nulls(layers[0], layers[-1])


def _layers(count: int) -> Layers:
    """ReLU-like layers that share causes."""
    generator = torch.Generator().manual_seed(0)
    causes = torch.randn(PROBES, 20, generator=generator)
    found = []
    for _ in range(count):
        signal = causes @ torch.randn(20, UNITS, generator=generator) / 4
        found.append(torch.relu(signal + torch.randn(PROBES, UNITS, generator=generator) / 2))
    return found


def _exact(name: str, xs: Layers, ys: Layers) -> np.ndarray:
    measure = MEASURES[name]
    left, right = ([measure.prepare(one.double()) for one in side] for side in (xs, ys))
    return np.array([[between(measure, a, b) for b in right] for a in left])


def _ours(xs: Layers, ys: Layers) -> Found:
    sides = [{f"{i}": one for i, one in enumerate(side)} for side in (xs, ys)]
    found = []
    for score in (debiased_cka, linear_cka, procrustes_similarity):
        truth = _exact(score.__name__, xs, ys)

        def each(call: Callable[..., float] = score) -> np.ndarray:
            return np.array([[call(x, y) for y in ys] for x in xs])

        def matrix(name: str = score.__name__) -> np.ndarray:
            return similarity_matrix(*sides, name).to_numpy()

        found += [
            _timed(f"ours, {score.__name__}(x, y)", each, truth, 100 // len(ys)),
            _timed(f"ours, similarity_matrix, {score.__name__}", matrix, truth, 100 // len(ys)),
        ]
    return found


def _theirs(xs: Layers, ys: Layers) -> Found:
    k, whole = len(xs), [slice(0, PROBES)]
    calls = {  # module → file of it, measure, scores
        "cka": (None, "debiased_cka", lambda peer: peer.cka_from_features(xs, ys).numpy()),
        "cka_pytorch": (
            "hsic.py",
            "debiased_cka",
            lambda peer: peers.cka_pytorch(peer, xs, ys, whole),
        ),
        "torch_cka": (None, "debiased_cka", lambda peer: peers.torch_cka(peer, xs, ys, whole)),
        "repsim": (None, "linear_cka", lambda peer: peers.repsim(peer, [*xs, *ys])[:k, k:]),
        "rsatoolbox": (None, "linear_cka", lambda peer: peers.rsatoolbox(peer, [*xs, *ys])[:k, k:]),
    }
    found = []
    for name, (file, measure, scores) in calls.items():
        if (peer := peers.module(name, file)) is not None:
            truth, count = _exact(measure, xs, ys), 1 if name in SLOW else 100 // len(ys)
            found.append(_timed(f"{name}, {measure}", partial(scores, peer), truth, count))
    return found


def _nulls(x: Tensor, y: Tensor) -> Found:
    print(f"    p-values from {PERMUTATIONS} permutations")

    def p_value(a: Tensor, b: Tensor) -> float:
        return float(sg.calibrate(a, b, null=PERMUTATIONS)["p"])

    truth = p_value(x.double(), y.double())
    found = [_timed("ours, calibrate", lambda: p_value(x, y), truth, 1)]
    if (peer := peers.module("calibrated_similarity")) is not None:
        call = partial(peers.calibrated_similarity, peer, x, y, PERMUTATIONS)
        found.append(_timed("calibrated_similarity", call, truth, 1))
    return found


def _timed(name: str, call: Callable[[], Any], truth: Any, calls: int) -> dict[str, Any]:
    best = {"wall": float("inf"), "cpu": float("inf")}
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a peer's bars and words are not its arithmetic
        value = call()
        call()
        for _ in range(ROUNDS):
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(calls):
                call()
            spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
            best = {clock: min(best[clock], spent[clock] / calls) for clock in best}
    error = float(np.max(np.abs(np.asarray(value, float) - truth)))
    times = " ".join(f"{1e3 * seconds:9.3f} ms {clock}" for clock, seconds in best.items())
    print(f"  {name:50s} {times}  error {error:.1e}", flush=True)
    return {"name": f"small: {name}", **best}
