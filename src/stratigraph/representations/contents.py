"""What a file holds: matrices by name, and what may be ids of their rows, neither read yet."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from stratigraph.errors import ConfigError, DataError
from stratigraph.labels import called_as_ids
from stratigraph.representations.rows import Rows

__all__ = ["Contents", "check_units", "need"]


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes:
        matrices: name → how it is read; "" in a file of one array.
        labels: name → a column of labels, an array (n,).
        index: labels that the format itself keeps of its rows, or None.
        refused: name → why that is no matrix, for who asks for it.

    """

    matrices: dict[str, Callable[[], Rows]] = field(default_factory=dict)
    labels: dict[str, Callable[[], Any]] = field(default_factory=dict)
    index: Callable[[], Any] | None = None
    refused: dict[str, str] = field(default_factory=dict)


def check_units(path: Path, units: list[str], others: Mapping[str, str]) -> None:
    """Refuse a table in which something else than units may stand among them."""
    if others:
        told = ", ".join(f"{name!r} ({kind})" for name, kind in others.items())
        raise DataError(
            f"{path}: expected columns of numbers, got {told}; leave it out, or name the column "
            "that holds ids (ids=, --ids)."
        )
    for name in units:
        if called_as_ids(name):
            raise DataError(
                f"{path}: column {name!r} of numbers has a name that ids usually have; name it "
                "(ids=, --ids), or leave it out. It would count as a unit."
            )


def need(module: str, what: str) -> ModuleType:
    """A library that reads a format, loaded now.

    Raises:
        ConfigError: it is not installed, or cannot be imported.

    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise ConfigError(
            f"{what} files need {package}, which cannot be imported ({error}); pip install "
            f"{package}, or 'stratigraph' with its requirements."
        ) from error
