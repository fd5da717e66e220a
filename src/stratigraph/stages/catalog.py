"""The five stages of a study, in their order.

Each imports what makes it when it is made: whether it is current is asked without.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stratigraph.stages.stage import Made, Stage, Work
from stratigraph.study.layout import run_path
from stratigraph.study.state import CUT_SHORT, read_state
from stratigraph.study.ways import PUBLISHED

__all__ = ["STAGES", "are_trained"]


def are_trained(study: Path, runs: Sequence[str]) -> bool:
    """Whether runs of a study's folder say that they are at their end, with nothing to go on from.

    A run that diverged, or stopped as it collapsed, keeps what it came from.
    """
    return all(map(_is_at_its_end, (run_path(study, run) for run in runs)))


def _is_at_its_end(run: Path) -> bool:
    state = read_state(run)["state"]
    return state in CUT_SHORT or (state == "done" and not (run / "checkpoint").exists())


def _train(work: Work) -> Made:
    from stratigraph.stages.train import train_study

    if work.study.config.recorded:
        work.progress.say("training: recorded elsewhere; there is nothing to train")
        return Made()
    with work.home.writing("train"):
        train_study(
            work.study, work.engine, work.progress, work.device, allow_drift=work.allow_drift
        )
    return Made()


def _extract(work: Work) -> Made:
    from stratigraph.stages.read import read_study

    with work.home.writing():
        read_study(work.study, work.engine, work.progress)
    return Made()


def _compare(work: Work) -> Made:
    from stratigraph.stages.compare import compare_study

    with work.home.writing():
        compare_study(work.study, work.engine, work.progress)
    return Made()


def _assess(work: Work) -> Made:
    from stratigraph.stages.assess import assess_study

    with work.home.writing():
        rows = assess_study(work.study, work.engine, work.progress, work.published)
    return Made({"published": any(row["way"] == PUBLISHED.name for row in rows)})


def _report(work: Work) -> Made:
    from stratigraph.records import remove_leftovers
    from stratigraph.report import drawn_formats, headline, write_report
    from stratigraph.report.data import ReportData

    # It is drawn here, wherever tasks run: on as many cores as they may take of this machine.
    workers = work.engine.workers if work.engine.name == "local" else None
    with work.home.writing("report"):
        for name in ("figures", "report"):
            remove_leftovers(work.study.path, of=name)
        data = ReportData(work.study)
        path = write_report(work.study, formats=work.formats, workers=workers, data=data)
    work.progress.say(f"report: {path}")
    return Made({"formats": drawn_formats(work.study)}, {"headline": headline(work.study, data)})


STAGES = {
    stage.name: stage
    for stage in (
        Stage("train", (), _train, are_trained, clears=["runs/{run}/*"]),
        Stage(
            "extract",
            ("train",),
            _extract,
            clears=["runs/{run}/representations/*", "runs/{run}/observed/*"],
        ),
        Stage("compare", ("extract",), _compare, clears=["similarity/*", "jackknife/*"]),
        Stage("assess", ("train", "extract", "compare"), _assess, clears=["findings.json"]),
        Stage(
            "report",
            ("train", "extract", "compare", "assess"),
            _report,
            clears=["figures", "report"],
        ),
    )
}
