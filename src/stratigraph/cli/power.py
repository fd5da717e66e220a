"""``stratigraph power``: how many replicates decide what is undecided."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stratigraph.cli.options import AsJson, StudyFolder, TableFile
from stratigraph.cli.tables import check_places, write_figure, write_table
from stratigraph.terminal import tell, tell_json

__all__ = ["power"]


def power(
    study: StudyFolder,
    figure: Annotated[
        Path | None,
        typer.Option("--figure", help="Draw power against replicates: .png, .pdf or .svg."),
    ] = None,
    out: TableFile = None,
    as_json: AsJson = False,
) -> None:
    """Say how many replicates would decide each open claim at power 0.8, and which none would."""
    import pandas as pd

    from stratigraph.home import load_study
    from stratigraph.report.power import power as needed, power_curves

    check_places(figure, out)
    opened = load_study(study)
    table = needed(opened)
    if figure is not None:
        from stratigraph.report.figures.power import draw_power

        write_figure(draw_power(power_curves(opened)), figure)
    if out is not None:
        write_table(table.reset_index(), out)
    if as_json:
        rows = json.loads(table.reset_index().to_json(orient="records"))
        tell_json(rows)
        return
    if table.empty:
        tell("no question is undecided")
        return
    width = max(map(len, table.index))
    for key, row in table.iterrows():
        now = "" if row["replicates"] is pd.NA else f"{row['replicates']} now"
        tell(f"{row['claim']:>2}  {str(key).ljust(width)}  {now:>7}  {row['why']}")
    tell(
        "Of a number that is fixed beforehand, at the level of each question in its family; the "
        "truth is taken to be the estimate, and the range is that of its error."
    )
