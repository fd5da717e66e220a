"""``stratigraph run``, and its stages one at a time."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stratigraph.cli.given import refuse_given
from stratigraph.cli.inspect import AsJson, place, place_out
from stratigraph.errors import ConfigError, suggest

if TYPE_CHECKING:
    from stratigraph.engine import Engine
    from stratigraph.study import ResourcesConfig as Resources, Study, StudyConfig

__all__ = [
    "Device",
    "EngineName",
    "MaxRuns",
    "Out",
    "Quiet",
    "StudySource",
    "Trust",
    "Workers",
    "engine_named",
    "opened_with",
    "refuse_idle",
    "register",
]

StudySource = Annotated[
    Path,
    typer.Argument(
        help="A study file (.yaml), or the folder or URL of a study.", metavar="STUDY", parser=place
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="The study's folder or URL (s3://…); results/<file's name> if not given.",
        metavar="DIR",
        parser=place_out,
    ),
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
Trust = Annotated[
    bool,
    typer.Option("--trust", help="Run the modules that a study's folder names, whoever made it."),
]
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


def opened_with(
    context: typer.Context,
    study: Path,
    out: Path | None,
    max_runs: int,
    trust: bool,
    engine: str = "local",
    address: str | None = None,
    workers: int | None = None,
    device: str = "cpu",
) -> tuple[Study, Engine]:
    """A study and an engine; what cannot work is told before a folder is begun."""
    from stratigraph.stages import open_study
    from stratigraph.stages.train import check_device

    made: list[Engine] = []
    refuse_idle(context, study)

    def check(config: StudyConfig) -> None:
        if config.recorded:
            why = "nothing of a study that was recorded is trained"
            refuse_given(context, ("device", "allow_drift"), why)
        check_device(device)
        made.append(engine_named(engine, workers, address, config.resources))

    begin = context.command.name in ("run", "train")
    opened = open_study(study, out, max_runs, trust=trust, check=check, begin=begin)
    _refuse_idle_trust(context, opened)
    return opened, made[0]


def refuse_idle(context: typer.Context, study: Path) -> None:
    """Refuse the options that are of the other kind of study: of a file, or of a folder."""
    if study.is_dir():
        refuse_given(context, ("max_runs",), "it is of a study file; a folder's grid is what it is")
    else:
        why = "it is of a study's folder; a file that you give may run what it names"
        refuse_given(context, ("trust",), why)


def _refuse_idle_trust(context: typer.Context, study: Study) -> None:
    """Refuse to trust a study that names no module."""
    if not study.config.plugins():
        refuse_given(context, ("trust",), "it is of a study that names modules")


def _named(study: Study) -> str:
    """How a person names the study: by its URL, if it has one."""
    from stratigraph.study.origin import find_origin

    return find_origin(study.path) or str(study.path)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Within, nobody looks for garbage: imports leave none, and it took a fifth of their time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _summary(study: Study, code: int, report: Path | None = None) -> None:
    """What a program wants to know of a study that was run."""
    runs = [(run, run.state) for run in study.runs.values()]
    states = [state["state"] for _, state in runs]
    facts = {
        "study": _named(study),
        "folder": str(study.path),
        "exit_code": code,
        "states": {state: states.count(state) for state in sorted(set(states))},
        "not_done": [
            {"run": run.run_id, "label": run.config.label(), "state": state["state"],
             "step": state["step"], "reason": state.get("reason", "")}
            for run, state in runs
            if state["state"] != "done"
        ],
        "report": None if report is None else str(report),
    }  # fmt: skip
    typer.echo(json.dumps(facts, indent=1))


def _code(study: Study) -> int:
    """0, or 1 where runs failed: a run that diverged has its answer."""
    states = {run.state["state"] for run in study.runs.values()}
    return 0 if states <= {"done", "diverged"} else 1


def _told_states(study: Study) -> int:
    """Say how many runs are in which state, unless all are done; return the exit code."""
    states = [run.state["state"] for run in study.runs.values()]
    if set(states) != {"done"}:
        counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
        typer.echo(f"runs: {counts}; `stratigraph list {_named(study)}` says why")
    return _code(study)


def _headline(study: Study, report: Path) -> None:
    from stratigraph.stages.current import noted_headline

    lines = noted_headline(study)
    if lines is None:
        from stratigraph.report import headline

        lines = headline(study)
    for line in lines:
        typer.echo(line)
    typer.echo(f"report: {report}")
    if _named(study) != str(study.path):
        typer.echo(f"published: {_named(study)}")


def run(
    context: typer.Context,
    study: StudySource,
    out: Out = None,
    engine: EngineName = "local",
    address: Address = None,
    workers: Workers = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    max_runs: MaxRuns = 1000,
    allow_drift: AllowDrift = False,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Run a whole study, from training to its report. The same command again goes on."""
    from stratigraph.study.layout import page_path

    done = None
    if device == "cpu" and out is None:
        done = _finished(context, study, trust, engine, workers, address)
    if done is None:
        from stratigraph.stages import Progress, run_study

        opened, where = opened_with(
            context, study, out, max_runs, trust, engine, address, workers, device
        )
        done = run_study(
            opened.path,
            engine=where,
            progress=Progress(quiet),
            device=device,
            allow_drift=allow_drift,
            trust=True,  # it was opened
        )
    elif not (quiet or as_json):
        typer.echo("nothing was left to do")
    if as_json:
        _summary(done, _code(done), page_path(done.path))
        raise typer.Exit(_code(done))
    code = _told_states(done)
    _headline(done, page_path(done.path))
    raise typer.Exit(code)


def _finished(
    context: typer.Context,
    source: Path,
    trust: bool,
    engine: str,
    workers: int | None,
    address: str | None,
) -> Study | None:
    """A study of which nothing is left to do: nothing is imported that would do it, or started."""
    from stratigraph.stages.current import is_finished
    from stratigraph.study import load_study
    from stratigraph.study.layout import CURRENT

    if not (source / CURRENT).is_file():
        return None
    refuse_idle(context, source)
    if engine != "ray":
        engine_named(engine, workers, address)  # says what is wrong with it
    study = load_study(source, trust)
    if study.export is not None or study.config.recorded:
        return None
    _refuse_idle_trust(context, study)
    study.require_plugins()
    return study if is_finished(study) else None


def train(
    context: typer.Context,
    study: StudySource,
    out: Out = None,
    engine: EngineName = "local",
    address: Address = None,
    workers: Workers = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    max_runs: MaxRuns = 1000,
    allow_drift: AllowDrift = False,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Train every run of a study that is not done."""
    from stratigraph.stages import Progress, run_stage

    opened, where = opened_with(
        context, study, out, max_runs, trust, engine, address, workers, device
    )
    run_stage("train", opened, where, Progress(quiet), device, allow_drift)
    if as_json:
        _summary(opened, _code(opened))
        raise typer.Exit(_code(opened))
    raise typer.Exit(_told_states(opened))


def extract(
    context: typer.Context,
    study: StudySource,
    out: Out = None,
    engine: EngineName = "local",
    address: Address = None,
    workers: Workers = None,
    quiet: Quiet = False,
    max_runs: MaxRuns = 1000,
    trust: Trust = False,
) -> None:
    """Read every layer of every snapshot on the probes."""
    from stratigraph.stages import Progress, run_stage

    opened, where = opened_with(context, study, out, max_runs, trust, engine, address, workers)
    run_stage("extract", opened, where, Progress(quiet))


def report(
    context: typer.Context,
    study: StudySource,
    out: Out = None,
    quiet: Quiet = False,
    max_runs: MaxRuns = 1000,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Write them into this folder, and nothing into the study's."),
    ] = None,
    formats: Annotated[
        str | None,
        typer.Option(
            "--formats",
            help="Draw figures in these too: pdf, svg, png, with commas between. They are drawn "
            "again with each report, until others are named; webp is what the report shows.",
        ),
    ] = None,
    trust: Trust = False,
) -> None:
    """Write the figures and the report."""
    with _no_collection():
        from stratigraph.report import check_formats, report_path, write_report
        from stratigraph.stages import Progress, open_study, run_stage

    asked = None if formats is None else check_formats(formats.split(",") if formats else ["none"])
    refuse_idle(context, study)
    if to is not None:
        refuse_given(context, ("quiet",), "it is of a report that is written into the study")
    opened = open_study(study, out, max_runs, trust=trust, begin=False)
    if to is None:
        run_stage("report", opened, None, Progress(quiet), formats=asked)
        _headline(opened, report_path(opened))
    else:
        _headline(opened, write_report(opened, to, formats=asked))


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (run, train, extract, report):
        app.command()(command)
