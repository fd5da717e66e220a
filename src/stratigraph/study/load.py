"""A study, opened from its folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stratigraph.errors import DataError
from stratigraph.paths import check_path
from stratigraph.plugins import beside, forbid_folder, naming_only
from stratigraph.records import read_json, read_text, snapshot_steps
from stratigraph.study.exported import Export, find_export
from stratigraph.study.layout import CONFIG, STUDY_FILE, run_path
from stratigraph.study.parse import MOST_HELD, parse_config
from stratigraph.study.run import Run
from stratigraph.study.state import read_replicates
from stratigraph.study.study import Study
from stratigraph.study.yaml_file import check_size, parse_yaml
from stratigraph.training import RunConfig, any_config
from stratigraph.trust import trusted_folder

__all__ = ["load_study"]


def load_study(path: str | Path, trust: bool = False) -> Study:
    """The study in a folder.

    A study that names modules imports them where you made it on this machine, or trust it;
    otherwise it opens for reading without (`stratigraph.plugins`), and its runs are those that
    stand in its folder. An export opens for reading alone.

    Args:
        path: the folder.
        trust: import and run the modules that the study names, whoever made it.

    Raises:
        DataError: the folder holds no study.
        ConfigError: its study file is not valid, or a newer version wrote it.
        IntegrityError: its study file is damaged, or was changed where it lies.

    """
    folder = check_path(path)
    forbid_folder(folder)
    held = folder / STUDY_FILE
    export = find_export(folder)
    if not held.is_file():
        raise DataError(
            f"{path}: there is no study here ({STUDY_FILE} is missing); make one with "
            "`stratigraph run FILE --out DIR`."
        )
    check_size(held)
    text = read_text(held) if export is None else export.text()
    made_here = trusted_folder(text)
    if made_here is not None:
        beside(made_here)
    trusted = trust or made_here is not None
    with naming_only(None if trusted else folder):
        count = read_replicates(folder) if export is None else export.replicates()
        config = parse_config(parse_yaml(text, str(held)), text, MOST_HELD, count)
    named = config.plugins()
    if config.recorded or (named and not trusted):
        # Which options of a module are its defaults, and so a run's id, is for the module to say.
        with naming_only(folder):
            runs = _kept_runs(folder) if export is None else _exported_runs(export)
        config = replace(config, runs=tuple(runs))
    found = {run.run_id: Run(run_path(folder, run.run_id), run, export) for run in config.runs}
    return Study(folder, config, found, export=export, trusted=trusted)


def _kept_runs(folder: Path) -> list[RunConfig]:
    """The runs that stand in a folder, each as far as it got, in the order in which they began."""
    found = [path for path in (folder / "runs").glob("*") if (path / CONFIG).is_file()]
    about = [(read_json(path / CONFIG), path) for path in found]
    about.sort(key=lambda one: (one[0].get("began", 0.0), one[1].name))
    return [any_config(facts["config"], tuple(snapshot_steps(path))) for facts, path in about]


def _exported_runs(export: Export) -> list[RunConfig]:
    return [
        any_config(values, tuple(export.steps(run_id))) for run_id, values in export.configs.items()
    ]
