"""Published files: fetched once, compared with their pinned hash before anything parses them.

A download goes to a temporary file beside its place (by pooch, Uieda et al., 2020) and takes its
name once its hash is right. With a wrong hash it is kept under the name ``….quarantined``, for the
reader of the message to look at, and never opened. A file that the user has is checked in the same
way and left where it is.
"""

from __future__ import annotations

import errno
import hashlib
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import final

import pooch

from stratigraph.data.cache import cache_dir
from stratigraph.errors import DataError, StorageError
from stratigraph.paths import user_path

__all__ = ["PublishedFile", "check_file", "fetch", "locate", "what_is_here"]

ATTEMPTS = 3
PATIENCE = 30.0  # seconds without an answer from the server
_here_alone = ContextVar("_here_alone", default=False)


@contextmanager
def what_is_here() -> Iterator[None]:
    """Within, nothing is downloaded: a set that is not on this machine is a DataError at once."""
    token = _here_alone.set(True)
    try:
        yield
    finally:
        _here_alone.reset(token)


@final
@dataclass(frozen=True)
class PublishedFile:
    """A file that others publish; `known_hash` is ``algorithm:hexadecimal``."""

    name: str
    url: str
    known_hash: str


def locate(
    file: PublishedFile, root: str | Path | None, folder: str | Path | None, verify: bool = True
) -> Path:
    """The file in `root` (itself, or the folder that holds it), or else from the cache or the net.

    Raises:
        DataError: it is not there, or its bytes are not the published ones.

    """
    if root is None:
        return fetch(file, cache_dir(folder) / "downloads")
    path = user_path(root)
    if path.is_dir():
        path = path / file.name
    if not path.is_file():
        raise DataError(
            f"{path} is not there; put {file.name} in root, or leave root out to download it "
            f"from {file.url}"
        )
    check_file(path, file.known_hash if verify else None)
    return path


def fetch(file: PublishedFile, folder: Path) -> Path:
    """The file in `folder`, downloaded if it is not there.

    Raises:
        DataError: no answer, or not the published bytes (the download is then quarantined).
        StorageError: the disk would not take it.

    """
    path = folder / file.name
    if path.is_file():
        check_file(path, file.known_hash)
        return path
    if _here_alone.get():
        raise DataError(f"{path} is not there")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=folder) as scratch:
            part = Path(scratch) / file.name
            _download(file, part)
            try:
                check_file(part, file.known_hash)
            except DataError as error:
                kept = path.with_name(path.name + ".quarantined")
                part.replace(kept)
                reason = str(error).replace(str(part), file.url)
                raise DataError(f"{reason}. The download is kept as {kept}") from error
            part.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}") from error
    return path


def check_file(path: Path, known_hash: str | None) -> None:
    """Compare a file with its pinned hash (None: only see that it can be data at all).

    Raises:
        DataError: it is empty, a web page, or other bytes than the published ones.

    """
    with path.open("rb") as stream:
        start = stream.read(256)
    if not start:
        raise DataError(f"{path} is empty; remove it, and the next run fetches it again")
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise DataError(f"{path} is a web page, not data; it begins with {start[:60]!r}")
    if known_hash is None:
        return
    algorithm, _, expected = known_hash.partition(":")
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, algorithm).hexdigest()
    if found != expected:
        raise DataError(
            f"{path}: its {algorithm} is {found}, but {expected} was published; remove it, and "
            f"fetch it again"
        )


def _download(file: PublishedFile, to: Path) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with _Bar(file.name) as bar:
                pooch.HTTPDownloader(progressbar=bar, timeout=PATIENCE)(file.url, str(to), None)
        except OSError as error:  # what requests raises is one, too
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
                raise
            if attempt == ATTEMPTS:
                raise DataError(
                    f"{file.url}: no download after {ATTEMPTS} attempts ({error}). Fetch it by "
                    f"other means, and give its place as root"
                ) from error
            time.sleep(2.0**attempt)
        else:
            return


@final
class _Bar:
    """What pooch asks of a progress bar, by rich; it is silent where there is no terminal."""

    def __init__(self, name: str) -> None:
        # Not above: of most commands that load data, none downloads any.
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

        columns = ("{task.description}", BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, disable=not sys.stderr.isatty(), transient=True)
        self._task = self._progress.add_task(name, total=None)
        self.total = 0

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, count: int) -> None:
        self._progress.update(self._task, total=self.total or None, advance=count)

    def reset(self) -> None:
        self._progress.reset(self._task)

    def close(self) -> None:
        self._progress.stop()
