"""A study from its file to its report: the stages, in their order.

Each stage reads the study's folder, writes into it, and skips what is there already; so the same
call again goes on where the last one stopped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from stratigraph.engine import Engine, LocalEngine
from stratigraph.errors import (
    ConfigError,
    DataError,
    IntegrityError,
    StorageError,
    StratigraphError,
)
from stratigraph.home import Home, find_folder, find_home
from stratigraph.plugins import naming_only
from stratigraph.records import read_json, read_text, remove_leftovers, write_text
from stratigraph.report import check_formats, drawn_formats, headline, write_report
from stratigraph.stages.assess import assess_study
from stratigraph.stages.compare import compare_study
from stratigraph.stages.current import (
    STAGES,
    find_files,
    is_current,
    is_finished,
    is_trained,
    note_current,
    stages_of,
)
from stratigraph.stages.drift import CONFIG
from stratigraph.stages.extract import extract_study
from stratigraph.stages.observe import observe_study
from stratigraph.stages.progress import Progress
from stratigraph.stages.score import score_latents
from stratigraph.stages.train import check_reading, train_study
from stratigraph.study import PUBLISHED, STUDY_FILE, Study, StudyConfig, load_config, load_study
from stratigraph.study.exported import find_export
from stratigraph.training import any_config
from stratigraph.trust import note_trust

__all__ = ["STAGES", "open_study", "run_stage", "run_study"]

DEFAULT_PARENT = "results"


def open_study(
    source: str | Path,
    out: str | Path | None = None,
    most_runs: int = 1000,
    *,
    trust: bool = False,
    check: Callable[[StudyConfig], None] | None = None,
    begin: bool = True,
) -> Study:
    """The study in a folder, to go on with; or a study file's, whose folder is made when it is new.

    A file that is given is the user's own, and its study is known as that from then on
    (`stratigraph.trust`). What it asks for is tried before its folder is begun: its data, networks,
    probes and layers.

    Args:
        source: a study's folder or URL, or a study file.
        out: the folder or URL of a study file's study; by default ``results/<file's name>``.
        most_runs: a larger grid is refused.
        trust: run the modules that a folder's study names, whoever made it.
        check: raises where the study cannot be run here; nothing was written then.
        begin: whether the folder is made where it is new.

    Raises:
        UntrustedError: the folder's study names modules, and is not known to be the user's own.
        ConfigError: the file is not a study, it cannot be run, or the folder holds another one or
            an export.
        DataError: there is no such file or folder, or the study's data are not there.
        StorageError: the folder's path is a file.

    """
    path = find_folder(source, new=False)
    if path.is_dir():
        if out is not None and find_folder(out).resolve() != path.resolve():
            raise ConfigError(f"--out: {path} is a study's folder itself; leave --out away.")
        _check_begun(path)
        study = load_study(path, trust)
        study.require_plugins()
        if check is not None:
            check(study.config)
        return study
    if not path.exists():
        raise DataError(f"{path}: no such study file or folder.")
    config = load_config(path, most_runs)
    if check is not None:
        check(config)
    folder = Path(DEFAULT_PARENT, path.stem) if out is None else find_folder(out)
    _check_begun(folder)
    if (folder.exists() or folder.is_symlink()) and not folder.is_dir():
        raise StorageError(f"{folder}: expected a folder, or nothing; choose another --out.")
    held, text = folder / STUDY_FILE, None
    if held.is_file():
        with contextlib.suppress(IntegrityError):  # then the given file takes its place
            text = read_text(held)
    if text is None and not begin:
        raise DataError(
            f"{folder}: no study was begun there; `stratigraph run {path} --out {folder}` does all."
        )
    _check_runs(folder, config, path)
    home = find_home(folder)
    kept = text is not None and text.rstrip() == config.text.rstrip()
    if not kept:
        check_reading(config, config.runs)
    if not (kept and home.is_published(held)):  # a process may have been killed between the two
        home.keep_study_file(lambda: write_text(held, config.text))
    if config.plugins():
        note_trust(config.text, path.parent)
    return load_study(folder, trust=True)


def _check_begun(folder: Path) -> None:
    """Refuse to go on with an export: what it lacks would be trained anew."""
    if find_export(folder) is not None:
        raise ConfigError(
            f"{folder}: is an export of a study, without its weights: it opens for reading "
            "(`list`, `show`, `verify`, load_study). To run the study anew, run the export's "
            "study.yaml with another --out."
        )


def _check_runs(folder: Path, config: StudyConfig, path: Path) -> None:
    """A study may gain runs, probes and measures; it may not lose a run that was trained."""
    if config.recorded:
        return  # its runs are those that stand there
    wanted = {run.run_id for run in config.runs}
    lost = [run for run in (folder / "runs").glob("[!.]*") if run.name not in wanted]
    if lost:
        names = "; ".join(_label(run) for run in sorted(lost)[:3])
        raise ConfigError(
            f"{folder}: holds a study with {len(lost)} runs that {path} has not ({names}…); "
            "its configuration differs. Choose another --out, or put the old values back."
        )


def _label(run: Path) -> str:
    try:
        with naming_only(run):
            return any_config(read_json(run / CONFIG)["config"]).label()
    except StratigraphError:
        return run.name


def _extract(study: Study, home: Home, engine: Engine, progress: Progress) -> None:
    with home.writing():
        extract_study(study, engine, progress)
        observe_study(study, engine, progress)
        score_latents(study, engine, progress)


def _compare(study: Study, home: Home, engine: Engine, progress: Progress) -> None:
    with home.writing():
        compare_study(study, engine, progress)


def _report(
    study: Study,
    home: Home,
    engine: Engine,
    progress: Progress,
    formats: Iterable[str] | None,
) -> None:
    # It is drawn here, wherever tasks run: on as many cores as they may take of this machine.
    workers = engine.workers if engine.name == "local" else None
    with home.writing("report"):
        for name in ("figures", "report"):
            remove_leftovers(study.path, of=name)
        path = write_report(study, formats=formats, workers=workers)
    progress.say(f"report: {path}")


_WORK: dict[str, Callable[[Study, Home, Engine, Progress], None]] = {
    "extract": _extract,
    "compare": _compare,
}


def run_stage(
    stage: str,
    study: Study,
    engine: Engine | None = None,
    progress: Progress | None = None,
    device: str = "cpu",
    allow_drift: bool = False,
    formats: Iterable[str] | None = None,
    published: bool = False,
    anew: bool = False,
) -> None:
    """One stage of a study: ``train``, ``extract``, ``compare``, ``assess`` or ``report``.

    Of a study at a URL other machines train, and this one does the rest from its working copy.
    A stage that is current (`stratigraph.stages.current`) is left as it is.

    Args:
        stage: its name.
        study: a study's folder, opened.
        engine: where tasks run; by default one process for each core.
        progress: by default silent.
        device: that is trained on.
        allow_drift: go on with runs that were begun under other versions, data or device.
        formats: the report's, as `stratigraph.report.write_report` takes them.
        published: whether ``assess`` judges the published way too.
        anew: go through it though it is current.

    Raises:
        UntrustedError: the study names modules, and is not known to be the user's own.

    """
    study.require_plugins()
    engine, progress = engine or LocalEngine(), progress or Progress(quiet=True)
    asked: dict[str, Any] = {"published": True} if published else {}
    if formats is not None:
        formats = check_formats(formats)
        asked["formats"] = list(formats)
    home, before = find_home(study.path), find_files(study.path)
    if not (anew or home.apart) and is_current(study, [stage], before, asked, whole=True):
        progress.say(f"{stage}: nothing was left to do")
        return
    if home.apart and stage != "train" and engine.name != "local":
        engine = LocalEngine()
    done: dict[str, Any] = {}
    more: dict[str, Any] = {}
    with progress.showing():
        if stage == "train" and study.config.recorded:
            progress.say("training: recorded elsewhere; there is nothing to train")
        elif stage == "train":
            with home.writing("train"):
                train_study(study, engine, progress, device, allow_drift=allow_drift)
        elif stage == "assess":
            rows = assess_study(study, engine, progress, published)
            done["published"] = any(row["way"] == PUBLISHED.name for row in rows)
        elif stage == "report":
            _report(study, home, engine, progress, formats)
            done["formats"], more["headline"] = drawn_formats(study), headline(study)
        else:
            _WORK[stage](study, home, engine, progress)
    if stage != "train" or is_trained(study):
        note_current(study, stage, before, done, **more)


def run_study(
    source: str | Path,
    out: str | Path | None = None,
    *,
    engine: Engine | None = None,
    progress: Progress | None = None,
    device: str = "cpu",
    allow_drift: bool = False,
    most_runs: int = 1000,
    trust: bool = False,
) -> Study:
    """Run all stages of a study, and return it.

    Args:
        source: a study file, or the folder or URL of a study that was begun.
        out: the study's folder or URL; by default ``results/<file's name>``.
        engine: where tasks run; by default one process for each core.
        progress: by default silent.
        device: ``cpu``, ``cuda``, ``mps``, …
        allow_drift: go on with runs that were begun under other versions, data or device.
        most_runs: a larger grid is refused.
        trust: run the modules that a folder's study names, whoever made it.

    Raises:
        UntrustedError: the folder's study names modules, and is not known to be the user's own.
        ConfigError: the study cannot be run as written.
        DataError: its data are missing or damaged.
        KeyboardInterrupt: by Ctrl-C; all that was done is saved, and the same call goes on.

    """
    study = open_study(source, out, most_runs, trust=trust)
    engine, progress = engine or LocalEngine(), progress or Progress(quiet=True)
    if is_finished(study):
        progress.say("nothing was left to do")
        return study
    stages = stages_of(study)
    for stage in stages:
        if find_home(study.path).apart or not is_current(study, [stage], find_files(study.path)):
            run_stage(stage, study, engine, progress, device, allow_drift)
    if "assess" not in stages:
        progress.say(f"findings: none, since {study.way.cka} is not among the measures")
    return study
