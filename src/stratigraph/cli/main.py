"""The ``stratigraph`` command: its commands joined, and its errors told without a traceback."""

from __future__ import annotations

import os
import sys

import typer

from stratigraph import __version__
from stratigraph.cli import assess, export, inspect, measures, plan, run, verify
from stratigraph.errors import StratigraphError

__all__ = ["app", "main"]

INTERRUPTED = 130

app = typer.Typer(
    name="stratigraph",
    help="Read how a variational autoencoder learns, layer by layer.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
run.register(app)
assess.register(app)
export.register(app)
inspect.register(app)
measures.register(app)
plan.register(app)
verify.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"stratigraph {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and stop."
    ),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Read how a variational autoencoder learns, layer by layer."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 configuration, 3 data, 4 unsafe file, 5 busy,
    6 storage, 130 interrupted.
    """  # noqa: D205
    given = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in given
    try:
        app(args=given, standalone_mode=True)
    except StratigraphError as error:
        if debug:
            raise
        typer.echo(f"stratigraph: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("stratigraph: interrupted; the same command goes on from here.", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has stopped (`| head`); so do we, without a word.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
