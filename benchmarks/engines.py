"""What Ray costs beside the local engine, and how busy both keep the cores.

    python benchmarks/engines.py [--steps 300] [--turns 4] [--json FILE]

The same study of eight runs on the same cores, by both engines in each turn, in one call: the wall
time of training, without the start of Ray, and the share of the cores that its processes had. Who
goes first changes from turn to turn, and the ratio is told of each turn and as the median, since a
machine's pace drifts. In the first turn both start their workers. The share that others had
meanwhile is told too: wall times that were taken beside them say little, and then the CPU time that
each engine took is what can be compared.
"""

import argparse
import json
import tempfile
from pathlib import Path
from statistics import median

from cores import CORES, timed
from stratigraph.engine import LocalEngine
from stratigraph.engine.ray import RayEngine
from stratigraph.stages import Progress, open_study, run_stage

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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    engines = {"local": LocalEngine(CORES), "ray": RayEngine(workers=CORES)}
    rows = []
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "engines.yaml"
        file.write_text(STUDY.format(steps=arguments.steps))
        for turn in range(arguments.turns):
            order = list(engines) if turn % 2 == 0 else list(engines)[::-1]
            for name in order:
                study = open_study(file, Path(place) / f"{name}-{turn}")
                with timed() as took:
                    run_stage("train", study, engines[name], Progress(quiet=True))
                rows.append({"engine": name, "turn": turn, "seconds": took.wall, "cpu": took.own,
                             "busy": took.busy, "others": took.disturbed})  # fmt: skip
                print(
                    f"{name:<6} turn {turn}  {took.wall:6.1f} s  CPU {took.own:6.1f} s  "
                    f"cores busy {took.busy:.0%}  others had {took.disturbed:.0%}",
                    flush=True,
                )
    for key, what in (("seconds", "wall time"), ("cpu", "CPU time")):
        taken = {name: [row[key] for row in rows if row["engine"] == name] for name in engines}
        ratios = [ray / local for ray, local in zip(taken["ray"], taken["local"], strict=True)]
        told = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(
            f"ray / local, {what}: median {median(ratios):.2f} of {told} (at most 1.10 is wanted)"
        )
    share = median(row["busy"] for row in rows if row["engine"] == "local")
    print(f"cores busy with the local engine: median {share:.0%} (more than 90 % is wanted)")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
