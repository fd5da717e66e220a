"""Ink: one kind of figure a file, each drawn from numbers of `figure_data`."""

from stratigraph.report.figures.convergence import draw_convergence, draw_parts
from stratigraph.report.figures.heat_maps import draw_heat_maps
from stratigraph.report.figures.images import draw_images
from stratigraph.report.figures.losses import draw_losses

__all__ = ["draw_convergence", "draw_heat_maps", "draw_images", "draw_losses", "draw_parts"]
