"""Pictures from Python: the report's panels, each in axes of one's own.

Every function takes ``ax``, draws there and returns it; without, a figure is made that a notebook
shows. `study_plots` has those of a study by its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes

from stratigraph.errors import InputError, suggest
from stratigraph.report.data import THRESHOLD, ReportData
from stratigraph.report.figures.convergence import draw_layers_panel
from stratigraph.report.figures.findings import draw_findings_panel, size_of_findings
from stratigraph.report.figures.layout import Layout, add_scale
from stratigraph.report.figures.matrix import draw_scores_panel
from stratigraph.report.figures.model_map import draw_map_panel
from stratigraph.report.figures.power import draw_power_panel
from stratigraph.report.figures.style import STYLE, measure_name
from stratigraph.report.findings import finding_rows, reach_of
from stratigraph.report.learning_data import curves
from stratigraph.report.map_data import map_of_models
from stratigraph.similarity.catalog import find_measure
from stratigraph.study import Study

if TYPE_CHECKING:
    import xarray

__all__ = [
    "plot_convergence",
    "plot_findings",
    "plot_heatmap",
    "plot_map",
    "plot_power",
    "score_limits",
]

NAMES = ("run", "step", "layer")  # of a study's representation
KINDS = {"similarity": "similarity to the final state", "progress": "progress above untrained"}


def plot_heatmap(
    m: xarray.DataArray | xarray.Dataset,
    ax: Axes | None = None,
    *,
    numbers: bool | None = None,
    low: float | None = None,
    high: float | None = None,
) -> Axes:
    """A heat map of scores between representations.

    Args:
        m: scores from `similarity_matrix`, `compare` or `calibrate`, or part of a study's
            (``study.similarity("cka").sel(run_x=…, run_y=…)``).
        ax: where; by default a new figure.
        numbers: write the scores into the cells; by default where there is room.
        low: the colour scale's lower end; by default 0 for a similarity.
        high: its upper end; by default 1 for a similarity.

    Raises:
        InputError: it is not a matrix of scores.

    """
    scores: Any = m["value"] if hasattr(m, "data_vars") and "value" in m else m
    measure = str(m.attrs.get("measure", scores.name or ""))
    if getattr(scores, "dims", None) != ("x", "y"):
        raise InputError(
            "m: expected scores with the dimensions x and y, as similarity_matrix gives them; got "
            f"{getattr(scores, 'dims', type(m).__name__)}."
        )
    named = scores.drop_vars(list(scores.coords)).assign_coords(
        {axis: _names(scores, axis) for axis in ("x", "y")}
    )
    ends = score_limits(measure)
    low, high = ends[0] if low is None else low, ends[1] if high is None else high
    cell = 0.55 if max(named.shape) <= 12 else 0.16
    size = (2.6 + cell * named.shape[1], 2.0 + cell * named.shape[0])
    with mpl.rc_context(STYLE):
        axis = ax or _new_axes(size)
        image = draw_scores_panel(axis, named, low, high, numbers)
        if ax is None:
            add_scale(axis.figure, image, measure_name(measure))  # type: ignore[arg-type]
        else:
            axis.figure.colorbar(image, ax=axis, label=measure_name(measure))
    return axis


def plot_convergence(
    study: Study | pd.DataFrame,
    ax: Axes | None = None,
    *,
    measure: str = "debiased_cka",
    configuration: str | None = None,
    kind: str = "similarity",
) -> Axes:
    """Each layer's similarity to its final state over training: mean over runs, and extremes.

    Args:
        study: a compared study; or a table with the columns layer, part, step, mean, low and high.
        ax: where; by default a new figure.
        measure: one of the study's.
        configuration: its label (``study.plot.configurations``), or the beginning of a run's id; by
            default the first.
        kind: ``similarity``, or ``progress`` above the untrained network.

    Raises:
        InputError: the study has no such matrix, configuration or kind.

    """
    if kind not in KINDS:
        raise InputError(f"kind: {kind!r} is not known.{suggest(kind, KINDS)}")
    if isinstance(study, pd.DataFrame):
        table, title = study, ""
    else:
        data = ReportData(study)
        measure = _scored(data, measure)
        every = curves(data, data.scored[measure], kind)
        title = _configuration(data, configuration)
        table = every[every["configuration"] == title]
    with mpl.rc_context(STYLE):
        axis = ax or _new_axes((5.6, 3.4))
        draw_layers_panel(axis, table, THRESHOLD)
        axis.set_ylim(-0.02 if kind == "similarity" else -1.0, 1.03)
        axis.set_ylabel(f"{measure_name(measure)}\n{KINDS[kind]}")
        axis.set_title(title)
        _add_legend(axis, ax is None, "outside right center")
    return axis


def plot_findings(
    study: Study | Sequence[Mapping[str, Any]], ax: Axes | None = None, *, way: str = "corrected"
) -> Axes:
    """The findings as a forest plot: estimates less the value they are tested against.

    Args:
        study: an assessed study, or its findings.
        ax: where; by default a new figure.
        way: the way in which the study was read.

    Raises:
        InputError: it was not assessed, or not in this way.

    """
    every = study.findings if isinstance(study, Study) else list(study)
    own = [row for row in finding_rows(every, way) if row["place"]]
    if not own:
        raise InputError(f"study: expected findings read the {way} way, got none with an estimate.")
    with mpl.rc_context(STYLE):
        axis = ax or _new_axes(size_of_findings(own))
        draw_findings_panel(axis, own, reach_of(own))
    return axis


def plot_map(
    study: Study, ax: Axes | None = None, *, measure: str = "debiased_cka", number: int = 0
) -> Axes:
    """The map of models: one path per run, by its layers' matrix, from small points to large.

    Args:
        study: a compared study.
        ax: where; by default a new figure.
        measure: one of the study's.
        number: which map: there is one per data set and architecture.

    Raises:
        InputError: the study has no such matrix or map.

    """
    data = ReportData(study)
    measure = _scored(data, measure)
    maps = map_of_models(data, data.scored[measure])
    if not 0 <= number < len(maps):
        raise InputError(
            f"number: the study has {len(maps)} maps, got number {number}; a map needs three "
            "states of runs with the same layers."
        )
    with mpl.rc_context(STYLE):
        axis = ax or _new_axes((6.8, 4.2))
        draw_map_panel(axis, maps[number])
        axis.set_title(f"{maps[number].title}: by {measure_name(measure)}")
        _add_legend(axis, ax is None, "outside right center")
    return axis


def plot_power(study: Study, ax: Axes | None = None) -> Axes:
    """Power against replicates, one line per undecided question."""
    from stratigraph.report.power import power_curves

    with mpl.rc_context(STYLE):
        curves_of = power_curves(study)
        axis = ax or _new_axes((6.4, 3.4 + 0.16 * len(curves_of.columns)))
        draw_power_panel(axis, curves_of)
        _add_legend(axis, ax is None, "outside lower left", fontsize=7)
    return axis


def score_limits(measure: str) -> tuple[float | None, float | None]:
    """The ends of a scale of colours; of a similarity 0 and 1, though some fall below."""
    try:
        chosen = find_measure(measure)
    except InputError:
        return 0.0, 1.0
    return (0.0, 1.0) if chosen.itself else chosen.bounds


def _names(scores: xarray.DataArray, axis: str) -> list[str]:
    """What stands along an axis: its own names, or of a study's labels those that tell apart."""
    if axis in scores.coords:
        return [str(one) for one in scores[axis].values]
    held = [
        scores[f"{name}_{axis}"].values
        for name in NAMES
        if f"{name}_{axis}" in scores.coords and scores[f"{name}_{axis}"].dims == (axis,)
    ]
    varied = [own for own in held if len(set(own.tolist())) > 1] or held[-1:]
    if not varied:
        return [str(place) for place in range(scores.sizes[axis])]
    return [" ".join(map(str, row)) for row in zip(*varied, strict=True)]


def _scored(data: ReportData, measure: str) -> str:
    name = data.study.name_measure(measure)
    if name not in data.scored:
        raise InputError(
            f"measure: {measure} is a distance; expected one of {', '.join(data.scored)}."
        )
    return name


def _configuration(data: ReportData, asked: str | None) -> str:
    labels = [one.label for one in data.configurations]
    if not labels:
        raise InputError(f"study {data.study.config.name}: none of its runs reached its last step.")
    if asked is None or asked in labels:
        return asked or labels[0]
    of_run = [c.label for run, c in data.configuration_of.items() if run.startswith(asked)]
    if not of_run:
        raise InputError(f"configuration: unknown name {asked!r}.{suggest(asked, labels)}")
    return of_run[0]


def _new_axes(size: tuple[float, float]) -> Axes:
    import matplotlib.pyplot as plt  # a notebook shows its figures

    axis: Axes = plt.figure(figsize=size, layout=Layout()).subplots()
    return axis


def _add_legend(axis: Axes, own: bool, place: str, **options: Any) -> None:
    if not axis.get_legend_handles_labels()[0]:
        return
    if own:
        axis.figure.legend(loc=place, frameon=False, **options)  # type: ignore[call-overload]
    else:
        axis.legend(frameon=False, fontsize=6)
