"""Ours and the peers on the same arrays, in one process, every value checked against float64.

    python benchmarks/similarity.py [A] [B] [C] [growth] [streaming] [large] [--threads 1]

Jobs that are not named are not run; with none named, all are. Peers that are not installed are left
out by name. CPU seconds are the steadier figure on a shared machine; ``gemm`` is what a plain
float32 (or float64) product of this machine takes, in the same minute, for the plan's flops.

A  14 × 14 layers of two models, n = 5,000: exact CKA, and minibatch-unbiased at batch 250
B  14 × 14 layers, n = 1,000: Procrustes, exact and certified; a peer's total is extrapolated from
   timed pairs by the flops of its singular value decompositions, and says so
C  280 × 280 layers (20 snapshots of 14), n = 1,000: exact CKA
"""

from __future__ import annotations

import argparse
import importlib
import resource
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from stratigraph.engine import LocalEngine
from stratigraph.similarity.certified import certified_matrix
from stratigraph.similarity.cka import DEBIASED_CKA
from stratigraph.similarity.matrix import compare_stored, similarity_matrix
from stratigraph.similarity.measure import between
from stratigraph.similarity.procrustes import PROCRUSTES_SIMILARITY
from stratigraph.similarity.reduction import reduce_units
from stratigraph.similarity.streaming import stream_cka

WIDTHS = [4096, 8192, 2048, 1024, 1024, 256, 10, 10, 10, 256, 1024, 2048, 8192, 4096]
BATCH = 250


def model(n: int, seed: int, widths: list[int] = WIDTHS) -> dict[str, torch.Tensor]:
    """ReLU-like layers that share 64 causes and add noise of their own."""
    causes = torch.randn(n, 64, generator=torch.Generator().manual_seed(99))
    own = torch.Generator().manual_seed(seed)
    found = {}
    for index, p in enumerate(widths):
        signal = causes @ torch.randn(64, p, generator=own) / 8
        found[f"{seed}:{index}"] = torch.relu(signal + 0.3 * torch.randn(n, p, generator=own))
    return found


def peer(module: str) -> Any:
    """A peer's module, or None where it is not installed or does not import."""
    try:
        return importlib.import_module(module)
    except Exception as error:
        print(f"  {module}: left out ({type(error).__name__})")
        return None


def timed(name: str, run: Callable[[], Any], check: Callable[[Any], float] | None = None) -> Any:
    """Run, and print wall and CPU seconds, the process's new peak memory, and the error."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall, cpu = time.perf_counter(), time.process_time()
    value = run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu += now.ru_utime + now.ru_stime - children.ru_utime - children.ru_stime
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    error = "" if check is None else f"  error {check(value):.1e}"
    print(f"  {name:44s} {wall:8.2f} s wall {cpu:8.2f} s CPU {peak:+7.0f} MB{error}", flush=True)
    return value


def gemm(flops: float, dtype: torch.dtype = torch.float32) -> None:
    """What a plain product takes for as many flops."""
    size = 3072
    a = torch.randn(size, size, dtype=dtype)
    a @ a
    best = min(_cpu(lambda: a @ a) for _ in range(3))
    total = flops * best / (2 * size**3)
    print(f"  {'gemm ' + str(dtype)[6:] + f', {flops:.2g} flops':44s} {'':15s} {total:8.2f} s CPU")


def _cpu(run: Callable[[], Any]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def textbook(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> np.ndarray:
    """CKA by the authors' form: centred Gram matrices in the arrays' own float32."""

    def kernel(x: torch.Tensor) -> torch.Tensor:
        k = x @ x.T
        means = k.mean(0)
        return k - means[:, None] - means[None, :] + means.mean()

    ks, ls = [kernel(x) for x in a.values()], [kernel(y) for y in b.values()]
    norms = [[k.norm() for k in ks], [m.norm() for m in ls]]
    return np.array(
        [
            [float((k * m).sum() / (s * t)) for m, t in zip(ls, norms[1], strict=True)]
            for k, s in zip(ks, norms[0], strict=True)
        ]
    )


def against(measure: Any, a: dict, b: dict, chosen: list[int]) -> Callable[[Any], float]:
    """The largest error of some pairs, against the measure's own float64 form of those."""
    xs, ys = list(a.values()), list(b.values())
    left = {i: measure.prepare(xs[i]) for i in chosen}
    right = {j: measure.prepare(ys[j]) for j in chosen}
    truth = {(i, j): between(measure, left[i], right[j]) for i in chosen for j in chosen}
    return lambda values: max(abs(float(values[i, j]) - v) for (i, j), v in truth.items())


def job_a() -> None:
    """14 × 14 layers, n = 5,000."""
    n = 5000
    a, b = model(n, 0), model(n, 1)
    wide = list(a.values()), list(b.values())
    from stratigraph.similarity.catalog import MEASURES

    flops = 2 * sum(WIDTHS) * float(n) ** 2
    gemm(flops)
    for name in ("debiased_cka", "linear_cka"):
        check = against(MEASURES[name], a, b, [0, 3, 5, 6])
        run = partial(similarity_matrix, a, b, name)
        timed(f"ours, exact {name}", lambda go=run: go().to_numpy(), check)
    timed("textbook Gram form, float32", lambda: textbook(a, b), check)
    pytorch_cka = peer("cka")
    cuts = [slice(i, i + BATCH) for i in range(0, n, BATCH)]
    gemm(2 * flops * BATCH / n)
    debiased = against(DEBIASED_CKA, a, b, [0, 3, 5, 6])

    def ours() -> np.ndarray:
        batches = (({k: v[c] for k, v in a.items()}, {k: v[c] for k, v in b.items()}) for c in cuts)
        return stream_cka(batches).values

    for _ in range(2):
        timed("ours, minibatch 250, with intervals", ours, debiased)
    if pytorch_cka is not None:

        def theirs() -> np.ndarray:
            sums = [torch.zeros(14, 14), torch.zeros(14), torch.zeros(14)]
            for c in cuts:
                grams = [torch.stack([x[c] @ x[c].T for x in side]) for side in wide]
                for total, part in zip(sums, pytorch_cka.hsic(*grams), strict=True):
                    total += part
            return (sums[0] / torch.sqrt(torch.outer(sums[1], sums[2]))).numpy()

        for _ in range(2):
            timed("pytorch-cka, minibatch 250", theirs, debiased)
    cka_pytorch = peer("cka_pytorch.hsic")
    if cka_pytorch is not None:

        def theirs_too() -> np.ndarray:
            sums = [torch.zeros(196), torch.zeros(14), torch.zeros(14)]
            for c in cuts:
                grams = [[x[c] @ x[c].T for x in side] for side in wide]
                stacks = [torch.stack(g) for g in grams]
                sums[1] += cka_pytorch.hsic1(stacks[0], stacks[0])
                sums[2] += cka_pytorch.hsic1(stacks[1], stacks[1])
                for start in range(0, 196, 64):
                    pairs = range(start, min(start + 64, 196))
                    left = torch.stack([grams[0][i // 14] for i in pairs])
                    right = torch.stack([grams[1][i % 14] for i in pairs])
                    sums[0][start : start + 64] += cka_pytorch.hsic1(left, right)
            return (sums[0].reshape(14, 14) / torch.sqrt(torch.outer(sums[1], sums[2]))).numpy()

        timed("cka-pytorch, minibatch 250", theirs_too, debiased)


def job_b() -> None:
    """14 × 14 Procrustes, n = 1,000."""
    a, b = model(1000, 0), model(1000, 1)
    check = against(PROCRUSTES_SIMILARITY, a, b, [2, 3, 5, 6])
    exact = timed(
        "ours, exact", lambda: similarity_matrix(a, b, "procrustes_similarity").to_numpy(), check
    )
    for tolerance in (1e-1, 1e-2):
        timed(
            f"ours, certified to {tolerance}",
            lambda t=tolerance: certified_matrix(a, b, tolerance=t)["value"].to_numpy(),
            lambda values: float(np.abs(values - exact).max()),
        )
    xs, ys = list(a.values()), list(b.values())

    def svd(i: int, j: int) -> float:
        x, y = (v - v.mean(0) for v in (xs[i], ys[j]))
        x, y = x / x.norm(), y / y.norm()
        return float(torch.linalg.norm(x.T @ y, ord="nuc"))

    def weight(i: int, j: int) -> float:
        p, q = WIDTHS[i], WIDTHS[j]
        return float(min(p, q)) ** 2 * max(p, q)

    sample = [(2, 2), (2, 0), (3, 2), (3, 3), (5, 3)]
    seconds = [_cpu(lambda i=i, j=j: svd(i, j)) for i, j in sample]
    rate = sum(seconds) / sum(weight(i, j) for i, j in sample)
    total = rate * sum(weight(i, j) for i in range(14) for j in range(14))
    error = max(abs(svd(i, j) - exact[i, j]) for i, j in sample[3:])
    print(
        f"  {'anatome’s form (nuclear norm of XᵀY, float32)':44s} {'':15s} {total:8.0f} s CPU, "
        f"extrapolated from {len(sample)} pairs; error {error:.1e}"
    )


def job_c() -> None:
    """280 × 280, n = 1,000."""
    a: dict[str, torch.Tensor] = {}
    for seed in range(20):
        a |= model(1000, seed)
    check = against(DEBIASED_CKA, a, a, [0, 20, 150, 279])
    gemm(sum(v.shape[1] for v in a.values()) * 1e6 + 280**2 * 499_500.0)
    timed("ours, exact debiased_cka", lambda: similarity_matrix(a).to_numpy(), check)
    pytorch_cka = peer("cka")
    if pytorch_cka is not None:
        features = list(a.values())
        timed(
            "pytorch-cka, exact",
            lambda: pytorch_cka.cka_from_features(features, features).numpy(),
            check,
        )


def stored(folder: Path, count: int, n: int) -> list[Path]:
    """Files of reduced layers: some hundred that differ, under as many names as asked."""
    paths = []
    widths = [1500, 600, 256, 10]
    for index in range(min(count, 200)):
        layer = next(iter(model(n, index, [widths[index % 4]]).values()))
        paths.append(folder / f"{index}.npy")
        np.save(paths[-1], reduce_units(layer).coordinates)
    return [paths[index % len(paths)] for index in range(count)]


def growth() -> None:
    """Doubling K, p and n."""
    with tempfile.TemporaryDirectory() as name:
        for count in (150, 300, 600, 1200):
            paths = stored(Path(name), count, 500)
            engine = LocalEngine(1)
            run = partial(compare_stored, paths, engine=engine)
            timed(f"stored CKA, K = {count}, n = 500", run)
    for width in (1024, 2048, 4096, 8192):
        layer = next(iter(model(500, 0, [width]).values()))
        reduced = timed(f"reduce_units, n = 500, p = {width}", lambda x=layer: reduce_units(x))
        coordinates = torch.from_numpy(reduced.coordinates[:-1])
        other = DEBIASED_CKA.prepare(coordinates)
        seconds = _cpu(lambda p=other: [between(DEBIASED_CKA, p, p) for _ in range(20)])
        print(f"    one pair afterwards: {1e3 * seconds / 20:.2f} ms")


def streaming() -> None:
    """Linear in n, in constant memory; up to n = 500,000."""
    widths = [1024, 256, 10]
    for n in (62_500, 125_000, 250_000, 500_000):

        def batches(count: int = n) -> Any:
            for seed in range(count // BATCH):
                yield model_batch(seed, widths)

        found = timed(
            f"stream_cka, n = {n}, widths {widths}", lambda make=batches: stream_cka(make())
        )
        print(f"    widest interval ± {found.width:.1e}")

    def forever() -> Any:
        for seed in range(10_000):
            yield model_batch(seed, widths)

    found = timed("stream_cka until ± 0.01", lambda: stream_cka(forever(), precision=0.01))
    print(f"    read {found.probes} probes; widest interval ± {found.width:.4f}")


def model_batch(seed: int, widths: list[int]) -> dict[str, torch.Tensor]:
    """A batch of fresh probes through fixed layers."""
    causes = torch.randn(BATCH, 64, generator=torch.Generator().manual_seed(seed))
    fixed = torch.Generator().manual_seed(1)
    return {str(p): torch.relu(causes @ torch.randn(64, p, generator=fixed) / 8) for p in widths}


def large(count: int = 1024) -> None:
    """All pairs of many prepared representations, n = 1,000, out of core."""
    with tempfile.TemporaryDirectory() as name:
        paths = stored(Path(name), count, 1000)
        started = time.perf_counter()
        timed(
            f"stored CKA, K = {count}, n = 1,000, out of core",
            lambda: compare_stored(paths, engine=LocalEngine(1), memory=1 << 28),
        )
        seconds = time.perf_counter() - started
        print(f"    {count**2 / 2 / seconds:.0f} pairs a second, preparation included")


JOBS = {
    "A": job_a, "B": job_b, "C": job_c, "growth": growth, "streaming": streaming, "large": large,
}  # fmt: skip


def main() -> None:
    """Run the jobs named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("jobs", nargs="*", choices=[*JOBS, []], default=[])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    threadpool_limits(options.threads)
    print(f"torch {torch.__version__}, {options.threads} thread(s)")
    for name in options.jobs or JOBS:
        print(f"{name}: {JOBS[name].__doc__}")
        JOBS[name]()


if __name__ == "__main__":
    main()
