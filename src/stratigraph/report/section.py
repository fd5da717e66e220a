"""A section of the report: figures that answer one question, and what all are drawn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from matplotlib.figure import Figure

from stratigraph.evidence import Evidence
from stratigraph.report.drawing import Sketch
from stratigraph.study import Study

__all__ = ["Material", "Section"]


@dataclass
class Section:
    """Figures that answer one question."""

    id: str
    title: str
    text: str
    figures: list[Sketch] = field(default_factory=list)

    def add(self, name: str, draw: Callable[[], Figure], caption: str) -> None:
        """One more figure, to be drawn later; ``name`` is its file's."""
        self.figures.append(Sketch(name, draw, caption))


@dataclass(frozen=True)
class Material:
    """What the sections are drawn from."""

    study: Study
    evidence: Evidence | None
    findings: list[dict]
