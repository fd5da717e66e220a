"""Single files of a study: written whole or not at all, and carrying their own hash.

A JSON file of ours has a key ``seal``, the SHA-256 of the rest; a text file ends in a line that
holds it. So one rename changes content and hash together, and reading tells any changed byte.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stratigraph.durable import Bytes, gone, make_folder, replacing
from stratigraph.errors import ConfigError, DataError, IntegrityError, StorageError
from stratigraph.records.forms import check_json

__all__ = [
    "FORMAT",
    "check_format",
    "is_sealed",
    "read_json",
    "read_text",
    "sealed_json",
    "sealed_text",
    "storage",
    "unsealed_json",
    "write_file",
    "write_json",
    "write_text",
]

FORMAT = 1
_SEAL = re.compile(r"# stratigraph format (\d+), sha256 of the lines above: ([0-9a-f]{64})\n\Z")


@contextlib.contextmanager
def storage(path: Path, needed: Callable[[], int] | None = None) -> Iterator[None]:
    """An OSError of writing ``path`` is a StorageError that names it; others pass.

    Args:
        path: what is being written.
        needed: how many bytes it takes, as far as is known when the disk is full.

    """
    try:
        yield
    except OSError as error:
        named = error.filename
        if isinstance(named, str | bytes) and not _belongs(Path(os.fsdecode(named)), path):
            raise  # reading something else failed while this was being written
        if isinstance(error, FileNotFoundError):
            raise gone(named or path) from error
        room = ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            wants = f"it takes at least {needed():,} bytes, and " if needed else ""
            room = f"; {wants}{_free(path):,} bytes are free there"
        raise StorageError(
            f"writing {path} failed: {error.strerror or error}{room}. What was there before is "
            "whole. Make room, get permission to write, or choose another folder (--out; TMPDIR "
            "for temporary files), and run the command again."
        ) from error


def _belongs(named: Path, path: Path) -> bool:
    """Whether an error's file is one that writing ``path`` touches: beside, in or above it."""
    return named.is_relative_to(path.parent) or path.is_relative_to(named)


def _free(path: Path) -> int:
    while not path.is_dir():
        path = path.parent
    return shutil.disk_usage(path).free


def write_file(path: Path, *parts: Bytes) -> str:
    """Write one file of these bytes, whole or not at all; return their SHA-256.

    Raises:
        StorageError: the disk would not take it; what stood there before still does.

    """
    with storage(path, lambda: sum(memoryview(part).nbytes for part in parts)):
        make_folder(path.parent)
        with replacing(path) as output:
            for part in parts:
                output.write(part)
    return output.sha256


def check_format(found: int, path: Path | str, known: int = FORMAT) -> None:
    """Refuse what a newer version wrote.

    Raises:
        ConfigError: it did.

    """
    if found > known:
        raise ConfigError(
            f"{path}: written in format {found}, this version reads up to {known}; upgrade "
            "stratigraph."
        )


def sealed_json(value: dict[str, Any]) -> bytes:
    """A mapping as JSON, its own hash included: nothing else would notice damage to it."""
    body = json.dumps(value, indent=1, sort_keys=True, allow_nan=False)
    seal = hashlib.sha256(body.encode()).hexdigest()
    whole = json.dumps({**value, "seal": seal}, indent=1, sort_keys=True, allow_nan=False)
    return f"{whole}\n".encode()


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a mapping as sealed JSON, whole or not at all."""
    write_file(path, sealed_json(value))


def read_json(path: Path) -> dict[str, Any]:
    """The mapping in a sealed JSON file, without its seal.

    Raises:
        DataError: it is missing.
        IntegrityError: its bytes are not those that were written, or say what no such file says.

    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    return unsealed_json(content, path)


def unsealed_json(content: bytes, where: Path | str) -> dict[str, Any]:
    """The mapping that `sealed_json` made these bytes of.

    Raises:
        IntegrityError: they are not those that were written.

    """
    try:
        value = json.loads(content)
        del value["seal"]
        whole = sealed_json(value) == content
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        whole = False
    if not whole:
        raise IntegrityError(_tell_damage(where))
    check_json(where, value)
    return dict(value)


def sealed_text(text: str) -> bytes:
    """A text with a last line that holds the hash of the others, in place of one it may have."""
    lines = _SEAL.sub("", text)
    if not lines.endswith("\n"):
        lines += "\n"
    seal = hashlib.sha256(lines.encode()).hexdigest()
    return f"{lines}# stratigraph format {FORMAT}, sha256 of the lines above: {seal}\n".encode()


def write_text(path: Path, text: str) -> None:
    """Write a text with its seal, whole or not at all."""
    write_file(path, sealed_text(text))


def is_sealed(text: str) -> bool:
    """Whether a text ends in a seal, right or wrong."""
    return _SEAL.search(text) is not None


def read_text(path: Path) -> str:
    """A sealed text, without its last line.

    Raises:
        DataError: it is missing.
        ConfigError: a newer version wrote it.
        IntegrityError: its bytes are not those that were written.

    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise IntegrityError(_tell_damage(path)) from None
    seal = _SEAL.search(text)
    if seal:
        check_format(int(seal[1]), path)
    if not seal or sealed_text(text) != content:
        raise IntegrityError(
            f"{_tell_damage(path)} If you changed it yourself: change your own copy of the file, "
            "and run that with --out."
        )
    return text[: seal.start()]


def _tell_damage(path: Path | str) -> str:
    return (
        f"{path}: damaged; its bytes are not those that were written. `stratigraph verify STUDY "
        "--repair` makes again what can be made."
    )
