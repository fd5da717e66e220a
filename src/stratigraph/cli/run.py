"""``stratigraph run``, and its stages one at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stratigraph.errors import ConfigError, suggest

if TYPE_CHECKING:
    from stratigraph.engine import Engine
    from stratigraph.study import ResourcesConfig as Resources
    from stratigraph.study import Study

__all__ = [
    "Device",
    "EngineName",
    "MaxRuns",
    "Out",
    "Quiet",
    "StudySource",
    "Workers",
    "engine_named",
    "register",
]

StudySource = Annotated[
    Path, typer.Argument(help="A study file (.yaml), or the folder of a study.", metavar="STUDY")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="The study's folder; results/<file's name> if not given."),
]
EngineName = Annotated[str, typer.Option("--engine", help="Where tasks run: local or ray.")]
Address = Annotated[
    str | None,
    typer.Option(
        "--address", help="Ray's cluster: auto or HOST:PORT; one on this machine if not given."
    ),
]
Workers = Annotated[
    int | None, typer.Option("--workers", help="Processes; one for each core if not given.")
]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps, …")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but errors and the headline.")]
MaxRuns = Annotated[int, typer.Option("--max-runs", help="Refuse a larger grid.")]
AllowDrift = Annotated[
    bool,
    typer.Option(
        "--allow-drift",
        help="Go on with runs begun under another torch, device or data, and mark them.",
    ),
]


def engine_named(
    name: str, workers: int | None, address: str | None = None, resources: Resources | None = None
) -> Engine:
    """The engine of a name, with so many workers."""
    from stratigraph.engine import LocalEngine

    if name == "ray":
        from stratigraph.engine.ray import RayEngine

        asked = {} if resources is None else {"cpus": resources.cpus, "gpus": resources.gpus}
        return RayEngine(address, workers, **asked)
    if name != "local":
        raise ConfigError(f"--engine: none is called {name!r}.{suggest(name, ['local', 'ray'])}")
    if address is not None:
        raise ConfigError("--address: only a cluster has one; add --engine ray.")
    return LocalEngine(workers)


def _told_states(study: Study) -> int:
    """Say how many runs are in which state, unless all are done; the exit code that follows."""
    states = [run.state["state"] for run in study.runs.values()]
    if set(states) != {"done"}:
        counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
        typer.echo(f"runs: {counts}; `stratigraph list {study.path}` says why")
    return 0 if set(states) <= {"done", "diverged"} else 1


def _headline(study: Study, report: Path) -> None:
    from stratigraph.report import headline

    for line in headline(study):
        typer.echo(line)
    typer.echo(f"report: {report}")


def run(
    study: StudySource,
    out: Out = None,
    engine: EngineName = "local",
    address: Address = None,
    workers: Workers = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    max_runs: MaxRuns = 1000,
    allow_drift: AllowDrift = False,
) -> None:
    """Run a whole study, from training to its report. The same command again goes on."""
    from stratigraph.pipeline import Progress, open_study, run_study
    from stratigraph.report import report_path

    opened = open_study(study, out, max_runs)
    done = run_study(
        opened.path,
        engine=engine_named(engine, workers, address, opened.config.resources),
        progress=Progress(quiet),
        device=device,
        allow_drift=allow_drift,
    )
    code = _told_states(done)
    _headline(done, report_path(done))
    raise typer.Exit(code)


def train(
    study: StudySource,
    out: Out = None,
    engine: EngineName = "local",
    address: Address = None,
    workers: Workers = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    max_runs: MaxRuns = 1000,
    allow_drift: AllowDrift = False,
) -> None:
    """Train every run of a study that is not done."""
    from stratigraph.pipeline import Progress, open_study, run_stage

    opened = open_study(study, out, max_runs)
    where = engine_named(engine, workers, address, opened.config.resources)
    run_stage("train", opened, where, Progress(quiet), device, allow_drift)
    raise typer.Exit(_told_states(opened))


def extract(
    study: StudySource,
    out: Out = None,
    engine: EngineName = "local",
    address: Address = None,
    workers: Workers = None,
    quiet: Quiet = False,
    max_runs: MaxRuns = 1000,
) -> None:
    """Read every layer of every snapshot on the probes."""
    from stratigraph.pipeline import Progress, open_study, run_stage

    opened = open_study(study, out, max_runs)
    where = engine_named(engine, workers, address, opened.config.resources)
    run_stage("extract", opened, where, Progress(quiet))


def report(
    study: StudySource,
    out: Out = None,
    quiet: Quiet = False,
    max_runs: MaxRuns = 1000,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Write them into this folder, and nothing into the study's."),
    ] = None,
) -> None:
    """Write the figures and the report."""
    from stratigraph.pipeline import Progress, open_study, run_stage
    from stratigraph.report import report_path, write_report

    opened = open_study(study, out, max_runs)
    if to is None:
        run_stage("report", opened, None, Progress(quiet))
        _headline(opened, report_path(opened))
    else:
        _headline(opened, write_report(opened, to))


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (run, train, extract, report):
        app.command()(command)
