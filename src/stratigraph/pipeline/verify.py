"""Verify: every file of a study against the hash that was written with it; and repair.

What is damaged can be made anew, since a study's file and the seeds decide every bit: a run is
trained again where a snapshot is damaged, its layers read again where only those are, and so on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from stratigraph.durable import TEMPORARY
from stratigraph.engine import Engine
from stratigraph.errors import ConfigError, DataError, IntegrityError
from stratigraph.pipeline.compare import SCRATCH
from stratigraph.pipeline.progress import Progress
from stratigraph.pipeline.stages import STAGES, run_stage
from stratigraph.pipeline.train import train_study
from stratigraph.snapshots import (
    LOCK,
    MANIFEST,
    locked,
    read_json,
    read_text,
    remove_record,
    snapshot_path,
    verified,
)
from stratigraph.study import STUDY_FILE, Run, Study, load_study

__all__ = ["Damage", "Verified", "repair_study", "verify_study"]


@dataclass(frozen=True)
class Damage:
    """Something of a study that is not as it was written.

    ``path`` is the record's folder, or the file; ``stage`` the stage that makes it anew, empty for
    the study file, which only its user has.
    """

    path: Path
    reason: str
    stage: str


@dataclass(frozen=True)
class Verified:
    """What a study was found to hold."""

    files: int
    bytes: int
    damages: list[Damage]


def verify_study(folder: Path) -> Verified:
    """Compare every file of a study with its hash; nothing is parsed before, nothing written.

    Raises:
        DataError: the folder holds no study.

    """
    if not (folder / STUDY_FILE).is_file():
        load_study(folder)  # says what is missing
    files, size, damages = 0, 0, []
    for path in _items(folder):
        record = path.is_dir()
        members = [path] if not record else [entry for entry in path.iterdir() if entry.is_file()]
        try:
            _check(path)
        except FileNotFoundError:
            continue  # gone since it was listed: a writer is at work
        except (DataError, ConfigError) as error:
            damages.append(Damage(path, str(error), _stage(path.relative_to(folder))))
        files += len(members)
        size += sum(member.stat().st_size for member in members if member.is_file())
    return Verified(files, size, damages + _missing(folder))


def _missing(folder: Path) -> list[Damage]:
    """The snapshots that runs at their end should have and have not."""
    try:
        study = load_study(folder)
    except (IntegrityError, ConfigError):
        return []  # told already
    return [
        Damage(path := snapshot_path(run.path, step), f"{path}: missing", "train")
        for run in _over(study).values()
        if run.state["state"] != "diverged"
        for step in sorted(set(run.config.snapshots) - set(run.steps))
    ]


def _check(path: Path) -> None:
    if not path.is_dir():
        if path.name == STUDY_FILE:
            read_text(path)
        elif path.suffix == ".json":
            read_json(path)
        else:
            raise IntegrityError(f"{path}: no manifest covers this file; delete it, or move it.")
        return
    verified(path)
    listed = {MANIFEST, *read_json(path / MANIFEST)["files"]}
    strange = sorted(entry.name for entry in path.iterdir() if entry.name not in listed)
    if strange:
        raise IntegrityError(f"{path}: holds {strange[0]}, which its manifest does not list.")


def _items(folder: Path) -> Iterator[Path]:
    """Every record, and every file outside of records; not what writers have in the making."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = Path(entry.path)
        if entry.name.endswith(LOCK) or entry.name.startswith((TEMPORARY, SCRATCH)):
            continue
        if not entry.is_dir(follow_symlinks=False) or (path / MANIFEST).is_file():
            yield path
        else:
            yield from _items(path)


def _stage(place: Path) -> str:
    """The stage that writes what is at a place in a study's folder."""
    parts = place.parts
    if place.name == STUDY_FILE:
        return ""
    if parts[0] == "runs":
        kind = parts[2] if len(parts) > 2 else ""
        name = kind.partition("-")[0]
        stage = "extract" if name in ("representations", "observed") else "train"
    else:
        kind = parts[0]
        name = kind.partition("-")[0].partition(".")[0]
        stage = {
            "probes": "extract",
            "similarity": "compare",
            "jackknife": "compare",
            "findings": "assess",
        }.get(name, "report")
    # The published way is read by `assess`.
    return "assess" if kind.endswith("-published") else stage


def repair_study(folder: Path, found: Verified, engine: Engine, progress: Progress) -> list[Damage]:
    """Remove what is damaged, make it anew, and verify again; return what is damaged still.

    Stages that wrote nothing damaged are not run, nor are runs that were still being trained: the
    next ``stratigraph run`` goes on with those.

    Raises:
        BusyError: another process writes into the study.
        IntegrityError: the study file itself is damaged.

    """
    for damage in found.damages:
        if not damage.stage:
            raise IntegrityError(
                f"{damage.reason} Nothing else says what the study is: put it back with "
                f"`stratigraph run FILE --out {folder}`, FILE being your own copy."
            )
    study = load_study(folder)
    over = _over(study)
    with locked(folder):
        for damage in found.damages:
            if damage.path.is_dir():
                remove_record(damage.path)
            else:
                damage.path.unlink(missing_ok=True)  # it may be a snapshot that is missing
    stages = {damage.stage for damage in found.damages}
    for stage in STAGES:
        if stage == "train" and stage in stages:
            train_study(replace(study, runs=over), engine, progress)
        elif stage in stages:
            run_stage(stage, study, engine, progress)
    return verify_study(folder).damages


def _over(study: Study) -> dict[str, Run]:
    """The runs that were trained to their end, by what they say or by what they hold."""
    return {
        run_id: run
        for run_id, run in study.runs.items()
        if run.state["state"] in ("done", "diverged") or run.config.steps in run.steps
    }
