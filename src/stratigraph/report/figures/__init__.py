"""Ink: one kind of figure a file, each drawn from its numbers."""

from stratigraph.report.figures.across_data import draw_across_data as draw_across_data
from stratigraph.report.figures.chance import draw_chance as draw_chance
from stratigraph.report.figures.convergence import (
    draw_answer as draw_answer,
    draw_convergence as draw_convergence,
    draw_parts as draw_parts,
)
from stratigraph.report.figures.disentanglement import (
    draw_scores as draw_scores,
    draw_scores_over_training as draw_scores_over_training,
)
from stratigraph.report.figures.findings import (
    draw_findings as draw_findings,
    draw_measures as draw_measures,
    draw_settled as draw_settled,
)
from stratigraph.report.figures.gains import draw_gains as draw_gains
from stratigraph.report.figures.heat_maps import (
    draw_between as draw_between,
    draw_heat_maps as draw_heat_maps,
)
from stratigraph.report.figures.images import draw_images as draw_images
from stratigraph.report.figures.losses import draw_losses as draw_losses
from stratigraph.report.figures.model_map import draw_model_map as draw_model_map
from stratigraph.report.figures.over_training import (
    draw_layer_lines as draw_layer_lines,
    draw_layer_pairs as draw_layer_pairs,
    draw_regimes as draw_regimes,
)
from stratigraph.report.figures.power import draw_power as draw_power
from stratigraph.report.figures.probes import draw_probes as draw_probes
from stratigraph.report.figures.style import measure_name as measure_name
