"""What a file holds: matrices by name, and what may be ids of their rows, neither read yet."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from stratigraph.errors import ConfigError
from stratigraph.representations.rows import Rows

__all__ = ["Contents", "need"]


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
            f"{what} files are read by {package}, which cannot be imported ({error}); "
            f"pip install {package}, or 'stratigraph' with what it requires."
        ) from error
