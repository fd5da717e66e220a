"""What Ray costs beside the local engine, and how busy both keep the cores.

    python benchmarks/engines.py [--steps 600] [--json FILE]

The same study of eight runs on the same cores, by each engine in turn, twice, in one call: the wall
time of training, without the start of Ray, and the share of the cores' time spent on programs.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from stratigraph.engine import LocalEngine
from stratigraph.engine.ray import RayEngine
from stratigraph.pipeline import open_study, run_stage

STUDY = """
name: engines
grid:
  data: {{name: sprites, size: 32}}
  objective:
    beta_vae: {{beta: [1, 4]}}
  seed: [0, 1, 2, 3]
training: {{steps: {steps}, batch_size: 64, validation_images: 64}}
snapshots: {{kind: log, count: 6}}
probes: {{count: 50}}
measures: [debiased_cka]
"""


def busy() -> float:
    """Seconds that all cores of this machine have spent on programs."""
    user, nice, system, *_ = Path("/proc/stat").read_text().split("\n")[0].split()[1:]
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    engines = {"local": LocalEngine(cores), "ray": RayEngine(workers=cores)}
    rows = []
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "engines.yaml"
        file.write_text(STUDY.format(steps=arguments.steps))
        for turn in range(2):
            for name, engine in engines.items():
                study = open_study(file, Path(place) / f"{name}-{turn}")
                began, work = time.perf_counter(), busy()
                run_stage("train", study, engine)
                seconds = time.perf_counter() - began
                share = (busy() - work) / seconds / cores
                rows.append({"engine": name, "turn": turn, "seconds": seconds, "busy": share})
                print(
                    f"{name:<6} turn {turn}  {seconds:6.1f} s  cores busy {share:.0%}", flush=True
                )
    best = {n: min(r["seconds"] for r in rows if r["engine"] == n) for n in engines}
    share = max(row["busy"] for row in rows if row["engine"] == "local")
    print(f"ray / local: {best['ray'] / best['local']:.3f} (at most 1.10 is wanted)")
    print(f"cores busy with the local engine: {share:.0%} (more than 90 % is wanted)")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
