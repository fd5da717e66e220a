"""The page under load and in a browser: what a reader waits for.

::

    python benchmarks/page.py draw [--runs 300]      first page, click to a drawn 525 x 525 map, pan
    python benchmarks/page.py load [--seconds 60]    32 clients while a study trains

``draw`` makes a study of synthetic numbers in a temporary folder (300 runs, five snapshots of 15
layers: 22,500 representations, a matrix of 4 GB) and opens it in Debian's chromium. ``load`` trains
a small study with two workers and asks its page at the same time; each client waits 100 ms between
an answer and its next question, on one connection.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from stratigraph.records import write_record
from stratigraph.records.files import write_json, write_text
from stratigraph.records.store import parquet
from stratigraph.study import load_study
from stratigraph.study.layout import metrics_path, similarity_path

LAYERS = [
    "input", *(f"encoder.conv{i}" for i in range(1, 5)), "encoder.dense", "z_mean", "z_log_var",
    "z_sample", "decoder.dense1", "decoder.dense2", *(f"decoder.deconv{i}" for i in range(1, 4)),
    "decoder.output",
]  # fmt: skip
STEPS = (0, 10, 100, 1000, 10_000)
STUDY = """
name: synthetic
description: Numbers that were drawn, to time the page; nothing was trained.
grid:
  data: {{name: sprites, size: 32}}
  objective: {{beta_vae: {{beta: {betas}}}}}
  seed: [0, 1, 2, 3, 4]
training: {{steps: 10000}}
snapshots: {{kind: explicit, steps: {steps}}}
measures: [debiased_cka]
"""


def synthetic(folder: Path, runs: int) -> Path:
    """A study's folder whose similarity matrix is drawn."""
    path = folder / "study"
    path.mkdir()
    betas = [round(0.1 * (i + 1), 1) for i in range(max(1, runs // 5))]
    write_text(path / "study.yaml", STUDY.format(betas=betas, steps=list(STEPS)))
    study = load_study(path)
    rng = np.random.default_rng(0)
    rows = []
    for run in study.runs.values():
        for step in STEPS:
            record = run.path / "snapshots" / f"{step:09d}"
            write_record(record, lambda files: files.add("synthetic", b"no weights"))
        write_json(run.path / "state.json", {"state": "done", "step": 10_000, "reason": ""})
        loss = 100 + 400 * np.exp(-np.arange(50) / 8) + rng.normal(size=50)
        table = pd.DataFrame(
            {"step": np.arange(50) * 200, "split": "validation", "loss": loss,
             "reconstruction": loss, "regulariser": 0.0, "kl": 10.0}
        )  # fmt: skip
        write_record(
            metrics_path(run.path), lambda files, t=table: files.add("metrics.parquet", parquet(t))
        )
        rows += [
            {
                "run": run.run_id, "data": "sprites", "architecture": "convolutional",
                "objective": "beta_vae", "strength": run.config.strength, "latents": 10,
                "seed": run.config.seed, "step": step, "layer": layer, "units": 1, "probes": "0",
                "reason": "", "doubt": "",
            }
            for step in STEPS
            for layer in LAYERS
        ]  # fmt: skip
    labels = pd.DataFrame(rows)
    size = len(labels)
    place = rng.uniform(size=size).astype(np.float32)
    scratch = folder / "values.npy"
    matrix = np.lib.format.open_memmap(scratch, "w+", np.float64, (size, size))
    for start in range(0, size, 500):
        block = slice(start, start + 500)
        matrix[block] = 1 - np.abs(place[block, None] - place[None])
    matrix.flush()
    del matrix

    def fill(files):
        with scratch.open("rb") as source:
            files.add("values.npy", source.read())
        files.add("labels.parquet", parquet(labels))

    about = {"measure": "debiased_cka", "pairs": ["all"], "plan": "", "representations": "0"}
    write_record(similarity_path(path, "debiased_cka"), fill, about)
    scratch.unlink()
    return path


def started(path: Path) -> tuple[subprocess.Popen, str]:
    command = [sys.executable, "-m", "stratigraph", "serve", str(path), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().split()[0]


def memory(pid: int) -> float:
    """Resident memory of a process, in MB; without what it maps of files, which the system owns."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("RssAnon:")[1].split()[0]) / 1024


CHOOSE = """async ([selector, value]) => {
  const box = document.querySelector(selector), began = performance.now();
  box.value = value;
  const drawn = new Promise((done) => new MutationObserver((_, me) => { me.disconnect(); done(); })
    .observe(document.querySelector("[data-cells]"), { attributes: true }));
  box.dispatchEvent(new Event("change", { bubbles: true }));
  await drawn;
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return performance.now() - began;
}"""
FRAMES = """() => { window.frames_ = []; let last = performance.now();
  const tick = (now) => {
    window.frames_.push(now - last);
    last = now;
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick); }"""


def draw(runs: int, repeats: int) -> None:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = synthetic(Path(folder), runs)
        ids = list(load_study(path).runs)
        size = len(ids) * len(STEPS) * len(LAYERS)
        print(f"{len(ids)} runs, {size:,} representations, matrix of {8 * size**2 / 1e9:.1f} GB")
        process, address = started(path)
        try:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            first, clicks = [], []
            for index in range(repeats):
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                began = time.perf_counter()
                page.goto(address)
                page.wait_for_selector("#view[data-drawn]")
                first.append(time.perf_counter() - began)
                seven = ",".join(ids[(7 * index + k) % len(ids)] for k in range(7))
                page.goto(f"{address}heat?y_runs={seven}&x_runs={seven}&y_step=last&x_step=all")
                page.wait_for_selector("[data-cells='55125']", timeout=120_000)
                clicks.append(page.evaluate(CHOOSE, ["select[name=y_step]", "all"]))
                assert page.locator("[data-cells]").get_attribute("data-cells") == str(525**2)
                if index == repeats - 1:
                    _pan(page)
                page.close()
            browser.close()
            print(f"first page: {1000 * statistics.median(first):.0f} ms median of {repeats}, "
                  f"{1000 * first[0]:.0f} ms the first time")  # fmt: skip
            print(f"click to a drawn 525 x 525 map: {statistics.median(clicks):.0f} ms median of "
                  f"{repeats}, {max(clicks):.0f} ms at most")  # fmt: skip
        finally:
            process.terminate()
            process.wait(30)


def _pan(page) -> None:
    """Zoom in, then drag for 60 moves; the times between frames say whether it lags."""
    for _ in range(4):
        page.get_by_role("button", name="zoom in").click()
    box = page.locator("#heat canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + 200
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(FRAMES)
    for k in range(60):
        page.mouse.move(x - 4 * k, y - 2 * k)
    frames = page.evaluate("window.frames_")
    page.mouse.up()
    print(f"panning: {statistics.median(frames):.1f} ms a frame (median of {len(frames)}), "
          f"{sorted(frames)[int(0.95 * len(frames))]:.1f} ms at the 95th percentile")  # fmt: skip


SMALL = """
name: trains while it is shown
description: A study that is in training while its page is asked.
grid:
  data: {name: sprites, size: 32, cache: false}
  objective: {beta_vae: {beta: [1, 4]}}
  seed: [0, 1]
training: {steps: 100000, batch_size: 64, learning_rate: 1e-3, validation_images: 64}
snapshots: {kind: log, count: 20, first: 2}
probes: {count: 64}
measures: [debiased_cka]
"""


async def client(host: str, port: int, paths, until: float, taken: list, codes: Counter) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    for path in paths:
        if time.monotonic() > until:
            break
        began = time.perf_counter()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        taken.append(time.perf_counter() - began)
        codes[int(head.split(b" ", 2)[1])] += 1
        await asyncio.sleep(0.1)
    writer.close()


async def ask(address: str, paths: list[str], clients: int, seconds: float):
    host, port = address.split("//")[1].strip("/").split(":")
    taken: list[float] = []
    codes: Counter = Counter()
    until = time.monotonic() + seconds
    await asyncio.gather(
        *(
            client(host, int(port), itertools.islice(itertools.cycle(paths), k, None), until, taken,
                   codes)
            for k in range(clients)
        )
    )  # fmt: skip
    return taken, codes


def load(seconds: float, clients: int, shown: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "small.yaml", Path(folder) / "out"
        file.write_text(SMALL)
        training = subprocess.Popen(
            [sys.executable, "-m", "stratigraph", "train", str(file), "--out", str(out), "--quiet"]
        )
        while not list(out.glob("runs/*/snapshots/*")):
            time.sleep(0.5)
        process, address = started(shown or out)
        try:
            study = load_study(shown or out)
            ids = [run.run_id for run in study.runs.values() if run.steps]
            paths = ["/", "/static/main.js", "/api/states", "/api/overview",
                     f"/api/losses?runs={ids[0]}"]  # fmt: skip
            for run in ids[:4]:
                paths += [f"/api/decoded?run={run}&probe={k}" for k in range(3)]
                if study.measures():
                    paths += [f"/api/heat?y_runs={run}&x_runs={other}&y_step=moving&x_step=last"
                              for other in ids[:4]]  # fmt: skip
                    paths += [f"/api/latents?run={run}"]
            asyncio.run(ask(address, paths, 4, min(10, seconds)))  # everything has been asked once
            before = memory(process.pid)
            taken, codes = asyncio.run(ask(address, paths, clients, seconds))
            after = memory(process.pid)
            taken.sort()
            running = training.poll() is None
            print(json.dumps({
                "clients": clients, "seconds": seconds, "answers": len(taken), "codes": codes,
                "median_ms": round(1000 * taken[len(taken) // 2], 1),
                "p99_ms": round(1000 * taken[int(0.99 * len(taken))], 1),
                "most_ms": round(1000 * taken[-1], 1),
                "memory_mb": [round(before, 1), round(after, 1)], "still_training": running,
            }))  # fmt: skip
        finally:
            for one in (process, training):
                one.terminate()
                one.wait(60)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    drawing = commands.add_parser("draw")
    drawing.add_argument("--runs", type=int, default=300)
    drawing.add_argument("--repeats", type=int, default=15)
    loading = commands.add_parser("load")
    loading.add_argument("--seconds", type=float, default=60)
    loading.add_argument("--clients", type=int, default=32)
    loading.add_argument("--shown", type=Path, help="serve this study, and not the one in training")
    given = parser.parse_args()
    if given.command == "draw":
        draw(given.runs, given.repeats)
    else:
        load(given.seconds, given.clients, given.shown)
