"""What `stratigraph plan` says a study will cost, beside what it then costs.

    python benchmarks/plan.py [studies/quick.yaml studies/fashion.yaml] [--json FILE]

Each study is planned, then run in a temporary folder, stage by stage, with a process for each core,
in one call; so the plan's calibration and the run meet the same machine. Neither study is what a
calibration runs (48 steps of each kind of network, and samples of all else).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from pathlib import Path

from cores import CORES, timed
from stratigraph.cost.plan import StudyPlan, plan_study
from stratigraph.engine import LocalEngine
from stratigraph.stages import STAGES, Progress, open_study, run_stage

# What `plan` counts separately, and one stage of a run does: by the first word of its name.
STAGE_OF = {"start": "train", "train": "train", "extract": "extract", "observe": "extract",
            "score": "extract", "compare": "compare", "intervals": "compare",
            "influence": "compare", "assess": "assess",
            "report": "report", "report's": "report"}  # fmt: skip


def planned(plan: StudyPlan) -> dict[str, float]:
    """Stage → wall seconds; the published reading is made by `assess`."""
    found = dict.fromkeys(STAGES, 0.0)
    for stage in plan.stages:
        name = STAGE_OF[stage.name.split()[0]]
        name = "assess" if stage.name.endswith("published way") else name
        alone = dataclasses.replace(plan, stages=(stage,))
        found[name] += alone.seconds()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", type=Path, nargs="*")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    for file in arguments.studies or [Path("studies/quick.yaml"), Path("studies/fashion.yaml")]:
        with tempfile.TemporaryDirectory() as place:
            study = open_study(file, Path(place) / "study")
            with timed() as calibration:
                plan = plan_study(study.config, LocalEngine(CORES))
            engine = LocalEngine(CORES)  # whose workers start with the study
            print(f"{file.stem}: planned in {calibration.wall:.0f} s", flush=True)
            expected, whole = planned(plan), {"planned": 0.0, "measured": 0.0}
            for stage in STAGES:
                with timed() as found:
                    run_stage(stage, study, engine, Progress(quiet=True))
                row = {"study": file.stem, "stage": stage, "planned": expected[stage],
                       "measured": found.wall, "own_cpu": found.own,
                       "others": found.disturbed}  # fmt: skip
                rows.append(row)
                for key in whole:
                    whole[key] += row[key]
                print(f"  {stage:<8} planned {expected[stage]:7.1f} s  measured {found.wall:7.1f} s"
                      f"  ({expected[stage] / found.wall - 1:+.0%})  others had "
                      f"{found.disturbed:.0%} of the cores", flush=True)  # fmt: skip
            disk = sum(path.stat().st_size for path in study.path.rglob("*") if path.is_file())
            off = whole["planned"] / whole["measured"] - 1
            print(f"  whole    planned {whole['planned']:7.1f} s  measured {whole['measured']:7.1f}"
                  f" s  ({off:+.0%}; within 25 % is wanted); disk planned {plan.disk / 1e9:.2f} GB,"
                  f" measured {disk / 1e9:.2f} GB", flush=True)  # fmt: skip
            rows.append({"study": file.stem, "stage": "whole", **whole, "disk_planned": plan.disk,
                         "disk_measured": disk})  # fmt: skip
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
