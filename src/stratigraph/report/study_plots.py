"""The pictures of a study, ``study.plot``: its panels, and every figure of its report by name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stratigraph.errors import InputError, suggest
from stratigraph.report.data import ReportData
from stratigraph.report.plots import (
    plot_convergence,
    plot_findings,
    plot_heatmap,
    plot_map,
    plot_power,
)
from stratigraph.report.sections import sections
from stratigraph.study import Study

__all__ = ["StudyPlots"]


@dataclass(frozen=True)
class StudyPlots:
    """The pictures of a study: ``study.plot``."""

    study: Study

    @cached_property
    def data(self) -> ReportData:
        """What its report is made of."""
        return ReportData(self.study)

    @property
    def configurations(self) -> list[str]:
        """The labels of the study's configurations."""
        return [one.label for one in self.data.configurations]

    def heatmap(
        self, run: str | None = None, ax: Axes | None = None, *, measure: str = "debiased_cka",
        step: int | None = None, with_step: int | None = None,
    ) -> Axes:  # fmt: skip
        """A run's layers against each other: at one step (the last), or one step against another.

        Args:
            run: the beginning of its id; by default the first run.
            ax: where; by default a new figure.
            measure: one of the study's.
            step: step of the rows.
            with_step: step of the columns; by default the same.

        Raises:
            InputError: the study has no such run, step or matrix.

        """
        chosen = self.study.run(run) if run else next(iter(self.study.runs.values()))
        scores = self.study.similarity(measure)
        steps = sorted(set(scores["step_x"].values[scores["run_x"].values == chosen.run_id]))
        at = step if step is not None or not steps else steps[-1]
        other = at if with_step is None else with_step
        if at not in steps or other not in steps:
            raise InputError(
                f"run {chosen.run_id} was not compared at step {at if at not in steps else other}; "
                f"it was at {', '.join(map(str, steps)) or 'none'}."
            )
        own = scores.sel(run_x=chosen.run_id, run_y=chosen.run_id, step_x=at, step_y=other)
        return plot_heatmap(own, ax)

    def convergence(self, ax: Axes | None = None, **options: Any) -> Axes:
        """See `plot_convergence`."""
        return plot_convergence(self.study, ax, **options)

    def findings(self, ax: Axes | None = None, **options: Any) -> Axes:
        """See `plot_findings`."""
        return plot_findings(self.study, ax, **options)

    def map(self, ax: Axes | None = None, **options: Any) -> Axes:
        """See `plot_map`."""
        return plot_map(self.study, ax, **options)

    def power(self, ax: Axes | None = None) -> Axes:
        """See `plot_power`."""
        return plot_power(self.study, ax)

    @property
    def names(self) -> list[str]:
        """Names of the report's figures."""
        return list(self._sketches)

    def figure(self, name: str) -> Figure:
        """A figure of the report, with the same panels.

        Raises:
            InputError: there is no such figure.

        """
        if name not in self._sketches:
            raise InputError(f"name: no figure is called {name!r}.{suggest(name, self._sketches)}")
        found: Figure = self._sketches[name].draw()
        return found

    @cached_property
    def _sketches(self) -> dict[str, Any]:
        return {one.name: one for own in sections(self.data).values() for one in own}
