"""``stratigraph verify``: every file of a study against its hash."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from stratigraph.cli.inspect import AsJson, StudyFolder
from stratigraph.cli.run import Device, EngineName, Quiet, Workers, engine_named
from stratigraph.errors import IntegrityError

__all__ = ["register"]


def verify(
    study: StudyFolder,
    repair: Annotated[
        bool, typer.Option("--repair", help="Remove what is damaged, and make it anew.")
    ] = False,
    as_json: AsJson = False,
    engine: EngineName = "local",
    workers: Workers = None,
    device: Device = "cpu",
    quiet: Quiet = False,
) -> None:
    """Check every file of a study against the hash that was written with it."""
    from stratigraph.pipeline import Progress, repair_study, verify_study

    found = verify_study(study)
    left = found.damages
    if repair and left:
        left = repair_study(study, found, engine_named(engine, workers), Progress(quiet), device)
    if as_json:
        facts = {
            "files": found.files,
            "bytes": found.bytes,
            "damaged": [
                {"path": str(damage.path), "reason": damage.reason, "repaired": damage not in left}
                for damage in found.damages
            ],
            "strange": [str(path) for path in found.strange],
        }
        typer.echo(json.dumps(facts, indent=1))
    else:
        for damage in found.damages:
            word = "damaged" if damage in left else "repaired"
            typer.echo(f"{word:<8}  {damage.reason}")
        for path in found.strange:
            typer.echo(f"not ours  {path}")
        what = (
            f"{found.files:,} files, {found.bytes / 1e6:,.1f} MB, "
            f"{found.ended} of {found.runs} runs at their end"
        )
        typer.echo(f"{what}: " + (f"{len(left)} damaged" if left else "all as they were written"))
    if left:
        raise typer.Exit(IntegrityError.exit_code)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("verify")(verify)
