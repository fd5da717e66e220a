"""Peak memory of debiased CKA of two files of embeddings, far larger than what is allowed.

    python benchmarks/embeddings.py --rows 10000000 --units 256 32

Each file holds random float32 numbers; the pair is compared in this process, whose peak, Python and
torch included, is printed. 10 million rows of 256 units take 10 GB of disk.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import stratigraph as sg

BLOCK = 100_000  # rows that are written at a time


def write(path: Path, rows: int, units: int, seed: int) -> None:
    """Rows of random numbers, a block of them again and again in another order."""
    block = np.random.default_rng(seed).random((min(BLOCK, rows), units), np.float32)
    header = np.lib.format.header_data_from_array_1_0(block) | {"shape": (rows, units)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, rows, BLOCK):
            np.roll(block, start // BLOCK, axis=0)[: rows - start].tofile(file)


def main() -> None:
    """Write, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--units", type=int, nargs=2, default=(256, 32))
    parser.add_argument("--memory", type=float, default=2.0, help="GiB allowed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        held = {}
        for number, units in enumerate(given.units):
            path = Path(folder) / f"{'ab'[number]}.npy"
            write(path, given.rows, units, number)
            print(f"{path.name}: {path.stat().st_size / 1e9:.2f} GB")
            held |= sg.load_representations(path)
        began, used = time.perf_counter(), time.process_time()
        found = sg.similarity_matrix(
            {"a": held["a"]}, {"b": held["b"]}, memory=int(given.memory * 2**30)
        )
        seconds, cpu = time.perf_counter() - began, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
    print(f"{found.item():.4f}: {found.attrs['plan']}")
    print(f"{seconds:.1f} s, {cpu:.1f} s of CPU, {peak / 1e9:.2f} GB at peak")


if __name__ == "__main__":
    main()
