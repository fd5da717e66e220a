"""``stratigraph serve``: a study in the browser."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from stratigraph.cli.options import StudyFolder, Trust
from stratigraph.terminal import tell

__all__ = ["serve"]


def serve(
    study: StudyFolder,
    port: Annotated[int, typer.Option("--port", help="The port; 0 means any free one.")] = 8000,
    host: Annotated[
        str, typer.Option("--host", help="The address to listen on; needs --token if not local.")
    ] = "127.0.0.1",
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            help="A secret that every visitor must give.",
            envvar="STRATIGRAPH_TOKEN",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host", help="Another name by which the page is reached; may be repeated."
        ),
    ] = None,
    trust: Trust = False,
) -> None:
    """Show a study in the browser, finished or still training. Ctrl-C ends it."""
    from stratigraph.web import serve

    def say(address: str) -> None:
        tell(f"{address}  (Ctrl-C ends)")

    with contextlib.suppress(KeyboardInterrupt):  # how it is meant to end
        serve(
            study,
            host=host,
            port=port,
            token=token,
            names=allow_host or (),
            trust=trust,
            ready=say,
        )
