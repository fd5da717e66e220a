"""Where a study's folder comes from: a folder may be the working copy of a study at a URL."""

from __future__ import annotations

from pathlib import Path

from stratigraph.errors import DataError
from stratigraph.records import read_json, write_json

__all__ = ["REMOTE", "find_origin", "is_url", "keep_origin", "spell_url", "study_of"]

REMOTE = ".remote"  # in a working copy: its URL, and what it last agreed with


def is_url(text: str | Path) -> bool:
    """Whether this names a place by its URL (``s3://…``) rather than by its path."""
    return isinstance(text, str) and "://" in text


def spell_url(url: str) -> str:
    """The one spelling of a URL: a scheme is the same in capitals, and a last slash says nothing.

    >>> spell_url("FILE:///data/Study/")
    'file:///data/Study'
    """
    scheme, _, rest = url.rstrip("/").partition("://")
    return f"{scheme.lower()}://{rest}"


def study_of(run: Path) -> Path:
    """The folder of the study that a run's folder would be in."""
    return run.absolute().parent.parent


def find_origin(folder: Path) -> str | None:
    """The URL that a folder is the working copy of; None of any other folder."""
    path = folder / REMOTE / "origin.json"
    return str(read_json(path)["url"]) if path.is_file() else None


def keep_origin(folder: Path, url: str) -> None:
    """Make a folder the working copy of a URL, if it is not yet.

    Raises:
        DataError: it is another one's.

    """
    held = find_origin(folder)
    if held is None:
        write_json(folder / REMOTE / "origin.json", {"url": url})
    elif held != url:
        raise DataError(f"{folder}: the working copy of {held}, not of {url}.")
