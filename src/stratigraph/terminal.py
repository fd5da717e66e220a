"""Text on its way to a terminal: control characters are shown, not sent.

A name in a study, a reason in a file or a path may hold an escape sequence, which would move the
cursor, change the title or hide a line of whoever reads it; or letters that turn the direction of
writing around. Everything that a command prints goes through `tell`, and what a board draws through
`visible`.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable
from typing import Any

from stratigraph.errors import StorageError

__all__ = ["tell", "tell_json", "tell_lines", "visible"]


def visible(text: object) -> str:
    r"""A text in one line, with what does not print as Python writes it.

    >>> visible("a\x1b[2Jb\nc")
    'a\\x1b[2Jb\\nc'

    """
    whole = str(text)
    return whole if whole.isprintable() else "".join(map(_shown, whole))


def _shown(letter: str) -> str:
    plain = letter.isprintable() or unicodedata.category(letter) == "Zs"
    return letter if plain else ascii(letter)[1:-1]


def tell(text: object = "", *, err: bool = False) -> None:
    """Print one line, to standard output or standard error.

    Raises:
        StorageError: it would not take it.

    """
    _print(visible(text), err)


def tell_lines(lines: Iterable[str]) -> None:
    """Print some lines to standard output."""
    for line in lines:
        tell(line)


def tell_json(facts: Any) -> None:
    """Print plain values for a program, on standard output, as JSON: it has no letters but ASCII's.

    Raises:
        StorageError: as `tell`.

    """
    _print(json.dumps(facts, indent=1), False)


def _print(text: str, err: bool) -> None:
    try:
        print(text, file=sys.stderr if err else sys.stdout, flush=True)
    except BrokenPipeError:
        raise  # whoever read it has gone, which is no fault
    except OSError as error:
        where = "standard error" if err else "standard output"
        raise StorageError(f"{where}: it cannot be written to ({error.strerror}).") from error
