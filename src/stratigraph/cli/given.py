"""Options that would do nothing where they are given: refused, so that nobody believes they did."""

from __future__ import annotations

from collections.abc import Iterable

import typer

from stratigraph.errors import ConfigError

__all__ = ["refuse_given"]


def refuse_given(context: typer.Context, names: Iterable[str], why: str) -> None:
    """Refuse parameters of a command that stand on its line.

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
            raise ConfigError(f"{option}: {why}; leave it away.")
