"""Ink: one kind of figure a file, each drawn from numbers of `figure_data`."""

from stratigraph.report.figures.convergence import draw_convergence, draw_parts
from stratigraph.report.figures.disentanglement import draw_scores, draw_scores_over_training
from stratigraph.report.figures.findings import draw_findings, draw_measures, draw_settled
from stratigraph.report.figures.heat_maps import draw_between, draw_heat_maps
from stratigraph.report.figures.images import draw_images
from stratigraph.report.figures.losses import draw_losses
from stratigraph.report.figures.model_map import draw_model_map
from stratigraph.report.figures.over_training import (
    draw_layer_lines,
    draw_layer_pairs,
    draw_regimes,
)
from stratigraph.report.figures.style import measure_name

__all__ = [
    "draw_between",
    "draw_convergence",
    "draw_findings",
    "draw_heat_maps",
    "draw_images",
    "draw_layer_lines",
    "draw_layer_pairs",
    "draw_losses",
    "draw_measures",
    "draw_model_map",
    "draw_parts",
    "draw_regimes",
    "draw_scores",
    "draw_scores_over_training",
    "draw_settled",
    "measure_name",
]
