"""Peak memory of `sg.compare` on two ViT-B shaped networks, from 1,000 to 20,000 inputs.

Each size runs in a process of its own, whose peak resident memory is printed. Inputs are made batch
by batch, so that what grows could only be ours. ViT-B has 12 blocks of width 768 and 197 tokens of
16 × 16 pixels; a pass of 20,000 inputs through two of them takes hours on two cores, so the default
is 4 blocks and 5 tokens of the same width; ``--blocks 12 --tokens 3`` has all pairs of blocks, in
minutes, and ``--blocks 12 --tokens 197`` is the whole of it.

    OMP_NUM_THREADS=1 python benchmarks/own_model.py [--blocks B] [--tokens T] [--sizes N …]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import torch
from torch import Tensor, nn

import stratigraph as sg

WIDTH, HEADS, PATCH = 768, 12, 3 * 16 * 16
BATCH = 100


class ViT(nn.Module):
    """Patches in, tokens of width 768 through blocks of attention, a class token out."""

    def __init__(self, blocks: int, tokens: int, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embed = nn.Linear(PATCH, WIDTH)
        self.first = nn.Parameter(torch.randn(1, 1, WIDTH) / 50)
        self.place = nn.Parameter(torch.randn(1, tokens, WIDTH) / 50)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                WIDTH, HEADS, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(blocks)
        )
        self.head = nn.Linear(WIDTH, 1000)

    def forward(self, patches: Tensor) -> Tensor:
        x = self.embed(patches)
        x = torch.cat([self.first.expand(len(x), -1, -1), x], 1) + self.place
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0])


def batches(n: int, tokens: int):
    generator = torch.Generator().manual_seed(0)
    for start in range(0, n, BATCH):
        yield torch.randn(min(BATCH, n - start), tokens - 1, PATCH, generator=generator)


def measure(n: int, blocks: int, tokens: int) -> dict[str, object]:
    a, b = ViT(blocks, tokens, 0), ViT(blocks, tokens, 1)
    began = time.perf_counter()
    found = sg.compare(a, b, batches(n, tokens), layers=["blocks.*"], reduce="tokens")
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "n": n,
        "peak_mb": round(peak),
        "seconds": round(seconds, 1),
        "mean": round(float(found.mean()), 4),
        "plan": found.attrs["plan"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 5000, 20_000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.blocks, given.tokens)))
        return
    shape = ["--blocks", str(given.blocks), "--tokens", str(given.tokens)]
    print(f"two networks of {given.blocks} blocks × {WIDTH}, {given.tokens} tokens")
    for n in given.sizes:
        done = subprocess.run(
            [sys.executable, __file__, *shape, "--one", str(n)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        facts = json.loads(done.stdout)
        print(
            f"n = {facts['n']:>6,}: peak {facts['peak_mb']:,} MB, {facts['seconds']:,} s "
            f"({facts['plan']})",
            flush=True,
        )


if __name__ == "__main__":
    main()
