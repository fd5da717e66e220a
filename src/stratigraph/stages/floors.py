"""Floors: the held-out error of the best constant answers, kept in the study's ``floors.json``.

By them a run is said to have learned or not (`stratigraph.evidence.learned`). They need the data,
which are at hand when layers are read; of a study that an earlier version read, assessing keeps
them where the data are on this machine, and says why where they are not.
"""

from __future__ import annotations

from typing import Any

from stratigraph.data import what_is_here
from stratigraph.errors import DataError, StratigraphError
from stratigraph.records import read_json, remove_leftovers, write_json
from stratigraph.records.files import FORMAT
from stratigraph.study import CONFIG, Run, Study
from stratigraph.study.floors import read_floors
from stratigraph.study.layout import FLOORS
from stratigraph.training import floor_key, floors_of

__all__ = ["keep_floors"]


def keep_floors(study: Study) -> None:
    """Keep the floors of a study's runs that are not kept yet, for who holds its lock.

    Raises:
        StorageError: the disk would not take them.

    """
    if study.config.recorded or study.export is not None:
        return
    remove_leftovers(study.path, of=FLOORS)
    held = read_floors(study)
    runs = {floor_key(run.config): run for run in study.runs.values()}
    found: dict[str, Any] = {
        key: _measure(run) for key, run in runs.items() if "of" not in held.get(key, {})
    }
    if any(held.get(key) != one for key, one in found.items()):
        write_json(study.path / FLOORS, {"format": FORMAT, "floors": {**held, **found}})


def _measure(run: Run) -> dict[str, Any]:
    """The floors of a run's held-out images, or why there are none."""
    about = {"data": dict(run.config.data)}
    try:
        with what_is_here():
            dataset = run.dataset()
            _check_data(run, dataset.fingerprint)
            return {**about, "of": floors_of(run.config, dataset)}
    except StratigraphError as error:
        return {**about, "why": str(error)}


def _check_data(run: Run, now: str) -> None:
    """Refuse data that are not those that the run was trained on."""
    if not (run.path / CONFIG).is_file():
        return
    kept = read_json(run.path / CONFIG)
    begun = [kept.get("conditions", {}), *(mark["conditions"] for mark in kept.get("drift", []))]
    if begun[-1].get("data", now) not in (now, "unknown"):
        raise DataError("the data have changed since the run was trained")
