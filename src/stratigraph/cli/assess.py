"""``stratigraph assess``: the findings of a study, as a table or as JSON."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from stratigraph.cli.options import AsJson, Computing, Opening, Quiet, StudySource
from stratigraph.cli.run import open_to_compute
from stratigraph.cli.tables import check_places, is_table, write_figure, write_table
from stratigraph.terminal import tell, tell_json

__all__ = ["assess", "tell_findings"]

Published = Annotated[
    bool,
    typer.Option(
        "--published",
        help="Also judge every claim the published way, and say what that changes.",
    ),
]


def _interval(estimate: dict[str, Any]) -> str:
    def number(value: float | None) -> str:
        return "–" if value is None else f"{value:+.3f}"

    return f"{number(estimate['value'])} [{number(estimate['lower'])}, {number(estimate['upper'])}]"


def tell_findings(rows: list[dict[str, Any]], compared: Sequence[dict[str, Any]] = ()) -> list[str]:
    """The findings as lines for people: the corrected way, and what the published one changes.

    Args:
        rows: the findings.
        compared: the differences of the ways (`stratigraph.evidence.ways`).

    """
    from stratigraph.evidence.claims.shared_features import OF_MEASURES

    lines = []
    for row in rows:
        if row["way"] != "corrected":
            continue
        p = "" if row["p_holm"] is None else f"   corrected p {row['p_holm']:.2g}"
        lines.append(f"{row['claim'] or '–':>2}  {row['verdict'].upper():<12}  {row['statement']}")
        for measure, estimate in row["estimates"].items():
            against = f" against {estimate['null']:g}" if estimate["null"] else ""
            of = row["entered"]["of"]
            runs = f", {estimate['runs']} of {of} runs" if row["claim"] not in OF_MEASURES else ""
            lines.append(f"      {measure:<22} {_interval(estimate)}{against}{runs}{p}")
            p = ""
        for measure, estimate in row["of_all_runs"].items():
            failed = row["entered"]["failed"]
            lines.append(
                f"      {measure:<22} {_interval(estimate)} of all runs, with the {failed} that "
                "did not learn"
            )
        for change in (one for one in compared if one["key"] == row["key"]):
            of = "" if change["decides"] else ", of all runs"
            lines.append(
                f"      {change['measures']['corrected']:<22} {_interval(change['difference'])} "
                f"less the published way's {change['measures']['published']}{of}"
            )
        lines += textwrap.wrap(row["why"], 100, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return lines


def assess(
    context: typer.Context,
    study: StudySource,
    opening: Opening,
    computing: Computing,
    published: Published = False,
    figure: Annotated[
        Path | None,
        typer.Option("--figure", help="Draw the findings: .png, .pdf or .svg."),
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Judge every claim of a compared study: estimates, intervals, verdicts.

    For a study's folder, --out is the file for the table of findings (.csv, .parquet, .nc).
    """
    from stratigraph.stages import Progress, run_stage

    out = opening.out if study.is_dir() and is_table(opening.out) else None
    check_places(figure, out)
    if out is not None:
        opening = dataclasses.replace(opening, out=None)
    opened, start = open_to_compute(context, study, opening, computing)
    run_stage("assess", opened, start, Progress(quiet), published=published)
    rows = opened.findings
    if out is not None:
        write_table(opened.findings_frame(), out)
    if figure is not None:
        from stratigraph.report.figures import draw_findings
        from stratigraph.report.findings import finding_rows, reach_of

        own = [row for row in finding_rows(rows) if row["place"]]
        write_figure(draw_findings(own, reach_of(own)), figure)
    if as_json:
        tell_json(rows)
        return
    for line in tell_findings(rows, opened.ways_compared):
        tell(line)
