"""Files that are whole or not there: the one way in which anything of ours reaches the disk.

A file is written under a temporary name in its own folder, flushed to the disk, and renamed into
place; then the folder is flushed, or the rename may not survive a loss of power. What stood there
before stands until the rename, and a killed process leaves nothing that could be taken for data.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["TEMPORARY", "replacing", "sha256", "sync"]

TEMPORARY = ".new-"


def sha256(path: Path) -> str:
    """The hash of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Flush a file, or a folder's list of names, to the disk."""
    if path.is_dir() and os.name != "posix":
        return  # Windows opens no folders
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A fresh path beside ``path``: what is written there takes its name if the block ends well."""
    fresh = path.parent / f"{TEMPORARY}{uuid.uuid4().hex[:12]}-{path.name}"
    try:
        yield fresh
        sync(fresh)
        fresh.replace(path)
        sync(path.parent)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
