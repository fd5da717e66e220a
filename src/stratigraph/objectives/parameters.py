"""What an objective's parameters may be: said where a parameter is declared, checked in one place.

A field that declares nothing is a finite number ≥ 0. The others are made by `declared`::

    layers: int = declared(Number(least=1, whole=True), 6)
    sigma: str = declared(Choice("learned", "optimal"), "learned")
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Protocol

from stratigraph.errors import ConfigError, suggest
from stratigraph.values import is_number, is_whole, told_value

__all__ = ["STEPS", "Choice", "Number", "check_parameters", "declared"]


class Allowed(Protocol):
    """What a parameter may be."""

    def check(self, where: str, value: Any) -> None:
        """Raise a ConfigError unless ``value`` is allowed."""
        ...


class Number:
    """A finite number within bounds; ``what`` names it in the message."""

    def __init__(
        self,
        least: float = 0,
        most: float = math.inf,
        *,
        whole: bool = False,
        below: float = math.inf,
        what: str = "",
    ) -> None:
        self.least, self.most, self.whole, self.below = least, most, whole, below
        self.what = what or ("whole number" if whole else "finite number")

    def check(self, where: str, value: Any) -> None:
        """Raise a ConfigError unless ``value`` is such a number."""
        if (
            not is_number(value)
            or (self.whole and not is_whole(value))
            or not math.isfinite(value)
            or not self.least <= value <= self.most
            or value >= self.below
        ):
            bounds = f"≥ {self.least:g}"
            bounds += "" if self.most == math.inf else f" and ≤ {self.most:g}"
            bounds += "" if self.below == math.inf else f" and < {self.below:g}"
            raise ConfigError(f"{where}: expected a {self.what} {bounds}, got {told_value(value)}.")


class Choice:
    """One of some words."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def check(self, where: str, value: Any) -> None:
        """Raise a ConfigError unless ``value`` is one of them."""
        if not isinstance(value, str) or value not in self.names:
            raise ConfigError(
                f"{where}: expected {' or '.join(self.names)}, got {value!r}."
                + suggest(str(value), self.names)
            )


NUMBER = Number()
STEPS = Number(1, whole=True, what="whole number of steps")


def declared(allowed: Allowed, default: Any = dataclasses.MISSING) -> Any:
    """A field of an objective whose values are checked against ``allowed``."""
    return dataclasses.field(default=default, metadata={"allowed": allowed})


def check_parameters(name: str, kind: type, parameters: Mapping[str, Any]) -> None:
    """Whether an objective of this kind can be made of these parameters.

    Raises:
        ConfigError: an unknown parameter, a missing one, or a value that is not allowed.

    """
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key, value in parameters.items():
        if key not in fields:
            raise ConfigError(f"objective {name}: no parameter {key!r}.{suggest(key, fields)}")
        allowed = fields[key].metadata.get("allowed", NUMBER)
        allowed.check(f"objective {name}: {key}", value)
    missing = [
        key
        for key, field in fields.items()
        if field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
        and key not in parameters
    ]
    if missing:
        raise ConfigError(f"objective {name}: {', '.join(missing)} is missing; give it a number.")
