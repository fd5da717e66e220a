"""Kills or refuses every operation on the files of a study at a file:// URL; prints its count.

    python tests/crash/url_driver.py FOLDER [--mode kill|full|broken] [--every N]

After each a reader on another machine sees a whole state, no earlier than the last one that the
run was promised, and the run is gone on with: by the same machine, or by one that has nothing.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

from driver import STUDY, forked, results, train_module
from operations import Operations

from stratigraph.engine import LocalEngine
from stratigraph.home import load_study
from stratigraph.remote import publication, verify_url
from stratigraph.stages import open_study, run_stage, state as state_module, verify_study
from stratigraph.study.origin import REMOTE

FAULTS = {
    "kill": {},
    "full": {"code": errno.ENOSPC, "lasting": True},
    "broken": {"code": errno.EIO},
}


def go_to(machine: Path) -> None:
    """From here on, work as a machine whose disk is this."""
    os.environ["STRATIGRAPH_WORK"] = str(machine)


def train(file: Path, url: str, promised: Path | None = None) -> dict[str, str]:
    """Train the study at a URL; note every step that was published in a file."""
    real = publication.create_next

    def create(store: Any, ledger: str, before: Any, entries: Any) -> Any:
        made = real(store, ledger, before, entries)
        steps = [int(place.rpartition("/")[2]) for place in entries if place[-9:].isdigit()]
        if promised is not None and steps:
            promised.write_text(str(max(steps)))
        return made

    publication.create_next = create
    study = open_study(file, url)
    run_stage("train", study, LocalEngine(1))
    return {name: h for name, h in results(study.path).items() if not name.startswith(REMOTE)}


def read(url: str, promised: Path) -> str:
    """What is wrong with what a reader sees who has nothing."""
    study = load_study(url)
    damaged = [*verify_url(url).damaged.values()]
    damaged += [damage.reason for damage in verify_study(study.path).damages]
    if damaged:
        return f"damaged: {damaged}"
    (run,) = study.runs.values()
    steps = [int(path.name) for path in run.path.glob("*/0*") if path.parent.name != "metrics"]
    least = int(promised.read_text()) if promised.is_file() else -1
    if max(steps, default=-1) < least:
        return f"step {least} was published, and {steps} are there"
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mode", choices=FAULTS, default="kill")
    parser.add_argument("--every", type=int, default=1)
    arguments = parser.parse_args()
    train_module.CHECKPOINT_SECONDS = -1.0  # at every step
    state_module.HEARTBEAT_SECONDS = 0.0
    folder = arguments.folder.resolve()
    file, place, promised = folder / "study.yaml", folder / "try", folder / "promised"
    file.write_text(STUDY)
    url = f"file://{place}/store"
    go_to(folder / "warm")
    whole = train(file, f"file://{folder}/whole")
    wrong: list[str] = []
    outcomes: dict[str, int] = {}
    number = beyond = 0
    while beyond < 3:  # threads upload, so that the last numbers differ
        shutil.rmtree(place, ignore_errors=True)
        promised.unlink(missing_ok=True)
        (place / "store").mkdir(parents=True)

        def attempt(number: int = number) -> bool:
            go_to(place / "one")
            point = {"kill_at" if arguments.mode == "kill" else "refuse_at": number}
            operations = Operations(place / "store", **point, **FAULTS[arguments.mode]).install()
            train(file, url, promised)
            return len(operations.log) <= number

        def look() -> str:
            go_to(place / "reader")
            return read(url, promised)

        def finish(number: int = number) -> dict[str, str]:
            go_to(place / ("one" if number % 2 else "other"))
            return train(file, url)

        outcome, told = forked(attempt)
        beyond += outcome == "done" and told
        key = outcome if outcome != "raised" else told[0]
        outcomes[key] = outcomes.get(key, 0) + 1
        if outcome == "raised" and told[0] != "storage":
            wrong.append(f"operation {number}: {told}")
        if list((place / "store").glob("ledgers/study/0*")):
            wrong += [f"operation {number}: {text}" for text in [forked(look)[1]] if text]
        outcome, found = forked(finish)
        if outcome != "done":
            wrong.append(f"operation {number}: going on failed: {found}")
        elif found != whole:
            differs = sorted(name for name, _ in found.items() ^ whole.items())
            wrong.append(f"operation {number}: differs: {differs[:3]}")
        wrong += [f"operation {number}: at last: {text}" for text in [forked(look)[1]] if text]
        number += arguments.every
    at_most = number - 3 * arguments.every  # three tries were beyond the end
    print(json.dumps({"operations": at_most, **outcomes, "wrong": wrong}))


if __name__ == "__main__":
    main()
