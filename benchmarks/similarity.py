"""Ours and the peers on the same arrays, in one process, every value checked against float64.

    python benchmarks/similarity.py [floor] [batch] [A] [B] [B5] [C] [vae] [growth] [streaming]
                                    [large] [small] [--threads 1] [--json FILE]

Jobs that are not named are not run; with none named, all are. Peers that are not installed are left
out by name. CPU seconds are the steadier figure on a shared machine; ``gemm`` is what a plain
float32 product of this machine takes, in the same minute, for the plan's flops.

floor
     60 layers of up to 4,096 units, n = 1,000: ours as a multiple of one symmetric product a layer
batch
     the products of one minibatch, whole and by symmetry
A    14 × 14 layers of two models, n = 5,000: exact CKA, and minibatch-unbiased at batch 250
B    14 × 14 layers, n = 1,000: Procrustes, exact and certified; a peer's total is extrapolated from
     timed pairs by the flops of its singular value decompositions, and says so
B5   B at n = 5,000, exact
C    280 × 280 layers (20 snapshots of 14), n = 1,000: exact CKA; slow peers on the first 28
small
     two layers of 100 × 50, and 1,000 pairs of those: what a call costs (`small`)
vae  layers of two VAEs trained here on sprites: Procrustes, exact and certified; CKA
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

import peers
from floor import floor_of_batch, floor_of_cka, floor_of_products
from small import small
from stratigraph.activations import read_network
from stratigraph.data import draw_probes
from stratigraph.engine import LocalEngine
from stratigraph.pairs.matrix import similarity_matrix
from stratigraph.pairs.stored import compare_stored
from stratigraph.similarity.cka import DEBIASED_CKA, LINEAR_CKA
from stratigraph.similarity.measure import between
from stratigraph.similarity.procrustes import PROCRUSTES_SIMILARITY
from stratigraph.similarity.reduction import reduce_units
from stratigraph.similarity.streaming import stream_cka
from stratigraph.training import RunConfig, initial_state, split_of, training_states

WIDTHS = [4096, 8192, 2048, 1024, 1024, 256, 10, 10, 10, 256, 1024, 2048, 8192, 4096]
BATCH = 250
RESULTS: list[dict[str, Any]] = []


def model(n: int, seed: int, widths: list[int] = WIDTHS) -> dict[str, torch.Tensor]:
    """ReLU-like layers that share 64 causes and add noise of their own."""
    causes = torch.randn(n, 64, generator=torch.Generator().manual_seed(99))
    own = torch.Generator().manual_seed(seed)
    found = {}
    for index, p in enumerate(widths):
        signal = causes @ torch.randn(64, p, generator=own) / 8
        found[f"{seed}:{index}"] = torch.relu(signal + 0.3 * torch.randn(n, p, generator=own))
    return found


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
    RESULTS.append({"name": name, "wall": wall, "cpu": cpu})
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


USERS = [4096, 4096, 2048, 1024, 1024, 256, 10, 10, 10, 256, 1024, 2048, 4096, 4096, 512]


def job_floor() -> None:
    """60 layers of up to 4,096 units, n = 1,000: what most people have."""
    layers: dict[str, torch.Tensor] = {}
    for seed in range(4):
        layers |= model(1000, seed, USERS)
    check = against(DEBIASED_CKA, layers, layers, [0, 5, 6, 59])
    print(f"  error {check(similarity_matrix(layers).to_numpy()):.1e}")
    RESULTS.extend(floor_of_cka(layers, 5))


def job_batch() -> None:
    """The products of one minibatch."""
    RESULTS.extend(floor_of_batch(50))


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
    RESULTS.extend(floor_of_products(a, b, 3))
    timed("textbook Gram form, float32", lambda: textbook(a, b), check)
    cuts = [slice(i, i + BATCH) for i in range(0, n, BATCH)]
    gemm(2 * flops * BATCH / n)
    debiased = against(DEBIASED_CKA, a, b, [0, 3, 5, 6])

    def ours(size: int) -> np.ndarray:
        parts = [slice(i, i + size) for i in range(0, n, size)]
        return stream_cka(
            ({k: v[c] for k, v in a.items()}, {k: v[c] for k, v in b.items()}) for c in parts
        ).values

    for size in (BATCH, BATCH, BATCH // 2):
        timed(f"ours, minibatch {size}, with intervals", partial(ours, size), debiased)
    for name, file, scores in (
        ("cka", None, peers.pytorch_cka),
        ("cka_pytorch", "hsic.py", peers.cka_pytorch),
        ("torch_cka", None, peers.torch_cka),
    ):
        theirs = peers.module(name, file)
        if theirs is not None:
            run = partial(scores, theirs, *wide, cuts)
            for _ in range(1 if name == "torch_cka" else 2):
                timed(f"{scores.__name__}, minibatch {BATCH}", run, debiased)


def job_b() -> None:
    """14 × 14 Procrustes, n = 1,000."""
    a, b = model(1000, 0), model(1000, 1)
    check = against(PROCRUSTES_SIMILARITY, a, b, [2, 3, 5, 6])
    exact = certified(a, b, check)
    xs, ys = list(a.values()), list(b.values())

    def svd(i: int, j: int) -> float:
        x, y = (v - v.mean(0) for v in (xs[i], ys[j]))
        x, y = x / x.norm(), y / y.norm()
        return float(torch.linalg.norm(x.T @ y, ord="nuc"))

    def weight(i: int, j: int) -> float:
        p, q = WIDTHS[i], WIDTHS[j]
        return float(min(p, q)) ** 2 * max(p, q)

    sample = [(0, 0), (2, 2), (2, 0), (3, 2), (3, 3), (5, 3)]
    seconds = [_cpu(lambda i=i, j=j: svd(i, j)) for i, j in sample]
    rate = sum(seconds) / sum(weight(i, j) for i, j in sample)
    total = rate * sum(weight(i, j) for i in range(14) for j in range(14))
    error = max(abs(svd(i, j) - exact[i, j]) for i, j in sample[4:])
    print(
        f"  {'anatome’s form (nuclear norm of XᵀY, float32)':44s} {'':15s} {total:8.0f} s CPU, "
        f"extrapolated from {len(sample)} pairs; error {error:.1e}"
    )


def certified(a: dict, b: dict, check: Callable[[Any], float]) -> np.ndarray:
    """Procrustes exactly, then within tolerances, with the error against the exact values."""
    measure = PROCRUSTES_SIMILARITY.name
    exact = timed(
        f"ours, exact {measure}", lambda: similarity_matrix(a, b, measure).to_numpy(), check
    )
    for tolerance in (1e-1, 1e-2, 1e-3):
        timed(
            f"ours, certified to {tolerance}",
            lambda t=tolerance: similarity_matrix(a, b, measure, tolerance=t).to_numpy(),
            lambda values: float(np.nanmax(np.abs(values - exact))),
        )
    return exact


def job_b5() -> None:
    """14 × 14 Procrustes, n = 5,000."""
    a, b = model(5000, 0), model(5000, 1)
    timed("ours, exact", lambda: similarity_matrix(a, b, "procrustes_similarity").to_numpy())


def vae() -> None:
    """Every layer of two VAEs (64 × 64 sprites, 600 steps, two seeds), 1,000 held-out probes."""
    a, b = trained(600, 0), trained(600, 1)
    print("   ", ", ".join(f"{name} {v.shape[1]}" for name, v in a.items()))
    check = against(PROCRUSTES_SIMILARITY, a, b, [3, 5, 6])
    certified(a, b, check)
    check = against(DEBIASED_CKA, a, b, [3, 5, 6])
    timed("ours, exact debiased_cka", lambda: similarity_matrix(a, b).to_numpy(), check)


def trained(steps: int, seed: int) -> dict[str, torch.Tensor]:
    """What the layers of one trained VAE hold on the probes."""
    run = RunConfig(
        data={"name": "sprites", "size": 64},
        objective={"name": "beta_vae", "beta": 4},
        steps=steps,
        seed=seed,
    )
    dataset = run.dataset()
    dataset.prepare()
    state = deque(training_states(run, dataset, initial_state(run, dataset)), maxlen=1)[0]
    probes = draw_probes(dataset, split_of(run, dataset), 1000)
    noise = torch.zeros(1000, run.latents)
    read = read_network(state.model, dataset.tensor(probes), noise)
    return {name: torch.from_numpy(value).flatten(1) for name, value in read}


def job_c() -> None:
    """280 × 280, n = 1,000."""
    a: dict[str, torch.Tensor] = {}
    for seed in range(20):
        a |= model(1000, seed)
    check = against(DEBIASED_CKA, a, a, [0, 20, 150, 279])
    gemm(sum(v.shape[1] for v in a.values()) * 1e6 + 280**2 * 499_500.0)
    timed("ours, exact debiased_cka", lambda: similarity_matrix(a).to_numpy(), check)
    RESULTS.extend(floor_of_products(a, None, 3))
    features = list(a.values())
    theirs = peers.module("cka")
    if theirs is not None:
        timed(
            "pytorch-cka, exact",
            lambda: theirs.cka_from_features(features, features).numpy(),
            check,
        )
    few = dict(list(a.items())[:28])
    check = against(LINEAR_CKA, few, few, [0, 3, 5, 20])
    print("    the first 28 of them")
    timed(
        "ours, linear_cka of 28",
        lambda: similarity_matrix(few, None, "linear_cka"),
        lambda v: check(v.to_numpy()),
    )
    for name, scores in (("rsatoolbox", peers.rsatoolbox), ("repsim", peers.repsim)):
        found = peers.module(name)
        if found is not None:
            timed(f"{name}, linear CKA of 28", partial(scores, found, features[:28]), check)


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
            run = partial(compare_stored, paths, engine=LocalEngine(1))
            timed(f"stored CKA, K = {count}", run)
    for width in (1024, 2048, 4096, 8192):
        layer = next(iter(model(500, 0, [width]).values()))
        reduced = timed(f"reduce_units, p = {width}", lambda x=layer: reduce_units(x))
        coordinates = torch.from_numpy(reduced.coordinates[:-1])
        other = DEBIASED_CKA.prepare(coordinates)
        seconds = _cpu(lambda p=other: [between(DEBIASED_CKA, p, p) for _ in range(20)])
        RESULTS.append({"name": f"pair, p = {width}", "cpu": seconds / 20})
        print(f"    one pair afterwards: {1e3 * seconds / 20:.2f} ms")


def streaming() -> None:
    """Linear in n, in constant memory; up to n = 500,000."""
    widths = [1024, 256, 10]
    for n in (62_500, 125_000, 250_000, 500_000):

        def batches(count: int = n) -> Any:
            for seed in range(count // BATCH):
                yield model_batch(seed, widths)

        found = timed(f"stream_cka, n = {n}", lambda make=batches: stream_cka(make()))
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


def job_small() -> None:
    """Two layers of 100 × 50, and 1,000 pairs of those."""
    RESULTS.extend(small())


JOBS = {
    "floor": job_floor, "batch": job_batch, "A": job_a, "B": job_b, "B5": job_b5, "C": job_c,
    "vae": vae, "growth": growth, "streaming": streaming, "large": large, "small": job_small,
}  # fmt: skip


def main() -> None:
    """Run the jobs named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("jobs", nargs="*", choices=[*JOBS, []], default=[])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write what was timed to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    threadpool_limits(options.threads)
    print(f"torch {torch.__version__}, {options.threads} thread(s)")
    for name in options.jobs or JOBS:
        print(f"{name}: {JOBS[name].__doc__}")
        JOBS[name]()
    if options.json:
        options.json.write_text(json.dumps(RESULTS, indent=1) + "\n")


if __name__ == "__main__":
    main()
