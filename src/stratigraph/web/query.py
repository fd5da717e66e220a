"""What a view was asked, read from the address; and what it answers with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from stratigraph.errors import InputError, suggest
from stratigraph.similarity.catalog import ALIASES
from stratigraph.study import Run, Study

__all__ = ["Answer", "Query", "defined"]

MOST_RUNS = 64  # in one question


@dataclass(frozen=True)
class Answer:
    """What a view answers with: values for the page, and the same as a table.

    Attributes:
        facts: plain values.
        values: an array that follows the facts as float32, or None.
        table: makes the table that is downloaded as CSV, or None.
        png: an image, in place of all these, or None.

    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    values: np.ndarray | None = None
    table: Callable[[], pd.DataFrame] | None = None
    png: bytes | None = None


@dataclass(frozen=True)
class Query:
    """The parameters of a request, each given once."""

    given: Mapping[str, str]

    def text(self, name: str, default: str | None = None) -> str:
        """A parameter as it is.

        Raises:
            InputError: it is missing and has no default.

        """
        value = self.given.get(name, default)
        if value is None:
            raise InputError(f"{name}: expected a value in the address, got none.")
        return value

    def choice(self, name: str, allowed: Iterable[str], default: str | None = None) -> str:
        """One of several words.

        Raises:
            InputError: another word, or none without a default.

        """
        known = list(allowed)
        value = self.text(name, default)
        if value not in known:
            raise InputError(f"{name}: {value[:80]!r} is not known.{suggest(value[:80], known)}")
        return value

    def whole(self, name: str, default: int | None = None, most: int = 10**12) -> int:
        """A whole number from 0.

        Raises:
            InputError: it is not one, or is larger than ``most``.

        """
        value = self.text(name, None if default is None else str(default))
        if not (value.isascii() and value.isdigit() and len(value) < 16 and int(value) <= most):
            raise InputError(
                f"{name}: expected a whole number from 0 to {most}, got {value[:80]!r}."
            )
        return int(value)

    def numbers(self, name: str, count: int, largest: float) -> list[float]:
        """So many numbers, joined by commas.

        Raises:
            InputError: there are more or fewer, or one is not within ± ``largest``.

        """
        words = self.text(name).split(",")
        try:
            values = [float(word) for word in words]
        except ValueError:
            values = []
        if len(values) != count or not all(abs(x) <= largest for x in values):
            raise InputError(
                f"{name}: expected {count} numbers from −{largest:g} to {largest:g}, joined by "
                f"commas, got {self.text(name)[:80]!r}."
            )
        return values

    def run(self, study: Study, name: str) -> Run:
        """A run of the study by its whole id.

        Raises:
            InputError: there is none.

        """
        return study.runs[self.choice(name, study.runs)]

    def runs(self, study: Study, name: str) -> list[Run]:
        """Runs of the study by their ids, joined by commas.

        Raises:
            InputError: one is not there, or they are too many.

        """
        words = list(dict.fromkeys(self.text(name).split(",")))
        if len(words) > MOST_RUNS:
            raise InputError(f"{name}: at most {MOST_RUNS} runs at once, got {len(words)}.")
        for word in words:
            if word not in study.runs:
                raise InputError(f"{name}: no run is called {word[:80]!r}.")
        return [study.runs[word] for word in words]

    def measure(self, study: Study, name: str = "measure", default: str | None = None) -> str:
        """A measure that the study was compared by.

        Raises:
            InputError: it has no such matrix.

        """
        held = study.measures()
        if not held:
            raise InputError(
                f"study {study.config.name} has not been compared yet; this view fills once it has."
            )
        asked = self.text(name, default or held[0])
        known = ALIASES.get(asked, asked)
        return known if known in held else self.choice(name, held, default or held[0])


def defined(values: Iterable[Any], digits: int = 4) -> list[float | None]:
    """Numbers as JSON holds them: None where undefined. Adding 0 takes the sign from −0."""
    return [
        round(float(x), digits) + 0.0 if x is not None and math.isfinite(x) else None
        for x in values
    ]
