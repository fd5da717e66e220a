"""Procrustes similarity against its floor, on one thread, all in one process.

    python benchmarks/procrustes.py [six] [fourteen] [vae] [parts]

The floor is one float32 symmetric product XXᵀ a layer, and the eigenvalues of one float64 symmetric
matrix of the smallest side a pair, by numpy; nothing less gives a nuclear norm through LAPACK. Ours
is the exact score from activations to matrix, and certified to 0.1, 0.01 and 0.001. CPU seconds,
the best of some repeats that take turns; the error is the largest of some pairs against numpy's
float64 singular values of R_xR_yᵀ, the R of a QR of Xᵀ standing for X where units outnumber probes.

six       6 layers of n = 400 with each other, and 6 × 6 of two models
fourteen  14 × 14 layers of two models, n = 1,000
vae       layers of two VAEs trained here on sprites (`similarity.trained`), n = 1,000
parts     what one pair of full rank spends where, n = 400 and 1,000
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.linalg import lapack
from threadpoolctl import threadpool_limits

from floor import in_turn
from similarity import WIDTHS, model, trained
from stratigraph.pairs.matrix import similarity_matrix

MEASURE = "procrustes_similarity"


def floor(xs: list[np.ndarray], ys: list[np.ndarray] | None) -> None:
    """What no way through LAPACK does without."""
    for x in [*xs, *(ys or [])]:
        x @ x.T
    n = len(xs[0])
    whole = np.random.default_rng(0).normal(size=(n, 2 * n))
    whole = whole @ whole.T
    for i, x in enumerate(xs):
        for y in xs[i + 1 :] if ys is None else ys:
            side = min(n, x.shape[1], y.shape[1])
            np.linalg.eigvalsh(whole[:side, :side])


def compare(title: str, a: dict, b: dict | None, repeats: int) -> None:
    """Ours against the floor, and the error."""
    xs, ys = [v.numpy() for v in a.values()], [v.numpy() for v in b.values()] if b else None
    runs: dict[str, Callable[[], Any]] = {
        "floor": partial(floor, xs, ys),
        "exact": partial(similarity_matrix, a, b, MEASURE),
    }
    for tolerance in (1e-1, 1e-2, 1e-3):
        runs[f"to {tolerance:g}"] = partial(similarity_matrix, a, b, MEASURE, tolerance=tolerance)
    print(title)
    in_turn(runs, repeats)
    print(
        f"  error {error(similarity_matrix(a, b, MEASURE).to_numpy(), xs, ys or xs):.1e}",
        flush=True,
    )


def error(scores: np.ndarray, xs: list[np.ndarray], ys: list[np.ndarray]) -> float:
    """Against float64 singular values, of three pairs in every row."""
    factors = [[_factor(x) for x in side] for side in (xs, ys)]
    return max(
        abs(scores[i, j] - np.linalg.svd(factors[0][i].T @ factors[1][j], compute_uv=False).sum())
        for i in range(len(xs))
        for j in range(len(ys))
        if (j - i) % len(ys) in (0, 1, 2)
    )


def _factor(x: np.ndarray) -> np.ndarray:
    centred = x.astype(np.float64) - x.mean(0, dtype=np.float64)
    if x.shape[1] > len(x):  # the R of its QR has the same inner products, and does not square
        centred = np.linalg.qr(centred.T, mode="r").T
    return centred / np.linalg.norm(centred)


def six() -> None:
    """6 layers with each other, and 6 × 6."""
    for widths in ([1024] * 6, WIDTHS[:6]):
        a, b = model(400, 0, widths), model(400, 1, widths)
        compare(f"n = 400, widths {widths}, with each other", a, None, 5)
        compare(f"n = 400, widths {widths}, two models", a, b, 5)


def fourteen() -> None:
    """14 × 14."""
    compare("n = 1,000, 14 × 14", model(1000, 0), model(1000, 1), 1)


def vae() -> None:
    """Two trained VAEs."""
    compare("n = 1,000, trained VAEs, 15 × 15", trained(600, 0), trained(600, 1), 1)


def parts() -> None:
    """One pair of full rank, step by step."""
    for n in (400, 1000):
        rows = np.random.default_rng(0).normal(size=(n, 2 * n))
        kernel = np.asfortranarray(rows @ rows.T / (2 * n))
        lower = np.asfortranarray(np.linalg.cholesky(kernel))
        _, diagonal, beside, *_ = lapack.dsytrd(kernel, lower=1, lwork=32 * n)
        single = np.asarray(kernel, np.float32)
        steps = {
            "FᵀLF": partial(lapack.dsygst, kernel, lower, itype=2, lower=1),
            "tridiagonal": partial(lapack.dsytrd, kernel, lower=1, lwork=32 * n),
            "its eigenvalues": partial(lapack.dsterf, diagonal, beside),
            "the floor's eigenvalues": partial(np.linalg.eigvalsh, kernel),
            "two float32 products, a Newton–Schulz step": partial(newton_schulz, single),
            "float32 singular values": partial(np.linalg.svd, single, compute_uv=False),
        }
        print(f"n = {n}, and what is a multiple of the first")
        in_turn(steps, 3)


def newton_schulz(x: np.ndarray) -> np.ndarray:
    """What one step towards the polar factor costs."""
    return (x @ x.T) @ x


JOBS = {"six": six, "fourteen": fourteen, "vae": vae, "parts": parts}


def main() -> None:
    """Run the jobs named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("jobs", nargs="*", choices=[*JOBS, []], default=[])
    names = parser.parse_args().jobs
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for name in names or JOBS:
            JOBS[name]()


if __name__ == "__main__":
    main()
