"""Claims of a user's own: functions in files of theirs, which a study names as ``module:name``.

Such a function takes `Evidence` and gives a list of `Question`s, as those of stratigraph do; their
family is "own", whatever they say, so that no other verdict depends on how many there are.
"""

from __future__ import annotations

import json
import math
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stratigraph.errors import ConfigError, StratigraphError
from stratigraph.evidence.contrast import Contrast
from stratigraph.evidence.evidence import Evidence
from stratigraph.evidence.finding import Question
from stratigraph.plugins import load_plugin

__all__ = ["OWN", "own_claims"]

OWN = 0  # their number: they are not in the list


def own_claims(names: Iterable[str]) -> list[Callable[[Evidence], list[Question]]]:
    """The claims of these names.

    Raises:
        UntrustedError, ConfigError: as `stratigraph.plugins.load_plugin`.

    """
    return [_load(name) for name in names]


def _load(name: str) -> Callable[[Evidence], list[Question]]:
    claim: Callable[[Evidence], Any] = load_plugin("claims", name)

    def ask(evidence: Evidence) -> list[Question]:
        try:
            found = claim(evidence)
        except StratigraphError:
            raise
        except Exception as error:
            at = traceback.extract_tb(error.__traceback__)[-1]
            raise ConfigError(
                f"claims: {name}: raised {type(error).__name__}: {error} "
                f"({Path(at.filename).name}, line {at.lineno}); the checks of "
                "stratigraph.testing.claims ask it of planted studies."
            ) from error
        wrong = f"expected a list of Questions, got {found!r}"
        if isinstance(found, list) and all(isinstance(one, Question) for one in found):
            wrong = next(filter(None, map(_find_fault, found)), "")
        if wrong:
            raise ConfigError(
                f"claims: {name}: {wrong}; the checks of stratigraph.testing.claims say what else "
                "a claim promises."
            )
        return [replace(question, claim=OWN, family="own") for question in found]

    return ask


def _find_fault(question: Question) -> str:
    """What of a question would be judged wrong, or could not be judged or kept; "" for nothing."""
    if not (isinstance(question.key, str) and question.key):
        return f"key: expected a word, got {question.key!r}"
    if not (math.isfinite(question.least) and question.least >= 0):
        return f"{question.key}: least: expected a distance, at least 0, got {question.least!r}"
    contrasts: Mapping[str, Any] = question.contrasts
    for measure, one in contrasts.items():
        if not isinstance(one, Contrast):
            return (
                f"{question.key}: {measure}: expected a Contrast, got {one!r}; where there is "
                "none, leave it out, and say why in `missing`"
            )
    try:
        json.dumps([dict(row) for row in question.details], default=_to_plain)
    except (TypeError, ValueError, AttributeError) as error:
        return f"{question.key}: details: expected rows of plain values ({error})"
    return ""


def _to_plain(value: Any) -> Any:
    return value.item()  # a number of numpy's
