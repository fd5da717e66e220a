"""Claims of a user's own: functions in files of theirs, which a study names as ``module:name``.

Such a function takes `Evidence` and gives a list of `Question`s, as those of stratigraph do; their
family is "own", whatever they say, so that no other verdict depends on how many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from stratigraph.errors import ConfigError
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
        found = claim(evidence)
        if not isinstance(found, list) or not all(isinstance(one, Question) for one in found):
            raise ConfigError(
                f"claims: {name}: expected a list of Questions, got {found!r}; the checks of "
                "stratigraph.testing.claims say what else a claim promises."
            )
        return [replace(question, claim=OWN, family="own") for question in found]

    return ask
