"""The report: every figure as PNG and PDF, and one HTML file that holds them and their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from stratigraph.errors import InputError
from stratigraph.report import figure_data as numbers
from stratigraph.report import tables
from stratigraph.report.headline import THRESHOLD
from stratigraph.report.interactive import explore
from stratigraph.report.sections import Section, sections
from stratigraph.snapshots import Files, write_record
from stratigraph.study import LEAST_ROOM, Study, gather

__all__ = ["render", "report_path", "write_report"]


def report_path(study: Study) -> Path:
    """Where a study's report is."""
    return study.path / "report" / "index.html"


def write_report(study: Study, to: Path | None = None) -> Path:
    """Draw every figure of a study and write its report; return the report's path.

    Args:
        study: a compared study.
        to: the folder that ``figures`` and ``report`` are written into; by default the study's own.
            The study is not written to where another is given.

    Raises:
        InputError: the study has no matrix of a similarity yet.
        StorageError: the disk would not take it.

    """
    if not study.scores():
        raise InputError(
            f"study {study.config.name} has no similarity matrix to report on; run `stratigraph "
            "compare`, with at least one measure that is 1 for identical representations."
        )
    if not numbers.configurations(study):
        raise InputError(
            f"study {study.config.name} has no run that reached its last step, so nothing has a "
            f"final state to report on; `stratigraph list {study.path}` says why."
        )
    judged = study.way.cka in study.measures()
    # Figures of a study that was compared by other measures alone need no evidence of its claims.
    evidence = gather(study) if judged else None
    # Findings of other matrices than these would be told beside the wrong figures.
    findings = study.findings if study.findings_are_current() else []
    drawn: dict[str, bytes] = {}
    found = list(sections(study, evidence, findings, drawn))
    html = render(study, found, findings)

    def figures(files: Files) -> None:
        for name, content in sorted(drawn.items()):
            files.add(name, content)

    place = study.path if to is None else to
    path = place / report_path(study).relative_to(study.path)
    write_record(place / "figures", figures)
    write_record(path.parent, lambda files: files.add(path.name, html.encode()))
    return path


def render(study: Study, found: Sequence[Section], findings: list[dict[str, Any]]) -> str:
    """The report as one HTML file, with its figures and its script in it."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("stratigraph.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template("report.html").render(
        study=study.config,
        counts=tables.counts(study),
        sections=list(found),
        explore=explore(study),
        findings=tables.finding_rows(findings),
        ways=tables.changed(findings),
        threshold=THRESHOLD,
        least_room=LEAST_ROOM,
        reach=list(tables.reach_rows(study)),
        runs=[tables.run_row(run) for run in study.runs.values()],
        measures=list(tables.measure_rows(study)),
        made=tables.made(study),
    )
