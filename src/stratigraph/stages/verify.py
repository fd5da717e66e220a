"""Verify: every file of a study against the hash that was written with it.

What is damaged is named with the stage that makes it anew (`stratigraph.stages.repair`); what we
did not write is named, and left alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from stratigraph.durable import TEMPORARY
from stratigraph.errors import ConfigError, DataError, IntegrityError, UnsafeFileError
from stratigraph.paths import check_path
from stratigraph.records import (
    LOCK,
    MANIFEST,
    read_json,
    read_text,
    record_exists,
    snapshot_path,
    unlisted,
    verified,
)
from stratigraph.stages.compare import SCRATCH
from stratigraph.stages.drift import CONFIG
from stratigraph.study import STUDY_FILE, Run, Study, load_study, metrics_path, representations_path
from stratigraph.study.exported import Export, find_export
from stratigraph.study.layout import EXPORT, find_place, is_root
from stratigraph.study.origin import REMOTE
from stratigraph.study.state import CUT_SHORT
from stratigraph.training import RecordedConfig

__all__ = ["Damage", "Verified", "check_item", "find_ended", "is_once", "verify_study"]

# How the store ends what it says of damage, which is not so of what was recorded.
MADE_ANEW = " `stratigraph verify STUDY --repair` makes it again."


@dataclass(frozen=True)
class Damage:
    """Something of a study that is not as it was written.

    ``path`` is the record's folder, or the file; ``stage`` the stage that makes it anew.
    """

    path: Path
    reason: str
    stage: str


@dataclass(frozen=True)
class Verified:
    """What a study was found to hold; ``strange`` is what is in its folder and not of it.

    ``unread`` is why its runs are not known, so that nothing was looked for that they should hold;
    ``unchecked`` is why there was nothing to compare its files with.
    """

    files: int
    bytes: int
    ended: int
    runs: int
    damages: list[Damage]
    strange: list[Path]
    unread: str = ""
    unchecked: str = ""


def verify_study(folder: Path) -> Verified:
    """Compare every file of a study with its hash; nothing is written.

    Of a run at its end, snapshots, losses and configuration are looked for too. What else is not
    there counts as not made yet.

    Raises:
        DataError: the folder holds no study.

    """
    if not (check_path(folder) / STUDY_FILE).is_file():
        load_study(folder)  # says what is missing
    export = find_export(folder)
    if export is not None:
        return _verify_export(export)
    files, size = 0, 0
    damages, strange = [], []
    for path in _items(folder, folder, set()):
        place = find_place(path.relative_to(folder).as_posix())
        if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
            damages.append(Damage(path, f"{path}: this user may not look into it.", ""))
            continue
        if place is None:
            strange.append(path)
        if place is None or not place.trusted:
            continue
        try:
            members = list(path.iterdir()) if path.is_dir() else [path]
            size += sum(member.stat().st_size for member in members)
            files += len(members)
            check_item(path)
            if path.is_dir():
                strange += [path / name for name in unlisted(path)]
        except (DataError, ConfigError, OSError) as error:
            if path.exists():  # else a writer has removed or replaced it since it was listed
                damages.append(Damage(path, str(error), place.stage))
    try:
        study = load_study(folder)
    except (DataError, ConfigError, UnsafeFileError, OSError) as error:
        return Verified(files, size, 0, 0, damages, strange, str(error))
    over = find_ended(study)
    known = {damage.path for damage in damages}
    for path in (path for run in over.values() for path in _list_due(run)):
        place = find_place(path.relative_to(folder).as_posix())
        if place is not None and path not in known and not (record_exists(path) or path.is_file()):
            damages.append(Damage(path, f"{path}: missing", place.stage))
    if study.config.recorded:
        damages = [_tell_loss(folder, damage) for damage in damages]
    return Verified(files, size, len(over), len(study.runs), damages, strange)


def _verify_export(export: Export) -> Verified:
    """Every file that an export lists against its hash; older exports list none."""
    damages = []
    listed = export.about.get("files", {})
    for name in listed:
        try:
            export.read(name)
        except DataError as error:
            damages.append(Damage(export.folder / name, str(error), ""))
    there = [path for path in sorted(export.folder.rglob("*")) if path.is_file()]
    size = sum(path.stat().st_size for path in there)
    if not export.about:
        older = "it is an export of an older version, which kept no hashes to compare with"
        return Verified(len(there), size, 0, 0, [], [], unchecked=older)
    places = {export.folder / name for name in (*listed, EXPORT)}
    strange = [path for path in there if path not in places]
    count = len(export.configs)
    return Verified(len(there), size, count, count, damages, strange)


def check_item(path: Path) -> None:
    """Read a record, or a file that stands alone, against its hash; raises what reading it does."""
    if path.is_dir():
        verified(path)
    elif path.name == STUDY_FILE:
        read_text(path)
    elif path.suffix == ".json":
        read_json(path)
    else:
        raise IntegrityError(f"{path}: expected a record's folder, found a file.")


def _items(study: Path, folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """Every record, and every file outside of records; not what writers have in the making.

    A link where we put things is followed, since a user may have them on another disk, and of what
    it leads to our own things alone are told; any other link is told as what it is.
    """
    here = folder.stat()
    if (here.st_dev, here.st_ino) in seen:
        return
    seen.add((here.st_dev, here.st_ino))
    try:
        with os.scandir(folder) as entries:
            found = sorted(entry.name for entry in entries)
    except FileNotFoundError:
        return
    except OSError:  # a folder that this user may not look into: told as damage
        yield folder
        return
    for name in found:
        path = folder / name
        if name.endswith(LOCK) or name.startswith((TEMPORARY, SCRATCH, REMOTE)):
            continue
        place = path.relative_to(study)
        way = (place, *list(place.parents)[:-1])
        known = find_place(place.as_posix()) or (path.is_dir() and is_root(place.parts[0]))
        if not known and any((study / part).is_symlink() for part in way):
            if path.is_symlink():
                yield path
            continue
        if path.is_dir() and not (path / MANIFEST).is_file():
            yield from _items(study, path, seen)
        else:
            yield path


def find_ended(study: Study) -> dict[str, Run]:
    """The runs that were trained to their end, by what they say or by what they hold."""
    return {
        run_id: run
        for run_id, run in study.runs.items()
        if run.state["state"] in ("done", *CUT_SHORT) or run.config.steps in run.steps
    }


def _list_due(run: Run) -> Iterator[Path]:
    """What a run at its end holds; of a recorded one the representations, which nobody can read."""
    yield run.path / CONFIG
    if isinstance(run.config, RecordedConfig):
        for step in run.config.snapshots:
            yield representations_path(run.path, step)
    if run.state["state"] not in CUT_SHORT:
        yield metrics_path(run.path)
        for step in run.config.snapshots:
            yield snapshot_path(run.path, step)


def is_once(folder: Path, damage: Damage) -> bool:
    """Whether it is of what nothing can make again where a study was recorded."""
    place = find_place(damage.path.relative_to(folder).as_posix())
    return place is not None and place.once


def _tell_loss(folder: Path, damage: Damage) -> Damage:
    """Damage to what a recorded run alone has, with what to remove to do without it."""
    place = damage.path.relative_to(folder)
    if not is_once(folder, damage):
        return damage
    run = folder / place.parts[0] / place.parts[1]
    gone = str(run)
    if place.parts[2] in ("snapshots", "representations"):
        step = int(damage.path.name)
        gone = f"both {snapshot_path(run, step)} and {representations_path(run, step)}"
    damaged = damage.reason.removesuffix(MADE_ANEW).removesuffix(".")
    reason = (
        f"{damaged}. It was recorded while a network was trained "
        f"elsewhere, so nothing can make it again. To do without it, remove {gone}."
    )
    return replace(damage, reason=reason)
