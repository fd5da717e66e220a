"""A study, opened to go on with: from its folder, or from a study file, whose folder is begun."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from stratigraph.errors import (
    ConfigError,
    DataError,
    IntegrityError,
    StorageError,
    StratigraphError,
)
from stratigraph.home import find_folder, find_home
from stratigraph.plugins import naming_only
from stratigraph.records import read_json, read_text, write_text
from stratigraph.renamed import takes_former
from stratigraph.study import CONFIG, STUDY_FILE, Study, StudyConfig, load_config, load_study
from stratigraph.study.exported import find_export
from stratigraph.study.layout import default_path
from stratigraph.study.parse import MOST_HELD
from stratigraph.study.state import read_replicates
from stratigraph.training import any_config
from stratigraph.trust import note_trust

__all__ = ["open_study"]


@takes_former(max_runs="most_runs")
def open_study(
    source: str | Path,
    out: str | Path | None = None,
    max_runs: int = 1000,
    *,
    trust: bool = False,
    check: Callable[[StudyConfig, bool], None] | None = None,
    begin: bool = True,
) -> Study:
    """The study in a folder, to go on with; or a study file's, whose folder is made when it is new.

    A file that is given is the user's own, and its study is known as that from then on
    (`stratigraph.trust`). What it asks for is tried before its folder is begun: its data, networks,
    probes and layers.

    Args:
        source: a study's folder or URL, or a study file.
        out: the folder or URL of a study file's study; by default ``results/<file's name>``.
        max_runs: a larger grid is refused.
        trust: run the modules that a folder's study names, whoever made it.
        check: raises where the study cannot be run here; it is told whether the study was begun,
            and nothing is written before.
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
            raise ConfigError(f"--out: {path} is a study's folder itself; run it without --out.")
        _check_begun(path)
        study = load_study(path, trust)
        study.require_plugins()
        if check is not None:
            check(study.config, True)
        return study
    if not path.exists():
        raise DataError(f"{path}: no such study file or folder.")
    config = load_config(path, max_runs)
    folder = default_path(path) if out is None else find_folder(out)
    _check_begun(folder)
    if (count := read_replicates(folder)) > (config.replicates or count):
        config = load_config(path, MOST_HELD, count)
    if check is not None:
        check(config, (folder / STUDY_FILE).is_file())
    if (folder.exists() or folder.is_symlink()) and not folder.is_dir():
        raise StorageError(f"{folder}: expected a folder, or nothing; choose another --out.")
    held, text = folder / STUDY_FILE, None
    if held.is_file():
        with contextlib.suppress(IntegrityError):  # then the given file takes its place
            text = read_text(held)
    if text is None and not begin:
        raise DataError(
            f"{folder}: there is no study there; `stratigraph run {path} --out {folder}` does "
            "everything."
        )
    _check_runs(folder, config, path)
    home = find_home(folder)
    kept = text is not None and text.rstrip() == config.text.rstrip()
    if not kept:
        from stratigraph.stages.train import check_reading  # a second of imports, for a new study

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
            "(`list`, `show`, `verify`, `report --out`, load_study). To run the study again, run "
            "the export's study.yaml with another --out."
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
            f"{folder}: holds a study with {len(lost)} runs that {path} lacks ({names}…); its "
            "configuration differs. Choose another --out, or restore the old values."
        )


def _label(run: Path) -> str:
    try:
        with naming_only(run):
            return any_config(read_json(run / CONFIG)["config"]).label()
    except StratigraphError:
        return run.name
