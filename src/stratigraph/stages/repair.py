"""Repair: what is damaged is removed, and made anew.

A study's file and the seeds decide every bit: a run is trained again where a snapshot is damaged,
its layers are read again where only those are, and so on.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stratigraph.engine import Engine
from stratigraph.errors import ConfigError, DataError, IntegrityError
from stratigraph.records import locked, remove_record
from stratigraph.stages.catalog import STAGES
from stratigraph.stages.drift import CONFIG, check_repairable
from stratigraph.stages.progress import Progress
from stratigraph.stages.run import run_stage
from stratigraph.stages.train import train_study
from stratigraph.stages.verify import (
    Damage,
    Verified,
    check_item,
    find_ended,
    is_once,
    verify_study,
)
from stratigraph.study import load_study
from stratigraph.study.exported import find_export
from stratigraph.study.layout import LOOKS, REPLICATES

__all__ = ["repair_study"]


def repair_study(
    folder: Path,
    found: Verified,
    engine: Engine,
    progress: Progress,
    device: str = "cpu",
    trust: bool = False,
) -> list[Damage]:
    """Remove what is damaged, make it anew, and verify again; return what is damaged still.

    Stages that wrote nothing damaged are not run, nor are runs that were still being trained: the
    next ``stratigraph run`` goes on with those.

    Args:
        folder: the study's.
        found: what `verify_study` found.
        engine: where stages run.
        progress: says what is going on.
        device: that runs are trained on; theirs, or nothing is removed.
        trust: run the modules that the study names, whoever made it.

    Raises:
        UntrustedError: the study names modules, and is not known to be the user's own.
        BusyError: another process writes into the study.
        ConfigError: a run would not come out as it was, under the conditions that are now; nothing
            has been removed.
        IntegrityError: the study file itself is damaged.

    """
    for damage in found.damages:
        if damage.path == folder / REPLICATES:
            raise IntegrityError(
                f"{folder / REPLICATES}: damaged. Remove it: the study then has the replicates "
                "of its file; replicates added again are already trained."
            )
        if damage.path == folder / LOOKS:
            raise IntegrityError(
                f"{folder / LOOKS}: damaged, and nothing else records the planned looks of the "
                "study. Without it, findings count as those of a fixed number of replicates."
            )
        if not damage.stage:
            raise IntegrityError(
                f"{damage.reason} Nothing else says what the study is: restore it with "
                f"`stratigraph run FILE --out {folder}`, FILE being your own copy."
                if find_export(folder) is None
                else f"{damage.reason} Nothing here can make it again."
            )
    study = load_study(folder, trust)
    study.require_plugins()
    for damage in found.damages:
        if study.config.recorded and is_once(folder, damage):
            raise IntegrityError(damage.reason)
    over = find_ended(study)
    hurt = {d.path.relative_to(folder).parts[1] for d in found.damages if d.stage == "train"}
    damaged = {damage.path for damage in found.damages}
    for run_id in hurt & over.keys():
        run = over[run_id]
        if run.path / CONFIG not in damaged:
            check_repairable(run.path, run.config, device)
    with locked(folder), locked(folder, "train"):
        for damage in found.damages:
            _remove(damage)
        stages = {damage.stage for damage in found.damages}
        if "train" in stages:
            again = {run_id: run for run_id, run in over.items() if run_id in hurt}
            train_study(replace(study, runs=again), engine, progress, device)
    for stage in STAGES:
        if stage != "train" and stage in stages:
            run_stage(stage, study, engine, progress, anew=True)
    return verify_study(folder).damages


def _remove(damage: Damage) -> None:
    """Remove what is damaged, if it still is."""
    try:
        check_item(damage.path)
    except (DataError, ConfigError, OSError):
        if damage.path.is_dir():
            remove_record(damage.path)
        else:
            damage.path.unlink(missing_ok=True)  # it may be missing; that is what was found
