"""The published study's comparison, rehearsed without its training: 22,500 representations.

300 models × 5 snapshots × 15 layers of the published network's widths, n = 1,000 probes::

    python benchmarks/rehearsal.py --cap 20 --disk 12 --json rehearsal.json

1. reduce   synthetic activations (a few shared factors, factors of their own, noise, ReLU) of some
            snapshots become coordinates, as `extract` makes and stores them
2. study    a study's folder of all models and snapshots: those coordinates, over and over, by hard
            links, since those of all would take 60 GB; no cost of a pair depends on what it holds
3. rates    what making a vector and multiplying a pair of them take, of some representations
4. compare  debiased CKA of all with all by `compare_study`, out of core, until the time is up; it
            is stopped half-way and started again
5. store    a whole matrix written as `compare_study` writes it; blocks that were not computed are
            read from one that stands for them

Prints wall and CPU time, peak memory, disk of each, the share of the pairs that was done, and what
follows for the whole. Memory is that of this process and its workers together: all of it that is
resident, and (``own``) without the pages of files, which the system takes back when it needs them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cores import own_seconds, timed
from stratigraph.engine import LocalEngine, one_thread
from stratigraph.pairs.blocks import Notes, blocks, folded, read_scores
from stratigraph.pairs.comparison import Comparison
from stratigraph.pairs.stored import compare_stored
from stratigraph.records import Files, snapshot_path, write_record, write_text
from stratigraph.similarity.reduction import reduce_units
from stratigraph.stages.compare import compare_study
from stratigraph.stages.labels import representation_table
from stratigraph.stages.matrix_record import write_matrix
from stratigraph.stages.progress import Progress
from stratigraph.stages.task import reading_digest
from stratigraph.study import Selection, Study, load_study, representations_path

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
RATED = 768  # representations of which rates are taken
SIZE = 256  # representations a side of a block of products
WORKERS = (2, 16, 64)


class TimeIsUp(Exception):
    """The comparison has had its time."""


class Capped(Progress):
    """Says how far it is, and ends the work once its time is up."""

    def __init__(self, until: float) -> None:
        super().__init__()
        self.until = until

    def stage(self, what: str) -> Callable[[int, int], None]:
        """As `Progress.stage`."""
        say = super().stage(what)

        def report(done: int, total: int) -> None:
            say(done, total)
            if time.monotonic() > self.until:
                raise TimeIsUp

        return report


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


def make_study(folder: Path, distinct: Path, args: argparse.Namespace) -> Study:
    """A folder in which every model has its snapshots' representations, by hard links."""
    steps = ", ".join(str(step) for step in range(1, args.snapshots + 1))
    seeds = ", ".join(map(str, range(args.models // 20)))
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


def pairs_in(count: int, folder: Path, kind: str) -> int:
    """How many pairs the blocks hold that are done."""
    pairs = 0
    for path in folder.rglob(f"{kind}-*.npz"):
        row, column = (int(word) for word in path.stem.split("-")[1:])
        r, c = (min(SIZE, count - at) for at in (row, column))
        pairs += r * (r + 1) // 2 if row == column else r * c
    return pairs


def whole_matrix(count: int, folder: Path, stand_in: Path) -> Comparison:
    """All blocks: those that are done, and for each other one the same file."""
    np.savez(stand_in, scores=np.random.default_rng(0).random((1, SIZE, SIZE)))
    wanted = Selection(pd.DataFrame(dict.fromkeys(("run", "step", "layer", "probes"), [0] * count)),
                       ("all",))  # fmt: skip
    every = np.arange(count)
    found = blocks(
        folded(lambda rows, columns: wanted.block(every[rows], every[columns])),
        (count, count),
        SIZE,
    )
    done = {path.name: path for path in folder.rglob("product-*.npz")}

    def load(number: int) -> np.ndarray:
        block = found[number]
        scores = read_scores(done.get(f"product-{block.name}", stand_in), None)
        return scores[
            :, : block.rows.stop - block.rows.start, : block.columns.stop - block.columns.start
        ]

    notes = Notes((None,) * count, (None,) * count)
    return Comparison((count, count), found, load, True, notes, notes)


def rates(files: list[Path], place: Path) -> dict[str, float]:
    """CPU seconds of one vector and of one pair, on one thread."""

    def seconds(wanted: np.ndarray | None) -> float:
        with tempfile.TemporaryDirectory(dir=place) as scratch, one_thread():
            began = time.process_time()
            compare_stored(files, wanted=wanted, scratch=Path(scratch))
            return time.process_time() - began

    seconds(np.eye(len(files), dtype=bool))  # warm
    diagonal = len(files) * (SIZE + 1) / 2  # pairs of the blocks on the diagonal, made both times
    alone = seconds(np.eye(len(files), dtype=bool))
    whole = seconds(None)
    pair = (whole - alone) / (len(files) * (len(files) + 1) / 2 - diagonal)
    return {"vector s": round((alone - pair * diagonal) / len(files), 5), "pair s": round(pair, 8)}


def until_time_is_up(minutes: float, work: Callable[[Progress], Any]) -> bool:
    """Whether it ended by itself."""
    try:
        work(Capped(time.monotonic() + 60 * minutes))
    except TimeIsUp:
        return False
    return True


def rehearse(place: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    engine, watch = LocalEngine(args.workers), Watch(place)
    distinct = place / "distinct"
    snapshots = 20 * (args.models // 20) * args.snapshots
    count = snapshots * len(LAYERS)
    every = count * (count + 1) // 2
    with watch.stage("reduce") as row:
        tasks = [
            Reduce(number, layer, args.probes, distinct / f"{number}" / layer)
            for number in range(args.distinct)
            for layer in LAYERS
        ]
        done = [outcome.value for outcome in engine.map(reduce, tasks)]
        cpu = sum(seconds for seconds, _ in done) / args.distinct
        row |= {
            "snapshots": args.distinct,
            "whole: cpu s": round(cpu * snapshots),
            "whole: disk GB": round(sum(b for _, b in done) / args.distinct * snapshots / 1e9, 1),
        }
    with watch.stage("study") as row:
        study = make_study(place / "study", distinct, args)
        row |= {"representations": count, "pairs": every}
    with watch.stage("check and label"):
        table = representation_table(study)
    with watch.stage("rates") as row:
        row |= rates(table.files[:RATED], place)
    scratch = study.path / "similarity"
    limit = int(args.disk * 1e9)
    ended = False
    for half in ("compare", "compare, gone on with") if args.cap else ():
        if ended:
            break
        with watch.stage(half) as row:
            before = pairs_in(count, scratch, "product")
            ended = until_time_is_up(
                args.cap / 2,
                lambda progress: compare_study(study, engine, progress, disk=limit),
            )
            pairs = every if ended else pairs_in(count, scratch, "product")
            row |= {"pairs": pairs - before, "share": round(pairs / every, 4)}
    for path in scratch.rglob("vectors-*.npy"):
        path.unlink()
    if not ended:
        with watch.stage("store") as row:
            scores = whole_matrix(count, scratch, place / "stand-in.npz")
            parts = [(np.random.default_rng(0).permutation(count), scores)]
            write_matrix(place / "matrix", table.labels, parts, ("values",), {})
            row |= {"blocks": len(scores.blocks)}
        shutil.rmtree(place / "matrix")
    shutil.rmtree(scratch, ignore_errors=True)
    return watch.rows


def extrapolate(rows: list[dict[str, Any]]) -> None:
    """What the whole takes, by CPU time, on workers like these."""
    by = {row["stage"]: row for row in rows}
    compared = [row for row in rows if row["stage"].startswith("compare")]
    made, rate = by["study"], by["rates"]
    whole = {
        "reduce": by["reduce"]["whole: cpu s"],
        "make vectors, once": rate["vector s"] * made["representations"],
        "multiply": rate["pair s"] * made["pairs"],
    }
    alone = by["check and label"]["cpu s"] + by.get("store", {"cpu s": 0})["cpu s"]
    done = compared[-1]["share"] if compared else 0
    print(f"done: {done:.1%} of the pairs; the whole by CPU time:")
    for name, seconds in whole.items():
        print(f"  {name}: {seconds / 3600:.2f} core-hours")
    for workers in WORKERS:
        hours = (sum(whole.values()) / workers + alone) / 3600
        print(f"  {workers} workers: {hours:.2f} h")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=300, help="a multiple of 20")
    parser.add_argument("--snapshots", type=int, default=5)
    parser.add_argument("--probes", type=int, default=1000)
    parser.add_argument("--distinct", type=int, default=24, help="snapshots that are made up")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cap", type=float, default=30, help="minutes of comparing exactly")
    parser.add_argument("--disk", type=float, default=60, help="GB that vectors may take")
    parser.add_argument("--out", type=Path, help="where; what is there is removed afterwards")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rehearsal-", dir=args.out) as folder:
        rows = rehearse(Path(folder), args)
    extrapolate(rows)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    sys.exit(main())
