"""``stratigraph run``, and its stages one at a time."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stratigraph.cli.ending import end_run, find_finished_lines, tell_headline
from stratigraph.cli.options import (
    AllowDrift,
    AsJson,
    Computing,
    Device,
    Opening,
    Quiet,
    StudySource,
    refuse_given,
    refuse_idle,
    take_former,
)
from stratigraph.errors import ConfigError
from stratigraph.terminal import tell, tell_lines

if TYPE_CHECKING:
    from stratigraph.engine import Engine
    from stratigraph.study import Study, StudyConfig

__all__ = ["extract", "open_to_compute", "report", "run", "train"]

NOTHING_LEFT = "nothing was left to do"

UntilDecided = Annotated[
    bool,
    typer.Option(
        "--until-decided",
        help="Add replicates in planned looks until every primary claim is supported, "
        "contradicted, negligible, futile or out of budget.",
    ),
]
Most = Annotated[
    int | None, typer.Option("--most", help="With --until-decided: replicates at the last look.")
]
LooksAt = Annotated[
    str | None,
    typer.Option(
        "--looks",
        help="With --until-decided: the replicates at each look, separated by commas, instead of "
        "4,6,8,12,… up to --most.",
    ),
]


def open_to_compute(
    context: typer.Context,
    study: Path,
    opening: Opening,
    computing: Computing,
    device: str = "cpu",
) -> tuple[Study, Callable[[], Engine]]:
    """A study, and what starts the engine; what cannot work is told before a folder is begun."""
    from stratigraph.stages import open_study

    refuse_idle(context, study)
    start: Callable[[], Engine] = cache(lambda: computing.start(asked[0].resources))
    asked: list[StudyConfig] = []

    def check(config: StudyConfig, begun: bool) -> None:
        asked.append(config)
        if config.recorded:
            why = "nothing of a study that was recorded is trained"
            refuse_given(context, ("device", "allow_drift"), why)
        if device != "cpu":
            from stratigraph.training.device import check_device

            check_device(device)
        if not begun or computing.engine != "ray":  # which takes seconds, and may not be needed
            start()

    opened = open_study(
        study,
        opening.out,
        opening.max_runs,
        trust=opening.trust,
        check=check,
        begin=context.command.name in ("run", "train"),
    )
    if not opened.config.plugins():
        refuse_given(context, ("trust",), "it is only for a study that names modules")
    return opened, start


@contextmanager
def _no_collection() -> Iterator[None]:
    """Within, nobody looks for garbage: imports leave none, and it took a fifth of their time.

    Nor is it looked for later in what they made.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def run(
    context: typer.Context,
    study: StudySource,
    opening: Opening,
    computing: Computing,
    device: Device = "cpu",
    quiet: Quiet = False,
    allow_drift: AllowDrift = False,
    as_json: AsJson = False,
    until_decided: UntilDecided = False,
    most: Most = None,
    looks: LooksAt = None,
) -> None:
    """Run a whole study, from training to its report. The same command resumes it."""
    refuse_idle(context, study)
    if not until_decided:
        refuse_given(context, ("most", "looks"), "it is only for --until-decided")
    if not until_decided and (device, computing, as_json) == ("cpu", Computing(), False):
        finished = find_finished_lines(study, opening)
        if finished:
            tell_lines([*(() if quiet else (NOTHING_LEFT,)), *finished])
            return
    from stratigraph.stages import Progress, run_stages
    from stratigraph.study.layout import page_path

    opened, start = open_to_compute(context, study, opening, computing, device)
    progress = Progress(quiet)
    if until_decided:
        from stratigraph.stages.until_decided import begin_looks, run_until_decided, tell_open

        opened = begin_looks(opened, most, None if looks is None else _counts(looks))
        opened, done = run_until_decided(opened, start, progress, device, allow_drift)
        if not (quiet or as_json):
            for line in tell_open(opened.findings):
                tell(line)
    else:
        done = run_stages(opened, start, progress, device, allow_drift)
    if not (done or quiet or as_json):
        tell(NOTHING_LEFT)
    end_run(opened, as_json, page_path(opened.path))


def _counts(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise ConfigError(
            f"--looks: expected numbers separated by commas, such as 4,6,8, got {text!r}."
        ) from None


def train(
    context: typer.Context,
    study: StudySource,
    opening: Opening,
    computing: Computing,
    device: Device = "cpu",
    quiet: Quiet = False,
    allow_drift: AllowDrift = False,
    as_json: AsJson = False,
) -> None:
    """Train every unfinished run of a study."""
    from stratigraph.stages import Progress, run_stage

    opened, start = open_to_compute(context, study, opening, computing, device)
    run_stage("train", opened, start, Progress(quiet), device, allow_drift)
    end_run(opened, as_json)


def extract(
    context: typer.Context,
    study: StudySource,
    opening: Opening,
    computing: Computing,
    quiet: Quiet = False,
) -> None:
    """Read every layer of every snapshot on the probes."""
    from stratigraph.stages import Progress, run_stage

    opened, start = open_to_compute(context, study, opening, computing)
    run_stage("extract", opened, start, Progress(quiet))


def report(
    context: typer.Context,
    study: StudySource,
    opening: Opening,
    quiet: Quiet = False,
    to: Annotated[Path | None, typer.Option("--to", hidden=True)] = None,
    formats: Annotated[
        str | None,
        typer.Option(
            "--formats",
            help="Also draw figures as pdf, svg, png (separated by commas). They are redrawn "
            "with each report until others are named; the report itself shows webp.",
        ),
    ] = None,
) -> None:
    """Write the figures and the report.

    For a study's folder, or an export of one, --out names another folder for them; nothing is
    written to the study.
    """
    to = take_former(context, "to", "--out")
    if study.is_dir() and opening.out is not None and opening.out.resolve() != study.resolve():
        to, opening = opening.out, dataclasses.replace(opening, out=None)
    refuse_idle(context, study)
    finished = find_finished_lines(study, opening) if to is None and formats is None else []
    if finished:
        if not quiet:
            tell(f"report: {NOTHING_LEFT}", err=True)
        tell_lines(finished)
        return
    with _no_collection():
        from stratigraph.report import check_formats, report_path, write_report
        from stratigraph.stages import Progress, open_study, run_stage
        from stratigraph.study import load_study

    asked = None if formats is None else check_formats(formats.split(",") if formats else ["none"])
    open_it = partial(
        open_study, study, opening.out, opening.max_runs, trust=opening.trust, begin=False
    )
    if to is not None:
        refuse_given(context, ("quiet",), "it is only for a report that is written into the study")
        read = study.is_dir()  # an export, and what may only be read, too
        opened = load_study(study, opening.trust) if read else open_it()
        tell_headline(opened, write_report(opened, to, formats=asked))
        return
    opened = open_it()
    run_stage("report", opened, None, Progress(quiet), formats=asked)
    tell_headline(opened, report_path(opened))
