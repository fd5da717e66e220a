"""``stratigraph export``: what a study found, without its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stratigraph.cli.options import StudyFolder, choose, refuse_given, take_former
from stratigraph.errors import InputError
from stratigraph.terminal import tell

__all__ = ["export"]


def export(
    context: typer.Context,
    study: StudyFolder,
    out: Annotated[Path, typer.Option("--out", help="The folder to write into.")],
    form: Annotated[
        str, choose("--format", "parquet", "csv", "netcdf", help="Format of the tables.")
    ] = "parquet",
    tracker: Annotated[
        str | None,
        choose("--tracker", "tensorboard", "mlflow", "wandb", help="Write for a tracker instead."),
    ] = None,
    to: Annotated[str | None, typer.Option("--to", hidden=True)] = None,
) -> None:
    """Copy findings, similarities, tables, figures and report, without weights, to a folder."""
    from stratigraph.integrations.trackers import open_tracker, track_study
    from stratigraph.stages import export_study
    from stratigraph.study import load_study

    to = take_former(context, "to", "--tracker") or tracker
    opened = load_study(study)
    if opened.export is not None:
        raise InputError(f"{study}: is an export already; copy the folder.")
    if to is not None:
        refuse_given(context, ("form",), "it is only for tables, and a tracker takes none")
        runs = track_study(opened, open_tracker(to, out, opened.config.name))
        tell(f"{out}: {runs} {'run' if runs == 1 else 'runs'} for {to}")
        return
    size = export_study(opened, out, form)
    tell(f"{out}: {size / 1e6:.1f} MB")
