"""Kills, refuses and replays every operation of a stage of a study; prints what it counted.

    python tests/crash/driver.py STAGE FOLDER [--mode kill|full|broken|power …] [--every N …]
                                 [--mutation NAME]

Of several modes each has its own N; what the stage starts from and leaves is made once.

Each attempt is a fork of this process, which has imported and computed what is slow: it has one
thread, so that a fork is whole. What an attempt leaves is gone on with by the same stage without
faults, and must then equal, byte for byte, what an undisturbed one left. And a stage that says that
it is done may have been refused only what loses nothing.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import importlib
import json
import os
import pickle
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["MPLBACKEND"] = "agg"
sys.path.insert(0, str(Path(__file__).parent))

import torch  # noqa: E402
from disk import Disk, put  # noqa: E402
from mutations import MUTATIONS  # noqa: E402
from operations import Operations  # noqa: E402

from stratigraph.durable import TEMPORARY  # noqa: E402
from stratigraph.engine import LocalEngine  # noqa: E402
from stratigraph.errors import StorageError, StratigraphError  # noqa: E402
from stratigraph.report import write as report_module  # noqa: E402
from stratigraph.report.data import ReportData  # noqa: E402
from stratigraph.stages import (  # noqa: E402
    open_study,
    run_stage,
    state as state_module,
    verify_study,
)
from stratigraph.study import load_study  # noqa: E402

train_module = importlib.import_module("stratigraph.stages.trainer")
STAGES = ("train", "extract", "compare", "assess", "report")
STUDY = """
name: crash
grid:
  data: {name: sprites, size: 32, cache: false}
  architecture: convolutional
  objective:
    beta_vae: {beta: 1}
  latents: 3
  seed: [0]
training: {steps: 4, batch_size: 8, validation_images: 8, log_every: 2, validation: 0.001}
snapshots: {kind: explicit, steps: [0, 2, 4]}
probes: {count: 8}
activations: {layers: [input, encoder.conv1, z_mean, z_sample, decoder.dense1]}
measures: [debiased_cka]
"""
HINTS = ("state.json", "current.json")
VOLATILE = (*HINTS, "config.json", ".lock")  # by time and place, not by what was learned


def results(folder: Path) -> dict[str, str]:
    """The hash of every file that a study should hold in the end."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in VOLATILE and path.suffix != ".lock"
    }


def stage(name: str, folder: Path) -> None:
    """A stage of the study in a folder, in this process."""
    run_stage(name, open_study(folder), LocalEngine(1))


def forked(work: Callable[[], Any]) -> tuple[str, Any]:
    """Do something in a fork: ("killed", None), ("done", value) or ("raised", (type, text))."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            told = ("done", work())
        except BaseException as error:
            kind = "storage" if isinstance(error, StorageError) else type(error).__name__
            told = ("raised", (kind, str(error)))
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(told, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        content = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return "killed", None
    return pickle.loads(content)


def recorded(name: str, folder: Path) -> list[tuple[Any, ...]]:
    """Do a stage and return the log of its operations, promises marked."""
    operations = Operations(folder.resolve()).install()
    save = train_module.save_snapshot

    def saved(run: Path, step: int, *rest: Any) -> None:
        save(run, step, *rest)
        operations.mark("snapshot", str((run / "snapshots" / f"{step:09d}").relative_to(folder)))

    train_module.save_snapshot = saved
    keep = train_module.save_checkpoint

    def kept(run: Path, step: int, *rest: Any) -> None:
        keep(run, step, *rest)
        operations.mark("checkpoint", str((run / "checkpoint").relative_to(folder)), step)

    train_module.save_checkpoint = kept
    stage(name, folder)
    return operations.log


Prepared = tuple[Path, dict[str, str], list[tuple[Any, ...]]]


def prepare(folder: Path, until: str) -> Prepared:
    """A study just before a stage; what the stage leaves; and what it does on the way."""
    before, whole = folder / "before", folder / "whole"
    file = folder / "study.yaml"
    file.write_text(STUDY)
    open_study(file, before)
    for name in STAGES[: STAGES.index(until)]:
        stage(name, before)
    shutil.copytree(before, folder / "warm")
    stage(until, folder / "warm")  # what is imported and cached here is there in every fork
    if until == "report":  # draw once: forks write what was drawn
        data = ReportData(open_study(before))
        explored, made = report_module.explore(data), report_module.sections(data)
        drawn = report_module.draw_all([sketch for one in made.values() for sketch in one])
        report_module.sections = lambda data: made
        report_module.draw_all = lambda sketches, formats, workers, meanwhile: (meanwhile(), drawn)[
            1
        ]
        report_module.explore = lambda data: explored
    shutil.copytree(before, whole)
    outcome, log = forked(lambda: recorded(until, whole))
    assert outcome == "done", log
    return before, results(whole), log


def finish(name: str, folder: Path, whole: dict[str, str]) -> str | None:
    """Go on without faults; what is wrong with the end of it."""
    outcome, told = forked(lambda: stage(name, folder))
    if outcome != "done":
        return f"going on failed: {told}"
    found = results(folder)
    wrong = sorted(path for path in {*whole, *found} if whole.get(path) != found.get(path))
    return f"differs: {wrong[:3]}" if wrong else None


def broken_records(folder: Path) -> list[str]:
    """What of a study is visible and not whole; the state, which is not flushed, apart."""
    return [
        damage.reason
        for damage in verify_study(folder).damages
        if damage.path.name != "state.json" and not damage.reason.endswith(": missing")
    ]


def attempts(name: str, folder: Path, prepared: Prepared, every: int, mode: str) -> dict[str, Any]:
    """Kill (or refuse) each operation in turn, go on, compare."""
    before, whole, log = prepared
    count = sum(entry[0] != "mark" for entry in log)
    place = folder / "try"
    wrong, outcomes = [], {}
    for number in range(0, count, every):
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(before, place)
        faults = {
            "kill": {"kill_at": number},
            "full": {"refuse_at": number, "code": errno.ENOSPC, "lasting": True},
            "broken": {"refuse_at": number, "code": errno.EIO},
        }[mode]

        def attempt(faults: dict[str, Any] = faults) -> list[tuple[Any, ...]]:
            operations = Operations(place.resolve(), **faults).install()
            stage(name, place)
            return untold(operations)

        outcome, told = forked(attempt)
        key = outcome if outcome != "raised" else told[0]
        outcomes[key] = outcomes.get(key, 0) + 1
        if outcome == "raised" and told[0] != "storage":
            wrong.append(f"operation {number}: {told}")
        if outcome == "done" and _left(place):
            wrong.append(f"operation {number}: said to be done, and is not: {_left(place)}")
        if outcome == "done" and told:
            wrong.append(f"operation {number}: refused, which was not told: {told[:3]}")
        wrong += [f"operation {number}: {text}" for text in broken_records(place)]
        problem = finish(name, place, whole)
        if problem:
            wrong.append(f"operation {number}: {problem}")
    return {"operations": count, "tried": len(range(0, count, every)), **outcomes, "wrong": wrong}


def untold(operations: Operations) -> list[tuple[Any, ...]]:
    """What of the operations that were refused had to be told: all but what loses nothing.

    How far a run is and what is current are hints, which the next beat and the next stage write
    again. What is needed no more is removed by the next turn of the stage: `finish` looks at that.
    """
    log = operations.log
    return [
        log[at][:2] for at in operations.refused if not _is_hint(log, at) and not _is_past(log[at])
    ]


def _is_hint(log: list[tuple[Any, ...]], at: int) -> bool:
    operation, path, *_ = log[at]
    if operation == "fsync" and log[at - 1][0] == "rename":  # the folder, for that name's sake
        path = log[at - 1][2]
    return Path(path).name.endswith(HINTS)


def _is_past(entry: tuple[Any, ...]) -> bool:
    operation, path, *to = entry
    if operation == "rename":  # what is removed loses its name first
        return "checkpoint" in Path(path).parts and Path(to[0]).name.startswith(TEMPORARY)
    return operation in ("unlink", "rmdir") and TEMPORARY in path


def _left(folder: Path) -> list[str]:
    """The states of the runs that are not done."""
    states = [run.state for run in load_study(folder).runs.values()]
    return [str(state) for state in states if state["state"] != "done"]


def power(name: str, folder: Path, prepared: Prepared, every: int) -> dict[str, Any]:
    """Cut the power before each operation, with each fate of what was not flushed."""
    before, whole, log = prepared
    disk = Disk(before)
    place = folder / "try"
    promised: dict[str, Any] = {}
    wrong, states, finished, seen = [], 0, 0, set()
    for number, entry in enumerate(log):
        if entry[0] == "mark":
            promised[entry[2]] = entry[3] if entry[1] == "checkpoint" else None
        else:
            disk.apply(entry)
        for fate, found in disk.after_the_power_went():
            state = (sorted(found.items()), sorted(promised.items(), key=str))
            key = hashlib.sha256(pickle.dumps(state)).hexdigest()
            if key in seen:
                continue
            seen.add(key)
            states += 1
            put(found, place)
            wrong += [f"{number}, {fate}: {text}" for text in broken_records(place)]
            for path, step in promised.items():
                kept = place / path
                if step is None and not (kept / "manifest.json").is_file():
                    wrong.append(f"{number}, {fate}: {path} was promised and is lost")
                if step is not None and kept.parent.name and not _goes_on(kept, step):
                    wrong.append(f"{number}, {fate}: checkpoint {step} was promised and is lost")
            if states % every == 0:
                finished += 1
                problem = finish(name, place, whole)
                if problem:
                    wrong.append(f"{number}, {fate}: {problem}")
    return {"operations": len(log), "states": states, "gone on with": finished, "wrong": wrong}


def _goes_on(folder: Path, step: int) -> bool:
    """Whether a checkpoint of that step or a later one is there, or its run is at its end."""
    if (folder.parent / "snapshots" / "000000004" / "manifest.json").is_file():
        return True
    found = [int(p.name) for p in folder.glob("[0-9]*") if (p / "manifest.json").is_file()]
    return max(found, default=-1) >= step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("folder", type=Path)
    modes = ["kill", "full", "broken", "power"]
    parser.add_argument("--mode", choices=modes, nargs="+", default=["kill"])
    parser.add_argument("--every", type=int, nargs="+", default=[1])
    parser.add_argument("--mutation", choices=sorted(MUTATIONS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    train_module.CHECKPOINT_SECONDS = -1.0  # at every step
    state_module.HEARTBEAT_SECONDS = 0.0  # at every step: the count must not depend on time
    if arguments.mutation:
        MUTATIONS[arguments.mutation]()
    folder = arguments.folder.resolve()
    name, prepared = arguments.stage, prepare(folder, arguments.stage)
    found = [
        power(name, folder, prepared, every)
        if mode == "power"
        else attempts(name, folder, prepared, every, mode)
        for mode, every in zip(arguments.mode, arguments.every, strict=True)
    ]
    print(json.dumps(found))


if __name__ == "__main__":
    try:
        main()
    except StratigraphError as error:
        sys.exit(str(error))
