"""Exact against certified, on the stored representations of a study that was run.

    python benchmarks/certified.py results/paper-small --procrustes 120 --cka 1200

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
FLOAT32 = 1e-6  # what exact CKA may be off by


def timed(
    files: list[Path], measure: str, tolerance: float | None
) -> tuple[StoredComparison, np.ndarray, float]:
    began = time.process_time()
    found = compare_stored(files, measure, tolerance=tolerance)
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
    parser.add_argument("--procrustes", type=int, default=120, help="how many representations")
    parser.add_argument("--cka", type=int, default=1200)
    args = parser.parse_args()
    own = representations(args.study)
    for measure, count in (("procrustes_similarity", args.procrustes), ("debiased_cka", args.cka)):
        rows = np.random.default_rng(0).choice(len(own), min(count, len(own)), replace=False)
        files = [own[row] for row in np.sort(rows)]
        shape = read_coordinates(files[0]).shape
        with one_thread():
            timed(files[:8], measure, None)  # warm
            _, exact, base = timed(files, measure, None)
            print(f"{measure}: {len(files)} representations of {shape[0]} probes, all pairs")
            print(f"  exact: {base:.1f} CPU s")
            for tolerance in TOLERANCES:
                found, values, seconds = timed(files, measure, tolerance)
                low, high = found.scores.all("lower"), found.scores.all("upper")
                inside = (low - FLOAT32 <= exact) & (exact <= high + FLOAT32)
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
