"""The published study's comparison, without its training: 22,500 representations, all with all.

300 models × 5 snapshots × 15 layers of the published network's widths, n = 500 probes::

    python benchmarks/rehearsal.py --json rehearsal.json

1. reduce   synthetic activations (a few shared factors, factors of their own, noise, ReLU) of some
            snapshots become coordinates, as `extract` makes and stores them
2. part     a study of 7,500 of them compared twice: undisturbed, and killed twice on the way; the
            bytes of both are to be the same
3. study    a study's folder of all models and snapshots: those coordinates, over and over, by hard
            links; no cost of a pair depends on what it holds
4. compare  debiased CKA of all with all by `compare_study`, out of core, in a process that is
            killed (SIGKILL) after a third and after two thirds of its products, and started again

Prints wall and CPU time, peak memory and disk of each. Memory is that of the process that compares
and its workers together: all of it that is resident, and (``own``) without the pages of files,
which the system takes back when it needs them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from cores import own_seconds, timed
from stratigraph.engine import LocalEngine
from stratigraph.records import Files, snapshot_path, write_record, write_text
from stratigraph.similarity.reduction import reduce_units
from stratigraph.stages import compare as compare_stage
from stratigraph.stages.progress import Progress
from stratigraph.stages.task import reading_digest
from stratigraph.study import Study, load_study, representations_path

LAYERS = {
    "input": 4096,
    "encoder.conv1": 32768,
    "encoder.conv2": 8192,
    "encoder.conv3": 4096,
    "encoder.conv4": 1024,
    "encoder.dense": 256,
    "z_mean": 10,
    "z_log_var": 10,
    "z_sample": 10,
    "decoder.dense1": 256,
    "decoder.dense2": 1024,
    "decoder.deconv1": 4096,
    "decoder.deconv2": 8192,
    "decoder.deconv3": 32768,
    "decoder.output": 4096,
}
STUDY = """\
name: rehearsal
grid:
  data: {{name: sprites, size: 64}}
  objective:
    beta_vae: {{beta: [1, 2, 4, 6, 8]}}
    annealed_vae: {{c_max: [5, 10, 25, 50, 75]}}
    beta_tc_vae: {{beta: [1, 2, 4, 6, 8]}}
    dip_vae_ii: {{lambda_od: [1, 2, 5, 10, 20]}}
  seed: [{seeds}]
training: {{steps: {snapshots}}}
snapshots: {{kind: explicit, steps: [{steps}]}}
probes: {{count: {probes}}}
measures: [debiased_cka]
"""
SIZE = 256  # representations a side of a block of products


def synthetic(n: int, p: int, seed: int) -> np.ndarray:
    """A ReLU layer's activations (n, p): factors that all layers share, its own, and noise."""
    shared = np.random.default_rng(0).standard_normal((n, 16), dtype=np.float32)
    rng = np.random.default_rng(seed)
    own = rng.standard_normal((n, 48), dtype=np.float32)
    factors = np.concatenate([shared, own], axis=1) / np.arange(1, 65, dtype=np.float32)
    x = factors @ rng.standard_normal((64, p), dtype=np.float32)
    x += 0.1 * rng.standard_normal((n, p), dtype=np.float32)
    return np.maximum(x, 0)


@dataclass(frozen=True)
class Reduce:
    """One layer of one synthetic snapshot."""

    snapshot: int
    layer: str
    n: int
    path: Path


def reduce(task: Reduce) -> tuple[float, int]:
    """Reduce and store it; seconds of CPU without those of making it up, and bytes."""
    x = synthetic(task.n, LAYERS[task.layer], 1000 * task.snapshot + list(LAYERS).index(task.layer))
    began = time.process_time()
    found = reduce_units(x)
    write_record(task.path, lambda files: files.array("layer.npy", found.coordinates))
    return time.process_time() - began, found.coordinates.nbytes


def make_study(folder: Path, distinct: Path, models: int, args: argparse.Namespace) -> Study:
    """A folder in which every model has its snapshots' representations, by hard links."""
    steps = ", ".join(str(step) for step in range(1, args.snapshots + 1))
    seeds = ", ".join(map(str, range(models // 20)))
    text = STUDY.format(seeds=seeds, snapshots=args.snapshots, steps=steps, probes=args.probes)
    write_text(folder / "study.yaml", text)
    study = load_study(folder)
    facts = {
        (snapshot, layer): json.loads(
            (distinct / f"{snapshot}" / layer / "manifest.json").read_text()
        )["files"]["layer.npy"]
        for snapshot in range(args.distinct)
        for layer in LAYERS
    }
    layers = [
        {"name": name, "units": units, "reason": None, "doubt": None}
        for name, units in LAYERS.items()
    ]
    number = 0
    for run in study.runs.values():
        about = {**reading_digest(study, run), "read_by": "rehearsal", "layers": layers}
        for step in range(1, args.snapshots + 1):
            snapshot = number % args.distinct
            number += 1

            def fill(files: Files, snapshot: int = snapshot) -> None:
                for layer in LAYERS:
                    source = distinct / f"{snapshot}" / layer / "layer.npy"
                    os.link(source, files.folder / f"{layer}.npy")
                    files.facts[f"{layer}.npy"] = facts[snapshot, layer]

            write_record(snapshot_path(run.path, step), lambda files: None, {"step": step})
            write_record(representations_path(run.path, step), fill, about)
    return load_study(folder)


class Watch:
    """Wall and CPU time of stages, and the peak memory of this process and its workers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, Any]] = []
        self.peak = [0.0, 0.0]
        threading.Thread(target=self._sample, daemon=True).start()

    def _sample(self) -> None:
        while True:
            found = np.zeros(2)
            for process, _ in own_seconds():
                found += memory(process)
            self.peak = [max(a, b) for a, b in zip(self.peak, found, strict=True)]
            time.sleep(0.5)

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        """Measure what is done within; the caller may add to what is said of it."""
        self.peak = [0.0, 0.0]
        row: dict[str, Any] = {"stage": name}
        try:
            with timed() as took:
                yield row
        finally:
            time.sleep(1)
            row["wall s"], row["cpu s"] = round(took.wall, 1), round(took.own, 1)
            row["others had"] = round(took.disturbed, 2)
            row["resident GB"], row["own GB"] = (round(peak / 1e9, 2) for peak in self.peak)
            row["disk GB"] = round(disk(self.folder) / 1e9, 2)
            self.rows.append(row)
            print(json.dumps(row), flush=True)


def memory(process: int) -> np.ndarray:
    """Bytes of a process that are resident, and of these its own."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return np.zeros(2)
    facts = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return np.array([int(facts.get(key, "0 kB").split()[0]) for key in ("VmRSS", "RssAnon")]) * 1024


def disk(folder: Path) -> int:
    """Bytes below a folder, each file once however many names it has."""
    seen = {}
    for path in folder.rglob("*"):
        try:
            facts = path.lstat()
        except OSError:
            continue
        seen[facts.st_ino] = facts.st_blocks * 512
    return sum(seen.values())


def compare(folder: Path, workers: int, disk: float) -> None:
    """In a process of its own, which may be killed."""
    compare_stage.JACKKNIFED = ()  # intervals of findings are of some pairs: see benchmarks/plan.py
    compare_stage.compare_study(
        load_study(folder), LocalEngine(workers), Progress(), disk=int(disk * 1e9)
    )


def compare_killed(study: Study, args: argparse.Namespace, kills: int) -> None:
    """Compare to the end, killed each time that another share of the products is done."""
    count = args.snapshots * len(LAYERS) * len(study.runs)
    side = -(-count // SIZE)
    blocks = side * (side + 1) // 2
    for turn in range(1, kills + 2):
        child = get_context("spawn").Process(
            target=compare, args=(study.path, args.workers, args.disk)
        )
        child.start()
        until = blocks * turn // (kills + 1) if turn <= kills else math.inf
        while child.is_alive():
            child.join(0.2)
            done = count_products(study.path / "similarity")
            if done >= until and child.is_alive():
                print(f"  killed after {done} of {blocks} blocks", flush=True)
                os.kill(child.pid or 0, signal.SIGKILL)
                child.join()
                break
    if child.exitcode:
        raise SystemExit(f"the comparison ended with {child.exitcode}")


def count_products(folder: Path) -> int:
    """How many blocks are done; the folder may go meanwhile, once all are."""
    names = (name for _, _, files in os.walk(folder) for name in files)
    return sum(name.startswith("product-") and name.endswith(".npz") for name in names)


def matrix_digest(study: Study) -> str:
    """One hash of all files of the study's matrix."""
    found = hashlib.sha256()
    for path in sorted((study.path / "similarity").rglob("*")):
        if path.is_file() and path.suffix != ".json":  # which say when
            found.update(path.relative_to(study.path).as_posix().encode() + path.read_bytes())
    return found.hexdigest()


def rehearse(place: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    engine, watch = LocalEngine(args.workers), Watch(place)
    distinct = place / "distinct"
    with watch.stage("reduce") as row:
        tasks = [
            Reduce(number, layer, args.probes, distinct / f"{number}" / layer)
            for number in range(args.distinct)
            for layer in LAYERS
        ]
        done = [outcome.value for outcome in engine.map(reduce, tasks)]
        cpu = sum(seconds for seconds, _ in done) / args.distinct
        snapshots = args.models * args.snapshots
        row |= {"snapshots": args.distinct, "of all, CPU s": round(cpu * snapshots)}
    found = {}
    for name, kills in (("part", 0), ("part, killed twice", 2)) if args.part else ():
        study = make_study(place / name, distinct, args.part, args)
        with watch.stage(name) as row:
            compare_killed(study, args, kills)
            found[name] = row["sha256"] = matrix_digest(study)
        shutil.rmtree(study.path)
    if len(set(found.values())) > 1:
        raise SystemExit(f"killed twice, the matrix has other bytes: {found}")
    with watch.stage("study") as row:
        study = make_study(place / "study", distinct, args.models, args)
        count = args.models * args.snapshots * len(LAYERS)
        row |= {"representations": count, "pairs": count * (count + 1) // 2}
    with watch.stage("compare, killed twice") as row:
        compare_killed(study, args, 2)
        row["matrix GB"] = round(disk(study.path / "similarity") / 1e9, 2)
    return watch.rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=300, help="a multiple of 20")
    parser.add_argument("--part", type=int, default=100, help="models of the part; 0 leaves it")
    parser.add_argument("--snapshots", type=int, default=5)
    parser.add_argument("--probes", type=int, default=500)
    parser.add_argument("--distinct", type=int, default=40, help="snapshots that are made up")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--disk", type=float, default=20, help="GB that vectors may take")
    parser.add_argument("--out", type=Path, help="where; what is there is removed afterwards")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rehearsal-", dir=args.out) as folder:
        rows = rehearse(Path(folder), args)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    sys.exit(main())
