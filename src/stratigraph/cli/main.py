"""The ``stratigraph`` command: its commands joined, and its errors told without a traceback."""

from __future__ import annotations

from stratigraph.cli.startup import leave_current_folder

leave_current_folder()

import atexit
import contextlib
import gc
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any

import typer

from stratigraph.version import __version__
from stratigraph.cli import (
    assess,
    compare,
    export,
    import_checkpoints,
    inspect,
    latent_size,
    measures,
    plan,
    power,
    run,
    serve,
    verify,
)
from stratigraph.cli.help import SUMMARIES, Command, epilog_of
from stratigraph.cli.options import UnusablePlace, spread
from stratigraph.errors import ConfigError, StorageError, StratigraphError
from stratigraph.terminal import tell, visible

__all__ = ["app", "main"]

INTERRUPTED = 130
# Made between two looks for garbage, instead of 700: of the imports of torch and others nothing is
# garbage, and looking through them took a tenth of their time.
OBJECTS = 50_000
LONGEST = 1400  # characters of a line of an error; a value may have tens of thousands
# What is raised of an argument that cannot be read: Typer's own or Click's, by Typer's version.
UsageError: Any = typer.BadParameter.__base__
FORMER_NAME = ".* the former name goes with the next version"  # is told, unlike others'

app = typer.Typer(
    name="stratigraph",
    help="Read how a variational autoencoder learns, layer by layer.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS: dict[str, Callable[..., None]] = {
    "plan": plan.plan,
    "run": run.run,
    "train": run.train,
    "extract": run.extract,
    "compare": compare.compare,
    "assess": assess.assess,
    "report": run.report,
    "serve": serve.serve,
    "list": inspect.list_runs,
    "show": inspect.show,
    "power": power.power,
    "export": export.export,
    "verify": verify.verify,
    "import": import_checkpoints.import_checkpoints,
    "latent-size": latent_size.choose_latent_size,
    "measures": measures.measures,
}
for name, summary in SUMMARIES.items():
    described = app.command(name, cls=Command, short_help=summary, epilog=epilog_of(name))
    described(spread(COMMANDS[name]))


def _version(wanted: bool) -> None:
    if wanted:
        tell(f"stratigraph {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and stop."
    ),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
    work: str = typer.Option(
        "",
        "--work",
        help="Folder for working copies of studies at URLs; else $STRATIGRAPH_WORK or the cache.",
        metavar="DIR",
    ),
) -> None:
    """Read how a variational autoencoder learns, layer by layer."""
    if work:
        os.environ["STRATIGRAPH_WORK"] = work


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit.

    0 done, 1 some runs failed, 2 configuration, 3 data, 4 unsafe file, 5 busy, 6 storage,
    130 interrupted.
    """
    # Python's last look for garbage goes through all that torch and others have made: 0.8 s, after
    # which the whole memory is given back anyway.
    atexit.register(gc.freeze)
    if arguments is None:  # this process is the command's
        gc.set_threshold(OBJECTS)
    given = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in given
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, _terminate)  # but of nohup
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and _in_foreground():
            # Inherited, as from nohup; but here is somebody to press Ctrl-C.
            signal.signal(signal.SIGINT, signal.default_int_handler)
    warnings.formatwarning = _format_warning
    warnings.filterwarnings("default", FORMER_NAME, DeprecationWarning)
    try:
        _check_streams()
        _check_work(given)
        sys.exit(app(args=given or ["--help"], standalone_mode=False) or 0)
    except (StratigraphError, UnusablePlace, UsageError, OSError) as raised:
        if debug and not isinstance(raised, UsageError):  # which says nothing of our code
            raise
        error = _told(raised)
        _tell_last("\n".join(map(_shorten, f"stratigraph: {error}".split("\n"))))
        sys.exit(error.exit_code)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            _tell_last("stratigraph: stopped; the same command resumes from here.")
        raise
    finally:
        _let_go()


def _check_streams() -> None:
    """Refuse to begin where nobody would hear what comes of it; of days of work, perhaps.

    Raises:
        StorageError: standard output is closed.

    """
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 - as long as the process
    if sys.stdout is None:
        raise StorageError("standard output: it is closed; send it to /dev/null to drop it.")


def _told(error: Exception) -> StratigraphError:
    """What is told of an error: of one of the system's, which path it is of."""
    if isinstance(error, StratigraphError):
        return error
    if isinstance(error, UnusablePlace):
        return error.args[0]
    if isinstance(error, UsageError):
        command = error.ctx.command_path if error.ctx is not None else "stratigraph"
        return ConfigError(
            f"{error.format_message().rstrip('.')}; `{command} -h` says what it takes."
        )
    named = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
    return StorageError(f"{named}{getattr(error, 'strerror', None) or error}.")


def _shorten(line: str) -> str:
    """A line whose middle is left out if a value in it is long: its end says what to do."""
    if len(line) <= LONGEST:
        return line
    end = LONGEST // 4
    return f"{line[: LONGEST - end]} … ({len(line) - LONGEST:,} characters) … {line[-end:]}"


def _tell_last(text: str) -> None:
    with contextlib.suppress(OSError, StorageError):
        tell(text, err=True)


def _format_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """A warning as a line, without where in our code it was raised."""
    return f"warning: {visible(message)}\n"


def _check_work(given: list[str]) -> None:
    """Refuse a place for working copies where no study is at a URL."""
    placed = [at for at, word in enumerate(given) if word.partition("=")[0] == "--work"]
    values = {at + 1 for at in placed if "=" not in given[at]} | set(placed)
    if placed and not any("://" in word for at, word in enumerate(given) if at not in values):
        raise ConfigError(
            "--work: it is only for studies at URLs, and none was given; leave it out."
        )


def _in_foreground() -> bool:
    """Whether a terminal sends its Ctrl-C to this process."""
    try:
        with open("/dev/tty") as terminal:  # noqa: PTH123 - a device, not a file
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def _let_go() -> None:
    """Flush what was printed; where its reader has gone, let Python's own flush at exit succeed."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _terminate(number: int, frame: FrameType | None) -> None:
    """SIGTERM, and a terminal that is closed, mean what Ctrl-C means."""
    raise KeyboardInterrupt
