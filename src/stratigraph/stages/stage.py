"""A stage of a study: what it needs, and what it makes.

It reads the study's folder, writes into it, and skips what is there already; so the same call again
goes on where the last one stopped. Which places it makes stands in `stratigraph.study.layout`,
whether they are current in `stratigraph.stages.current`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stratigraph.durable import find_leftovers

if TYPE_CHECKING:
    from stratigraph.engine import Engine
    from stratigraph.home import Home
    from stratigraph.stages.progress import Progress
    from stratigraph.study import Study

__all__ = ["Made", "Stage", "Work"]


@dataclass(frozen=True)
class Work:
    """What a stage is given.

    Args:
        study: a study's folder, opened.
        home: where the study is at home.
        engine: where tasks run.
        progress: says what is going on.
        device: that is trained on.
        allow_drift: go on with runs that were begun under other versions, data or device.
        published: judge the published way too.
        formats: that figures are drawn in, beside the one that the report shows; None are those of
            the last time.

    """

    study: Study
    home: Home
    engine: Engine
    progress: Progress
    device: str = "cpu"
    allow_drift: bool = False
    published: bool = False
    formats: Sequence[str] | None = None


@dataclass(frozen=True)
class Made:
    """What is noted of a stage that was gone through.

    Args:
        options: what of it depends on how it was asked for.
        facts: what others may read without looking for it in files.

    """

    options: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """One of the five (`stratigraph.stages.catalog`).

    Args:
        name: as the command line calls it, and as the table of places does.
        needs: the stages whose places it reads.
        make: makes what is missing, and says what came of it.
        ended: whether what it began is at its end, of a study's folder and the runs that have to be
            trained there; files alone do not say so of runs.
        clears: the records and files, as patterns of paths within the study, of which it removes
            what interrupted writes left (``{run}`` is each run that has to be trained).

    """

    name: str
    needs: tuple[str, ...]
    make: Callable[[Work], Made]
    ended: Callable[[Path, Sequence[str]], bool] = lambda study, runs: True
    clears: Sequence[str] = ()

    def is_cleared(self, study: Path, runs: Sequence[str]) -> bool:
        """Whether none of what it removes is left in a study's folder."""
        places = [
            study / place.format(run=run)
            for place in self.clears
            for run in (runs if "{run}" in place else [""])
        ]
        return not any(any(find_leftovers(path.parent, path.name)) for path in places)
