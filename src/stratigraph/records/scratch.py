"""Room for what is soon removed again: a folder below ``TMPDIR``, whose disk may be full.

A temporary folder is asked for here alone, so that a disk without room for one, or in one, is told
in the same way by whatever needed it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stratigraph.errors import StorageError

__all__ = ["check_scratch", "scratch_folder", "scratch_room"]

PREFIX = "stratigraph-"  # of whatever is made there: a study may stand there too


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder, which is removed at the end.

    Raises:
        StorageError: there is no room for it, or in it.

    """
    with scratch_room(), tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        yield Path(folder)


@contextmanager
def scratch_room() -> Iterator[None]:
    """Within, an OSError of a temporary file is a StorageError; those of other files pass."""
    try:
        yield
    except OSError as error:
        named = error.filename
        if named is not None and not _is_temporary(Path(os.fsdecode(named))):
            raise
        raise StorageError(
            f"no room for temporary files ({error.strerror or error}); point TMPDIR to a folder "
            "on a larger disk."
        ) from error


def check_scratch() -> None:
    """Find out whether there is a place for temporary files at all; torch trains with none.

    Raises:
        StorageError: there is none.

    """
    with scratch_room():
        tempfile.gettempdir()


def _is_temporary(path: Path) -> bool:
    if tempfile.tempdir is None or not path.is_relative_to(tempfile.tempdir):
        return False
    return path.relative_to(tempfile.tempdir).as_posix().startswith(PREFIX)
