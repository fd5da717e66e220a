"""A study from its file to its report: the stages, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from stratigraph.durable import holding
from stratigraph.engine import Engine, LocalEngine
from stratigraph.home import find_home
from stratigraph.renamed import takes_former
from stratigraph.stages.catalog import STAGES
from stratigraph.stages.current import (
    find_files,
    is_current,
    is_finished,
    note_current,
    stages_of,
)
from stratigraph.stages.drop import are_read, drop_representations
from stratigraph.stages.open import open_study
from stratigraph.stages.progress import Progress
from stratigraph.stages.stage import Made, Work
from stratigraph.study import Study

__all__ = ["run_chance", "run_stage", "run_stages", "run_study"]


def run_stage(
    stage: str,
    study: Study,
    engine: Engine | Callable[[], Engine] | None = None,
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
        engine: where tasks run, or what starts it if there is something to do; by default one
            process for each core.
        progress: how progress is shown; silent by default.
        device: that is trained on.
        allow_drift: continue runs that were begun under other versions, data or device.
        formats: the report's, as `stratigraph.report.write_report` takes them.
        published: whether ``assess`` judges the published way too.
        anew: go through it though it is current.

    Raises:
        UntrustedError: the study names modules, and is not known to be the user's own.

    """
    study.require_plugins()
    progress = progress or Progress(quiet=True)
    asked: dict[str, Any] = {"published": True} if published else {}
    if formats is not None:
        from stratigraph.report import check_formats

        formats = check_formats(formats)
        asked["formats"] = list(formats)
    home, before = find_home(study.path), find_files(study.path)
    if not (anew or home.apart) and is_current(study, [stage], before, asked, whole=True):
        progress.say(f"{stage}: nothing was left to do")
        return
    where = _start(engine)
    if home.apart and stage != "train" and where.name != "local":
        where = LocalEngine()
    with holding(study.path), progress.showing():
        made = STAGES[stage].make(
            Work(study, home, where, progress, device, allow_drift, published, formats)
        )
        note_current(study, stage, before, made)


def run_chance(
    study: Study,
    engine: Engine | Callable[[], Engine] | None = None,
    progress: Progress | None = None,
    *,
    null: int,
    within: str | None = None,
    measures: Sequence[str] = (),
) -> None:
    """What chance scores (`stratigraph.stages.chance`), kept beside a study that is compared.

    Args:
        study: a study's folder, opened; it is compared first.
        engine: as `run_stage` takes it.
        progress: how progress is shown; silent by default.
        null: permutations.
        within: a factor of the data, within whose values probes are permuted.
        measures: of the study; by default all.

    Raises:
        ConfigError: no such measure or factor, or no two runs that could be compared.

    """
    from stratigraph.stages.chance import score_chance

    progress = progress or Progress(quiet=True)
    where = _start(engine)
    whole = are_read(study)
    if not whole:  # they were dropped
        run_stage("extract", study, where, progress)
    run_stage("compare", study, where, progress)
    home, before = find_home(study.path), find_files(study.path)
    with holding(study.path):
        with progress.showing(), home.writing():
            made = score_chance(study, where, progress, null=null, within=within, measures=measures)
        if made:
            note_current(study, "compare", before, Made())
        else:
            progress.say("chance: nothing was left to do")
    if not whole:
        drop_representations(study)


@takes_former(max_runs="most_runs")
def run_study(
    source: str | Path,
    out: str | Path | None = None,
    *,
    engine: Engine | None = None,
    progress: Progress | None = None,
    device: str = "cpu",
    allow_drift: bool = False,
    max_runs: int = 1000,
    trust: bool = False,
) -> Study:
    """Run all stages of a study, and return it.

    Args:
        source: a study file, or the folder or URL of an existing study.
        out: the study's folder or URL; by default ``results/<file's name>``.
        engine: where tasks run; by default one process per core.
        progress: how progress is shown; silent by default.
        device: ``cpu``, ``cuda``, ``mps``, …
        allow_drift: continue runs that were begun under other versions, data or device.
        max_runs: refuse a larger grid.
        trust: run the modules that a study in a folder names, whoever made it.

    Raises:
        UntrustedError: the folder's study names modules and is not known to be the user's own.
        ConfigError: the study cannot be run as written.
        DataError: its data are missing or damaged.
        KeyboardInterrupt: on Ctrl-C; everything done is saved, and the same call resumes.

    """
    study = open_study(source, out, max_runs, trust=trust)
    if not run_stages(study, engine, progress, device, allow_drift) and progress is not None:
        progress.say("nothing was left to do")
    return study


def run_stages(
    study: Study,
    engine: Engine | Callable[[], Engine] | None = None,
    progress: Progress | None = None,
    device: str = "cpu",
    allow_drift: bool = False,
    drop: bool = True,
) -> bool:
    """All stages of a study that is open, as `run_stage` takes each; whether any was left to do.

    In the end representations are dropped, unless the study file keeps them, or ``drop`` says no.
    """
    progress = progress or Progress(quiet=True)
    if is_finished(study):
        return False
    where = _start(engine)
    stages = stages_of(study)
    with holding(study.path):
        for stage in stages:
            apart = find_home(study.path).apart
            if apart or not is_current(study, [stage], find_files(study.path)):
                run_stage(stage, study, where, progress, device, allow_drift)
    if "assess" not in stages:
        progress.say(f"findings: none, since {study.way.cka} is not among the measures")
    if drop:
        drop_representations(study)
    return True


def _start(engine: Engine | Callable[[], Engine] | None) -> Engine:
    if engine is None:
        return LocalEngine()
    return engine() if callable(engine) else engine
