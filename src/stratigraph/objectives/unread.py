"""What stands for an objective whose module is named and was not imported.

A study that is not trusted opens for reading (`stratigraph.plugins`): its runs still have a name
and a strength, as far as these can be read off the study file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stratigraph.values import is_number

__all__ = ["UnreadObjective"]


@dataclass(frozen=True)
class UnreadObjective:
    """An objective's parameters; its strength is the only number among them, where there is one."""

    parameters: tuple[tuple[str, Any], ...]

    @property
    def strength(self) -> str | None:
        """The name of the parameter that studies vary, as far as can be told."""
        numbers = [key for key, value in self.parameters if is_number(value)]
        return numbers[0] if len(numbers) == 1 else None
