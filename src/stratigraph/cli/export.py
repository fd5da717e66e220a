"""``stratigraph export``: what a study found, without its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stratigraph.cli.inspect import StudyFolder

__all__ = ["register"]


def export(
    study: StudyFolder,
    out: Annotated[Path, typer.Option("--out", help="The folder to write into.")],
) -> None:
    """Copy findings, similarities, tables, figures and report, without weights, to a folder."""
    from stratigraph.pipeline import export_study
    from stratigraph.study import load_study

    size = export_study(load_study(study), out)
    typer.echo(f"{out}: {size / 1e6:.1f} MB")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("export")(export)
