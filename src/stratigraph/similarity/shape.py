"""Shape metrics: distances between representations up to rotation, which obey the triangle law.

With X, Y centred and s = ‖XᵀY‖_* / (‖X‖‖Y‖) the Procrustes similarity,

    angular shape distance   θ = arccos s ∈ [0, π/2]                      scale does not matter
    size-and-shape distance  d = √(‖X‖² + ‖Y‖² − 2‖XᵀY‖_*) = min_R ‖XR − Y‖_F     it does

d is also the Bures distance of the covariances between probes XXᵀ and YYᵀ, and s their normalised
Bures similarity (fidelity): tr (K^½ L K^½)^½ = ‖XᵀY‖_* (Harvey, Lipshutz & Williams 2024).

Source: Williams, Kunz, Kornblith & Linderman 2021, arXiv 2110.14739; Harvey et al. 2024.
Cost: as procrustes_similarity.
"""

from __future__ import annotations

import math

from stratigraph.similarity.factors import factorise, log_norm, permute_factor
from stratigraph.similarity.measure import Measure, Prepared
from stratigraph.similarity.procrustes import PROCRUSTES_SIMILARITY, cosine_for_angle

__all__ = ["ANGULAR_SHAPE_DISTANCE", "SIZE_AND_SHAPE_DISTANCE"]

ROUNDING = 1e-13  # a cosine this close to 1 is 1: the square root would make 4e-7 of it


def _cosine(x: Prepared, y: Prepared) -> float:
    """Without the gap that a similarity may leave open: near 1 its root would be an angle."""
    value = cosine_for_angle(x, y)
    return value if value < 1 - ROUNDING else 1.0


def _angle(x: Prepared, y: Prepared) -> float:
    return math.acos(_cosine(x, y))


def _size_and_shape(x: Prepared, y: Prepared) -> float:
    a, b = math.exp(log_norm(x)), math.exp(log_norm(y))
    return math.sqrt((a - b) ** 2 + 2 * a * b * (1 - _cosine(x, y)))


ANGULAR_SHAPE_DISTANCE = Measure(
    name="angular_shape_distance",
    source="Williams et al. 2021, arXiv 2110.14739",
    larger="less alike",
    cost=PROCRUSTES_SIMILARITY.cost,
    prepare=factorise,
    compare=_angle,
    permute=permute_factor,
    bounds=(0.0, math.pi / 2),
    itself=0.0,
    metric=True,
    biased=True,
)
SIZE_AND_SHAPE_DISTANCE = Measure(
    name="size_and_shape_distance",
    source="Williams et al. 2021, arXiv 2110.14739; the Bures distance of Harvey et al. 2024",
    larger="less alike",
    cost=PROCRUSTES_SIMILARITY.cost,
    prepare=factorise,
    compare=_size_and_shape,
    permute=permute_factor,
    bounds=(0.0, None),
    itself=0.0,
    metric=True,
    scale=False,
    biased=True,
)
