"""Procrustes, exact against certified, on the stored representations of a study that was run.

    python benchmarks/certified.py results/paper-small --count 120

Takes representations at random from all runs, steps and layers on one set of probes, compares them
all with all by `compare_stored` on one thread, exactly and to several tolerances, and prints CPU
time, the largest distance from the exact score, the widest interval, and whether every exact score
is inside. The study is only read.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from stratigraph.engine import one_thread
from stratigraph.pairs.coordinates import read_coordinates
from stratigraph.pairs.stored import StoredComparison, compare_stored
from stratigraph.records import MANIFEST, read_json

TOLERANCES = (0.1, 0.01, 0.001)
EXACT = 1e-6  # what an exact score may be off by


def timed(files: list[Path], tolerance: float | None) -> tuple[StoredComparison, np.ndarray, float]:
    began = time.process_time()
    found = compare_stored(files, "procrustes_similarity", tolerance=tolerance)
    return found, found.values, time.process_time() - began


def representations(study: Path) -> list[Path]:
    """The files of all defined representations of the set of probes that has most of them."""
    found = defaultdict(list)
    for manifest in sorted(study.glob(f"runs/*/representations/*/{MANIFEST}")):
        about = read_json(manifest)["about"]
        for layer in about["layers"]:
            if not layer["reason"]:
                found[about["probes"]].append(manifest.with_name(f"{layer['name']}.npy"))
    return max(found.values(), key=len)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--count", type=int, default=120, help="how many representations")
    args = parser.parse_args()
    own = representations(args.study)
    rows = np.random.default_rng(0).choice(len(own), min(args.count, len(own)), replace=False)
    files = [own[row] for row in np.sort(rows)]
    shape = read_coordinates(files[0]).shape
    with one_thread():
        timed(files[:8], None)  # warm
        _, exact, base = timed(files, None)
        print(f"{len(files)} representations of {shape[0]} probes, all pairs")
        print(f"  exact: {base:.1f} CPU s")
        for tolerance in TOLERANCES:
            found, values, seconds = timed(files, tolerance)
            low, high = found.scores.all("lower"), found.scores.all("upper")
            inside = (low - EXACT <= exact) & (exact <= high + EXACT)
            known = np.isfinite(exact)
            print(
                f"  to {tolerance:g}: {seconds:.1f} CPU s, {base / seconds:.2f} times faster; "
                f"error {np.abs(values - exact)[known].max():.1e}, "
                f"width {(high - low)[known].max():.1e}, "
                f"kept {np.nanmedian(found.scores.all('rank_x')):.0f} in the median, "
                f"inside: {inside[known].all()}",
                flush=True,
            )


if __name__ == "__main__":
    main()
