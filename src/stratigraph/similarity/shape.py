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
from dataclasses import replace

import torch
from torch import Tensor

from stratigraph.similarity.alignment import aligned_norm, factored
from stratigraph.similarity.centring import centre
from stratigraph.similarity.measure import Measure, Prepared
from stratigraph.similarity.procrustes import PROCRUSTES_SIMILARITY

__all__ = ["ANGULAR_SHAPE_DISTANCE", "SIZE_AND_SHAPE_DISTANCE"]

ROUNDING = 1e-13  # a cosine this close to 1 is 1: the square root would make 4e-7 of it


def _angle(x: Prepared, y: Prepared) -> float:
    value = PROCRUSTES_SIMILARITY.compare(x, y)
    return 0.0 if value > 1 - ROUNDING else math.acos(value)


def _prepare_sized(x: Tensor) -> Prepared:
    """As `procrustes_similarity`, with log‖X_c‖ as the last part."""
    found = centre(x)
    if found.reason:
        return Prepared(len(x), "none", reason=found.reason)
    norm = torch.linalg.vector_norm(found.matrix)
    size = norm.log() + found.exponent * math.log(2)
    made = factored(found.matrix / norm, found.doubt)
    return replace(made, parts=(*made.parts, size))


def _size_and_shape(x: Prepared, y: Prepared) -> float:
    a, b = math.exp(float(x.parts[-1])), math.exp(float(y.parts[-1]))
    value = min(aligned_norm(x, y), 1.0)
    gap = 0.0 if value > 1 - ROUNDING else 1 - value
    return math.sqrt((a - b) ** 2 + 2 * a * b * gap)


ANGULAR_SHAPE_DISTANCE = Measure(
    name="angular_shape_distance",
    source="Williams et al. 2021, arXiv 2110.14739",
    larger="less alike",
    cost=PROCRUSTES_SIMILARITY.cost,
    prepare=PROCRUSTES_SIMILARITY.prepare,
    compare=_angle,
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
    prepare=_prepare_sized,
    compare=_size_and_shape,
    bounds=(0.0, None),
    itself=0.0,
    metric=True,
    scale=False,
    biased=True,
)
