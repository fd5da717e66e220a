"""A study from its file to its report: the stages, in their order.

Each stage reads the study's folder, writes into it, and skips what is there already; so the same
call again goes on where the last one stopped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from stratigraph.engine import Engine, LocalEngine
from stratigraph.errors import (
    ConfigError,
    DataError,
    IntegrityError,
    StorageError,
    StratigraphError,
)
from stratigraph.home import Home, find_folder, find_home
from stratigraph.pipeline.assess import assess_study
from stratigraph.pipeline.compare import compare_study
from stratigraph.pipeline.disentangle import score_latents
from stratigraph.pipeline.drift import CONFIG
from stratigraph.pipeline.extract import extract_study
from stratigraph.pipeline.observe import observe_study
from stratigraph.pipeline.progress import Progress
from stratigraph.pipeline.train import train_study
from stratigraph.report import write_report
from stratigraph.snapshots import read_json, read_text, remove_leftovers, write_text
from stratigraph.study import STUDY_FILE, Study, StudyConfig, load_config, load_study
from stratigraph.training import any_config

__all__ = ["STAGES", "open_study", "run_stage", "run_study"]

DEFAULT_PARENT = "results"


def open_study(source: str | Path, out: str | Path | None = None, most_runs: int = 1000) -> Study:
    """The study in a folder; or a study file's, whose folder is made when it is new.

    Args:
        source: a study's folder or URL, or a study file.
        out: the folder or URL of a study file's study; by default ``results/<file's name>``.
        most_runs: a larger grid is refused.

    Raises:
        ConfigError: the file is not a study, or the folder holds another one.
        DataError: there is no such file or folder.
        StorageError: the folder's path is a file.

    """
    path = find_folder(source, new=False)
    if path.is_dir():
        if out is not None and find_folder(out).resolve() != path.resolve():
            raise ConfigError(f"--out: {path} is a study's folder itself; leave --out away.")
        return load_study(path)
    if not path.exists():
        raise DataError(f"{path}: no such study file or folder.")
    config = load_config(path, most_runs)
    folder = Path(DEFAULT_PARENT, path.stem) if out is None else find_folder(out)
    if (folder.exists() or folder.is_symlink()) and not folder.is_dir():
        raise StorageError(f"{folder}: expected a folder, or nothing; choose another --out.")
    held, text = folder / STUDY_FILE, None
    if held.is_file():
        with contextlib.suppress(IntegrityError):  # then the given file takes its place
            text = read_text(held)
    _check_runs(folder, config, path)
    home = find_home(folder)
    kept = text is not None and text.rstrip() == config.text.rstrip()
    if not (kept and home.is_published(held)):  # a process may have been killed between the two
        home.keep_study_file(lambda: write_text(held, config.text))
    return load_study(folder)


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


def _assess(study: Study, home: Home, engine: Engine, progress: Progress) -> None:
    if study.way.cka not in study.measures():
        progress.say(f"findings: none, since {study.way.cka} is not among the measures")
        return
    assess_study(study, engine, progress)


def _report(study: Study, home: Home, engine: Engine, progress: Progress) -> None:
    with home.writing("report"):
        for name in ("figures", "report"):
            remove_leftovers(study.path, of=name)
        path = write_report(study)
    progress.say(f"report: {path}")


_WORK: dict[str, Callable[[Study, Home, Engine, Progress], None]] = {
    "extract": _extract,
    "compare": _compare,
    "assess": _assess,
    "report": _report,
}
STAGES = ("train", *_WORK)


def run_stage(
    stage: str,
    study: Study,
    engine: Engine | None = None,
    progress: Progress | None = None,
    device: str = "cpu",
    allow_drift: bool = False,
) -> None:
    """One stage of a study: ``train``, ``extract``, ``compare``, ``assess`` or ``report``.

    Of a study at a URL other machines train, and this one does the rest from its working copy.
    """
    engine, progress = engine or LocalEngine(), progress or Progress(quiet=True)
    home = find_home(study.path)
    if home.apart and stage != "train" and engine.name != "local":
        engine = LocalEngine()
    with progress.showing():
        if stage == "train" and study.config.recorded:
            progress.say("training: recorded elsewhere; there is nothing to train")
        elif stage == "train":
            with home.writing("train"):
                train_study(study, engine, progress, device, allow_drift=allow_drift)
        else:
            _WORK[stage](study, home, engine, progress)


def run_study(
    source: str | Path,
    out: str | Path | None = None,
    *,
    engine: Engine | None = None,
    progress: Progress | None = None,
    device: str = "cpu",
    allow_drift: bool = False,
    most_runs: int = 1000,
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

    Raises:
        ConfigError: the study cannot be run as written.
        DataError: its data are missing or damaged.
        KeyboardInterrupt: by Ctrl-C; all that was done is saved, and the same call goes on.

    """
    study = open_study(source, out, most_runs)
    engine = engine or LocalEngine()
    for stage in STAGES:
        run_stage(stage, study, engine, progress, device, allow_drift)
    return study
