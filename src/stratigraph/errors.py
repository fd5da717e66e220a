"""What can go wrong, as types: one base class, and one child for each thing a caller can do.

Every message says what was expected, what came, where, and what to do about it. Each class carries
the exit code of the command line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar

__all__ = [
    "BusyError",
    "ConfigError",
    "DataError",
    "InputError",
    "IntegrityError",
    "StorageError",
    "StratigraphError",
    "UnsafeFileError",
    "UntrustedError",
    "suggest",
]


class StratigraphError(Exception):
    """Base of every error that stratigraph raises on purpose."""

    exit_code: ClassVar[int] = 1


class InputError(StratigraphError, ValueError):
    """An argument (an array, a layer name, a number) that cannot be used."""

    exit_code = 2


class ConfigError(StratigraphError, ValueError):
    """A study, or an option, that cannot be run as written."""

    exit_code = 2


class DataError(StratigraphError):
    """A data file that is missing, or is not what its format says."""

    exit_code = 3


class IntegrityError(DataError):
    """A file of ours whose bytes are not those that were written."""


class UnsafeFileError(StratigraphError):
    """A file that would run code, or leave its folder, when opened."""

    exit_code = 4


class UntrustedError(UnsafeFileError):
    """A study that names modules, which would run, and that is not known to be the user's own."""


class BusyError(StratigraphError):
    """Another process holds what is needed: a run's lock, a port."""

    exit_code = 5


class StorageError(StratigraphError):
    """The disk could not be written or read."""

    exit_code = 6


def suggest(name: str, known: Iterable[str]) -> str:
    """The tail of an error message for an unknown name.

    Returns `` Did you mean 'cka'?`` where a near name exists, and the known names otherwise.
    """
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=2, cutoff=0.6)
    if near:
        return " Did you mean " + " or ".join(repr(other) for other in near) + "?"
    return " Known: " + ", ".join(names) + "."
