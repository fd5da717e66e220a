"""The options of the command line, each declared once, and what commands share of them.

A command takes a group of options as one parameter (`spread`): where it computes, and which study
it opens.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from stratigraph.errors import ConfigError, StratigraphError, suggest
from stratigraph.file_kinds import recognise
from stratigraph.paths import check_path
from stratigraph.renamed import warn_former

if TYPE_CHECKING:
    from stratigraph.engine import Engine
    from stratigraph.study import ResourcesConfig

__all__ = [
    "AllowDrift",
    "AsJson",
    "Computing",
    "Device",
    "LightFolder",
    "Limits",
    "Opening",
    "Quiet",
    "StudyFolder",
    "StudySource",
    "TableFile",
    "Trust",
    "UnusablePlace",
    "choose",
    "find_new_study",
    "find_study",
    "refuse_given",
    "refuse_idle",
    "spread",
    "take_former",
]


class UnusablePlace(Exception):
    """What `main` tells of a path or URL that a command was given: the error is its argument."""


def _at(text: str, *, light: bool = False, new: bool = False) -> Path:
    try:
        if "://" not in text:
            return check_path(text)
        from stratigraph.home import find_folder

        return find_folder(text, light=light, new=new)
    except StratigraphError as error:
        # Typer takes a ValueError, which some of ours are, for a bad value, and words it anew.
        raise UnusablePlace(error) from error


def find_study(text: str) -> Path:
    """The folder that is meant; of a URL its working copy, brought up to date."""
    return _at(text)


def _find_light(text: str) -> Path:
    """As `find_study`, without weights and representations."""
    return _refuse_other(_at(text, light=True))


def find_new_study(text: str) -> Path:
    """As `find_study`, for a study that need not be there yet."""
    return _at(text, new=True)


def _find_one(text: str) -> Path:
    """As `find_study`; a file of another kind is recognised.

    Raises:
        UnusablePlace: it is no study file.

    """
    return _refuse_other(_at(text))


def _refuse_other(path: Path) -> Path:
    if what := recognise(path):
        expected = "expected a study file (.yaml), or the folder or URL of a study"
        raise UnusablePlace(ConfigError(f"{path}: {expected}; it is {what}."))
    return path


def choose(*words: str, help: str) -> Any:
    """An option that takes one of some words, which ``--help`` and the shell's completion show."""
    name, *known = words
    return typer.Option(name, help=help, metavar="|".join(known), autocompletion=lambda: known)


def take_former(context: typer.Context, former: str, name: str) -> Any:
    """What an option was given by its former name, with a warning; None where it was not.

    Args:
        context: the command's.
        former: the parameter of the former name, as Python calls it.
        name: the option's name now, such as ``--out``.

    Raises:
        ConfigError: both were given.

    """
    value = context.params.get(former)
    if value is None:
        return None
    old, new = (
        next(one for one in context.command.params if wanted in (one.name, *one.opts))
        for wanted in (former, name)
    )
    source = context.get_parameter_source(new.name or "")
    if source is not None and source.name == "COMMANDLINE":
        raise ConfigError(f"{old.opts[0]}: the former name of {name}, which was given too.")
    warn_former(old.opts[0], name, level=2)
    return value


StudySource = Annotated[
    Path,
    typer.Argument(
        help="A study file (.yaml), or the folder or URL of a study.",
        metavar="STUDY",
        parser=_find_one,
    ),
]
StudyFolder = Annotated[
    Path, typer.Argument(help="The folder or URL of a study.", metavar="STUDY", parser=_find_one)
]
LightFolder = Annotated[
    Path, typer.Argument(help="The folder or URL of a study.", metavar="STUDY", parser=_find_light)
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="For a study file: the study's folder or URL (s3://…); results/<file's name> if not "
        "given.",
        metavar="DIR",
        parser=find_new_study,
    ),
]
MaxRuns = Annotated[int, typer.Option("--max-runs", help="Refuse a larger grid.")]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust", help="Run the modules that a study in a folder names, whoever made it."
    ),
]
EngineName = Annotated[str, choose("--engine", "local", "ray", help="Where tasks run.")]
Address = Annotated[
    str | None,
    typer.Option(
        "--address", help="Ray's cluster: auto or HOST:PORT; one on this machine if not given."
    ),
]
Workers = Annotated[
    int | None, typer.Option("--workers", help="Processes; one per core if not given.")
]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps, …")]
AllowDrift = Annotated[
    bool,
    typer.Option(
        "--allow-drift",
        help="Continue runs begun under another torch, device or data, and mark them.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print only errors and the headline.")]
TableFile = Annotated[
    Path | None,
    typer.Option("--out", help="Also write the table here: .csv, .parquet or .nc.", metavar="FILE"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a program.")]


@dataclass(frozen=True)
class Limits:
    """What may be run of a study."""

    max_runs: MaxRuns = 1000
    trust: Trust = False


@dataclass(frozen=True)
class Opening(Limits):
    """Where a study is, beside its file, and what may be run of it."""

    out: Out = None


@dataclass(frozen=True)
class Computing:
    """Where a command computes."""

    engine: EngineName = "local"
    address: Address = None
    workers: Workers = None

    def start(self, resources: ResourcesConfig | None = None) -> Engine:
        """The engine that is meant, each of whose tasks asks for some resources.

        Raises:
            ConfigError: there is none of this name, at this address, or with so many workers.

        """
        from stratigraph.engine import LocalEngine

        if self.engine == "ray":
            from stratigraph.engine.ray import RayEngine

            asked = {} if resources is None else {"cpus": resources.cpus, "gpus": resources.gpus}
            return RayEngine(self.address, self.workers, **asked)
        if self.engine != "local":
            hint = suggest(self.engine, ["local", "ray"])
            raise ConfigError(f"--engine: unknown name {self.engine!r}.{hint}")
        if self.address is not None:
            raise ConfigError("--address: it is only for a cluster; add --engine ray.")
        return LocalEngine(self.workers)


GROUPS = (Limits, Opening, Computing)


def names_of(*groups: type) -> tuple[str, ...]:
    """The options of some groups, as Python calls them."""
    return tuple(own.name for group in groups for own in dataclasses.fields(group))


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameters that are groups of options are told to Typer as their options."""
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    for own in inspect.signature(command).parameters.values():
        kind = hints[own.name]
        if kind not in GROUPS:
            parameters.append(own.replace(annotation=kind))
            continue
        for name, hint in get_type_hints(kind, include_extras=True).items():
            default = getattr(kind, name)
            parameters.append(inspect.Parameter(name, own.kind, default=default, annotation=hint))

    @functools.wraps(command)
    def called(**given: Any) -> None:
        for own, kind in hints.items():
            if kind in GROUPS:
                given[own] = kind(**{name: given.pop(name) for name in names_of(kind)})
        command(**given)

    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {own.name: own.annotation for own in parameters}
    del called.__wrapped__  # Typer would look behind it
    return called


def refuse_given(context: typer.Context, names: Iterable[str], why: str) -> None:
    """Refuse parameters that stand on the line and would do nothing: nobody believes they did.

    Args:
        context: the command's.
        names: its parameters, as Python calls them.
        why: what each would be for.

    Raises:
        ConfigError: one was given; the message names its option.

    """
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = next(one.opts[0] for one in context.command.params if one.name == name)
            raise ConfigError(f"{option}: {why}; leave it out.")


def refuse_idle(context: typer.Context, study: Path) -> None:
    """Refuse the options that are of the other kind of study: of a file, or of a folder."""
    if study.is_dir():
        refuse_given(
            context, ("max_runs",), "it is only for a study file; a folder's grid is what it is"
        )
    else:
        why = "it is only for a study's folder; a file that you give may run what it names"
        refuse_given(context, ("trust",), why)
