"""What is current: a stage whose inputs and outputs are what they were is not made again.

``current.json`` holds, for each stage, what it was asked and the sizes and times of the files that
it read and wrote. It is a hint and nothing more: where it is missing, or anything differs, the
stage is gone through as ever, and finds out by the hashes that it keeps what there is to do. Bytes
that were changed without a change of size or time are for ``stratigraph verify`` to find, which
reads them all.

Representations may be removed once they were compared: while the matrices stand, nothing reads them
again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import stratigraph
from stratigraph.durable import sha256
from stratigraph.errors import IntegrityError, StorageError, StratigraphError
from stratigraph.identity import digest
from stratigraph.plugins import plugin_digest
from stratigraph.records import locked, read_json, read_text, write_json
from stratigraph.stages.catalog import STAGES
from stratigraph.stages.stage import Made
from stratigraph.study.layout import CURRENT, STUDY_FILE, default_path, find_place, run_path
from stratigraph.study.origin import find_origin
from stratigraph.study.state import read_replicates, read_state

if TYPE_CHECKING:
    from stratigraph.study import Study

__all__ = [
    "find_files",
    "find_finished",
    "is_current",
    "is_finished",
    "note_current",
    "noted_headline",
    "stages_of",
]

Files = dict[str, dict[str, str]]  # stage → place → digest of its files' names, sizes and times


def find_files(study: Path) -> Files:
    """What a study's folder holds, by the stage that made it; no file is opened."""
    found: Files = {stage: {} for stage in STAGES}
    for path, stage, stamp in _places(study, study):
        if stage in found:
            found[stage][path] = stamp
    return found


def _places(study: Path, folder: Path) -> Iterator[tuple[str, str, str]]:
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue  # a lock, or something in the making
            path = Path(entry.path).relative_to(study).as_posix()
            place = find_place(path)
            if place is None and entry.is_dir():
                yield from _places(study, Path(entry.path))
            elif place is not None and place.trusted:
                yield path, place.stage, digest(sorted(_facts(entry)))


def _facts(entry: os.DirEntry[str]) -> Iterator[tuple[str, int, int]]:
    if not entry.is_dir():
        facts = entry.stat()
        yield entry.name, facts.st_size, facts.st_mtime_ns
        return
    with os.scandir(entry) as files:
        for file in files:
            facts = file.stat()
            yield file.name, facts.st_size, facts.st_mtime_ns


def _describe_inputs(study: Study) -> dict[str, Any]:
    """What stages depend on beside files: the study file, and the code, ours and the user's.

    And what the file comes to, so that `find_finished` need not read it: the stages of the study,
    and the runs that have to be trained.
    """
    with study.reading():
        code = {name: plugin_digest(name) for name in study.config.plugins()}
    return {
        "study": digest(study.config.text),
        "replicates": study.config.replicates,
        "code": {**code, "stratigraph": _own_code()},
        "stages": stages_of(study),
        "runs": [] if study.config.recorded else list(study.runs),
    }


@cache
def _own_code() -> str:
    package = Path(stratigraph.__file__).parent
    files = [path for path in sorted(package.rglob("*")) if path.suffix in (".py", ".html", ".js")]
    return digest([sha256(path) for path in files])


def _read_notes(study: Path) -> dict[str, Any]:
    try:
        return read_json(study / CURRENT) if (study / CURRENT).is_file() else {}
    except IntegrityError:
        return {}


def is_current(
    study: Study,
    stages: Iterable[str],
    files: Files,
    options: Mapping[str, Any] | None = None,
    *,
    whole: bool = False,
) -> bool:
    """Whether there is nothing to do for stages of a study.

    Args:
        study: that they are of.
        stages: which.
        files: what `find_files` found just now.
        options: what they are asked for that has to be as it was.
        whole: whether what may go once it was compared has to be there too.

    """
    return _are_current(study.path, _describe_inputs(study), stages, files, options or {}, whole)


def _are_current(
    study: Path,
    asked: Mapping[str, Any],
    stages: Iterable[str],
    files: Files,
    options: Mapping[str, Any],
    whole: bool,
) -> bool:
    noted = _read_notes(study)
    for stage in stages:
        held, one = noted.get(stage), STAGES[stage]
        if held is None or held["asked"] != asked or not one.ended(study, asked["runs"]):
            return False
        # A disk may refuse to remove what was replaced: the stage's next turn does.
        if not one.is_cleared(study, asked["runs"]):
            return False
        if any(held["options"].get(key) != value for key, value in options.items()):
            return False
        now = {path: stamp for own in (stage, *one.needs) for path, stamp in files[own].items()}
        other = now.items() - held["files"].items()
        # Of the probes that another way of reading keeps there, nobody else reads anything.
        if any(path in held["files"] or not path.startswith("probes/") for path, _ in other):
            return False  # something is new, or was changed
        for place in {find_place(path) for path in held["files"].keys() - now.keys()}:
            if place is None or place.until not in STAGES:
                return False
            if place.stage == stage and (
                whole or not _are_current(study, asked, [place.until], files, {}, False)
            ):
                return False  # it is asked for, or needed again
    return True


def stages_of(study: Study) -> list[str]:
    """The stages of a study: findings are judged where it is compared by what they read."""
    judged = study.way.cka in [measure.name for measure in study.config.measures]
    return [stage for stage in STAGES if stage != "assess" or judged]


def is_finished(study: Study) -> bool:
    """Whether every stage of a study is current: nothing would be read, run or written.

    Of one at a URL nobody knows it without asking there.
    """
    here = find_origin(study.path) is None
    return here and is_current(study, stages_of(study), find_files(study.path))


def find_finished(source: Path, out: Path | None = None) -> tuple[Path, list[str]] | None:
    """The folder and the headline of a study that is finished, every run done; None if unsure.

    The study is not opened, which would import for seconds what it takes to compute.

    Args:
        source: a study's folder, or a study file.
        out: the folder of a study file's study, as `stratigraph.stages.open_study` takes it.

    """
    folder = source if source.is_dir() else out or default_path(source)
    noted = _read_notes(folder).get("report", {})
    asked = noted.get("asked", {})
    if asked.get("code") != {"stratigraph": _own_code()} or (folder is source and out is not None):
        return None  # modules of the user's are for who opens the study
    try:
        text = read_text(folder / STUDY_FILE)
        given = text if folder is source else source.read_text("utf-8")
        more = read_replicates(folder) > (asked["replicates"] or 0)
        states = {read_state(run_path(folder, run))["state"] for run in asked["runs"]}
        same = digest(text) == asked["study"] and text.rstrip() == given.rstrip()
        if not same or more or states != {"done"} or find_origin(folder) is not None:
            return None
        current = _are_current(folder, asked, asked["stages"], find_files(folder), {}, False)
    except (StratigraphError, OSError, LookupError, ValueError):
        return None
    return (folder, _headline(noted)) if current else None


def note_current(study: Study, stage: str, before: Files, made: Made) -> None:
    """Write down that a stage is done, and what of.

    Args:
        study: that it is of.
        stage: its name.
        before: what `find_files` found before it began. What others have written since was not
            read, so it must not be noted as that.
        made: what came of it.

    """
    from stratigraph.records import remove_leftovers

    own = find_files(study.path)[stage]
    for name in STAGES[stage].needs:
        own |= before[name]
    held = {"asked": _describe_inputs(study), "options": made.options, "files": own, **made.facts}
    # A hint that cannot be kept is one that is not there.
    with contextlib.suppress(StorageError), locked(study.path, "current", wait=True):
        remove_leftovers(study.path, of=CURRENT)
        write_json(study.path / CURRENT, {**_read_notes(study.path), stage: held})


def noted_headline(study: Study) -> list[str] | None:
    """The lines that were printed when the report was written, if it is current."""
    if not is_current(study, ["report"], find_files(study.path)):
        return None
    return _headline(_read_notes(study.path)["report"])


def _headline(noted: Mapping[str, Any]) -> list[str]:
    return [str(line) for line in noted.get("headline", ())]
