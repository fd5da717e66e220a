"""What a command says when it is done: its runs, the study's answer, and where to look at it."""

from __future__ import annotations

import sys
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import typer

from stratigraph.cli.options import Opening
from stratigraph.terminal import tell, tell_json, tell_lines

if TYPE_CHECKING:
    from stratigraph.study import Study

__all__ = ["end_run", "find_finished_lines", "tell_headline"]


def _name_study(study: Study) -> str:
    """How a person names the study: by its URL, if it has one."""
    from stratigraph.study.origin import find_origin

    return find_origin(study.path) or str(study.path)


def end_run(study: Study, as_json: bool, report: Path | None = None) -> None:
    """Say what became of the runs, and the headline of a report, and leave with their exit code.

    Raises:
        Exit: with 1 where runs failed; one that diverged or collapsed has its answer.

    """
    from stratigraph.study.state import CUT_SHORT

    runs = [(run, run.state) for run in study.runs.values()]
    states = [state["state"] for _, state in runs]
    counts = {state: states.count(state) for state in sorted(set(states))}
    code = 0 if counts.keys() <= {"done", *CUT_SHORT} else 1
    if as_json:
        facts = {
            "study": _name_study(study),
            "folder": str(study.path),
            "exit_code": code,
            "states": counts,
            "not_done": [
                {"run": run.run_id, "label": run.config.label(), "state": state["state"],
                 "step": state["step"], "reason": state.get("reason", "")}
                for run, state in runs
                if state["state"] != "done"
            ],
            "report": None if report is None else str(report),
        }  # fmt: skip
        tell_json(facts)
        raise typer.Exit(code)
    if counts.keys() != {"done"}:
        told = ", ".join(f"{count} {state}" for state, count in counts.items())
        tell(f"runs: {told}; `stratigraph list {_name_study(study)}` says why")
    if report is not None:
        tell_headline(study, report)
    raise typer.Exit(code)


def find_finished_lines(source: Path, opening: Opening) -> list[str]:
    """What the end of `run` and of `report` says, if nothing is left to do; nothing if unsure."""
    from stratigraph.stages.current import find_finished
    from stratigraph.study.layout import page_path

    finished = None if opening != Opening(out=opening.out) else find_finished(source, opening.out)
    if finished is None:
        return []
    return [*finished[1], *_say_where(finished[0], page_path(finished[0]))]


def _say_where(study: Path | None, report: Path) -> list[str]:
    """Where the one picture and the report are, and how the page of a study opens."""
    here = Path(sys.argv[0])  # as it was called, where its name alone would not find it
    command = here if here.name == "stratigraph" and which(here.name) is None else "stratigraph"
    picture = report.parent.parent / "figures" / "answer.webp"
    page = f"page: `{command} serve {study}`, then http://127.0.0.1:8000/ in a browser"
    return [
        "",
        *([f"picture: {picture}"] if picture.is_file() else []),
        *([page] if study is not None else []),
        f"report: {report}",
    ]


def tell_headline(study: Study, report: Path) -> None:
    """Print a study's answer, and where its picture, page and report are."""
    from stratigraph.stages.current import noted_headline

    lines = noted_headline(study)
    if lines is None:
        from stratigraph.report import headline

        lines = headline(study)
    served = study.path if study.export is None else None  # an export has no page
    tell_lines([*lines, *_say_where(served, report)])
    if _name_study(study) != str(study.path):
        tell(f"published: {_name_study(study)}")
