"""``stratigraph verify``: every file of a study against its hash."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stratigraph.cli.options import AsJson, Computing, Device, Quiet, Trust, names_of, refuse_given
from stratigraph.errors import ConfigError, IntegrityError
from stratigraph.terminal import tell, tell_json

if TYPE_CHECKING:
    from stratigraph.study import ResourcesConfig

__all__ = ["verify"]


def verify(
    context: typer.Context,
    study: Annotated[str, typer.Argument(help="The folder or URL of a study.", metavar="STUDY")],
    computing: Computing,
    repair: Annotated[
        bool, typer.Option("--repair", help="Remove what is damaged, and make it again.")
    ] = False,
    as_json: AsJson = False,
    device: Device = "cpu",
    quiet: Quiet = False,
    trust: Trust = False,
) -> None:
    """Check every file of a study against its stored hash."""
    from stratigraph.stages import Progress, repair_study, verify_study
    from stratigraph.study.origin import is_url
    from stratigraph.training.device import check_device

    ours = (*names_of(Computing), "device", "quiet", "trust")
    if not repair:
        refuse_given(context, ours, "it is only for --repair")
    if is_url(study):
        refuse_given(context, ours, "at a URL nothing is made again, only restored")
        _verify_url(study, repair, as_json)
        return
    folder = Path(study)
    if repair:
        check_device(device)
    found = verify_study(folder)
    left = found.damages
    if repair and left:
        where = computing.start(_resources(folder))
        left = repair_study(folder, found, where, Progress(quiet), device, trust)
    if as_json:
        facts = {
            "files": found.files,
            "bytes": found.bytes,
            "damaged": [
                {"path": str(damage.path), "reason": damage.reason, "repaired": damage not in left}
                for damage in found.damages
            ],
            "strange": [str(path) for path in found.strange],
            "unread": found.unread,
            "unchecked": found.unchecked,
        }
        tell_json(facts)
    else:
        for damage in found.damages:
            word = "damaged" if damage in left else "repaired"
            tell(f"{word:<8}  {damage.reason}")
        for path in found.strange:
            tell(f"not ours  {path}")
        if found.unread:
            tell(f"its runs, and what is missing of them, are unknown: {found.unread}")
        what = f"{found.files:,} files, {found.bytes / 1e6:,.1f} MB"
        if found.unchecked:
            tell(f"{what}: not checked, since {found.unchecked}")
            return
        what += f", {found.ended} of {found.runs} runs at their end"
        tell(f"{what}: " + (f"{len(left)} damaged" if left else "all as they were written"))
    if left:
        raise typer.Exit(IntegrityError.exit_code)


def _resources(folder: Path) -> ResourcesConfig | None:
    """What the study's tasks ask for; None of one whose file is damaged: repair says so."""
    from stratigraph.study import load_study

    try:
        return load_study(folder).config.resources
    except (ConfigError, IntegrityError):
        return None


def _verify_url(url: str, repair: bool, as_json: bool) -> None:
    """Every object that counts at a URL against its hash."""
    from stratigraph.remote import verify_url

    found = verify_url(url, repair=repair)
    left = found.damaged.keys() - found.back
    if as_json:
        damaged = [
            {"path": place, "reason": reason, "repaired": place in found.back}
            for place, reason in found.damaged.items()
        ]
        facts = {"files": found.files, "bytes": found.bytes, "damaged": damaged, "strange": []}
        tell_json(facts)
    else:
        for place, reason in found.damaged.items():
            word = "repaired" if place in found.back else "struck out" if repair else "damaged"
            tell(f"{word:<10}  {reason}")
        told = f"{len(left)} damaged" if left else "all as they were written"
        tell(f"{found.files:,} objects, {found.bytes / 1e6:,.1f} MB: {told}")
        if left and repair:
            tell("the next `stratigraph run` makes again what was dropped")
    if left:
        raise typer.Exit(IntegrityError.exit_code)
