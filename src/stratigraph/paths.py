"""A path that somebody gives, looked at once before anything is opened.

Some texts are no path of any system: with a NUL in them, of a user whom nobody knows, of links that
lead to themselves, of names longer than a name can be. Each call of Python's says so in a way of
its own (ValueError, RuntimeError, OSError); here it is one sentence.
"""

from __future__ import annotations

import errno
from pathlib import Path

from stratigraph.errors import ConfigError, DataError, StratigraphError

__all__ = ["check_path", "user_path"]

HOPELESS = (errno.ELOOP, errno.ENAMETOOLONG)


def check_path(path: str | Path, error: type[StratigraphError] = DataError) -> Path:
    """The path, if there can be such a one; nothing need stand there.

    Args:
        path: as it was given.
        error: what is raised.

    """
    try:
        Path(path).stat()
    except OSError as wrong:
        if wrong.errno in HOPELESS:
            raise error(f"{_brief(path)}: impossible path ({wrong.strerror}).") from None
    except ValueError:
        raise error(f"{_brief(path)}: impossible path (it holds NUL, or is not text).") from None
    return Path(path)


def user_path(text: str | Path, error: type[StratigraphError] = DataError) -> Path:
    """As `check_path`, with ``~`` and ``~user`` as the folder that is meant.

    Raises:
        ConfigError: it is neither text nor a path.

    """
    if not isinstance(text, str | Path):
        raise ConfigError(f"expected a path, got {text!r}.")
    try:
        return check_path(Path(text).expanduser(), error)
    except RuntimeError:
        raise error(
            f"{_brief(text)}: this machine has no such user; write the whole path."
        ) from None


def _brief(path: str | Path) -> str:
    text = str(path)
    return text if len(text) <= 120 else f"{text[:100]}… ({len(text):,} characters)"
