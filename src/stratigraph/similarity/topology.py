"""Representation topology divergence: whether probes form the same clusters and loops.

With w, v the distances between probes under x and under y, each divided by its own 0.9 quantile,
take two copies of every probe, at distances

    ⎛ 0      w     ⎞
    ⎝ w   min(w,v) ⎠

A loop of this complex (H₁ of Vietoris–Rips) is born when min(w, v) joins what w does not join yet,
and dies when w does; the length of its bar is for how long the two differ. RTD(w, v) is the sum of
these lengths, 0 where w = v, and

    score = (RTD(w, v) + RTD(v, w)) / 2 ∈ [0, ∞).

It depends on distances between probes alone: on no rotation, scale or offset. It grows with the
number of probes, so batches have a bounded size: probes are dealt in turn into ⌈n / 200⌉ batches,
and the score is their mean. (The authors draw ten batches of 500 at random.) Compare only scores of
as many probes. Independent wide layers look near by it, since all their distances are alike. It is
no metric: the triangle inequality fails on few probes.

Source: Barannikov, Trofimov, Balabin & Burnaev 2022, arXiv 2201.00058. Barcodes by gudhi (its fork
of Ripser), in the extra ``topology``.
Cost: preparing 200·n·p; a pair some 0.1 s for each 200 probes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stratigraph.errors import ConfigError
from stratigraph.similarity.centring import centre
from stratigraph.similarity.measure import Measure, Prepared, score

__all__ = ["RTD", "cross_barcode_sum", "topology_divergence"]

BATCH = 200  # probes at most
QUANTILE = 0.9
COLLAPSED = "collapsed: nine in ten distances between its probes are 0"


def topology_divergence(x: Any, y: Any) -> float:
    """RTD of two representations ``(n, p)`` and ``(n, q)`` of the same probes; 0 is most alike.

    Raises:
        ConfigError: the extra ``topology`` is not installed.

    """
    return score(RTD, x, y)


def cross_barcode_sum(w: np.ndarray, v: np.ndarray) -> float:
    """The summed lengths of the bars of H₁ between two matrices of distances ``(n, n)``."""
    doubled = np.block([[np.zeros_like(w), w], [w, np.minimum(w, v)]])
    (bars,) = _rips().fit_transform([doubled])
    return float((bars[:, 1] - bars[:, 0]).sum())


def _rips() -> Any:
    try:
        from gudhi.sklearn import RipsPersistence
    except ImportError as error:
        raise ConfigError(
            "measure: rtd needs gudhi, which is not installed; pip install 'stratigraph[topology]'."
        ) from error
    return RipsPersistence(homology_dimensions=1, input_type="full distance matrix")


def _prepare(x: Tensor) -> Prepared:
    """Form ``distances``: of each batch of probes, (m, m), the 0.9 quantile 1."""
    _rips()
    found = centre(x)
    if found.reason:
        return Prepared(len(x), "none", reason=found.reason)
    batches = math.ceil(len(x) / BATCH)
    parts = []
    for batch in range(batches):
        rows = found.matrix[batch::batches].cpu()
        # Not by the Gram matrix: distances between near probes would lose their digits.
        distances = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")
        scale = float(np.quantile(distances.numpy(), QUANTILE))
        if not scale > 0:
            return Prepared(len(x), "none", reason=COLLAPSED)
        parts.append(distances / scale)
    return Prepared(len(x), "distances", tuple(parts), doubt=found.doubt)


def _compare(x: Prepared, y: Prepared) -> float:
    found = []
    for w, v in zip(x.parts, y.parts, strict=True):
        one, other = w.numpy(), v.numpy()
        found.append((cross_barcode_sum(one, other) + cross_barcode_sum(other, one)) / 2)
    return float(np.mean(found))


RTD = Measure(
    name="rtd",
    source="Barannikov, Trofimov, Balabin & Burnaev 2022, arXiv 2201.00058",
    larger="less alike: clusters and loops of probes form at different distances",
    cost="prepare 200·n·p; pair about 0.1 s for each 200 probes",
    prepare=_prepare,
    compare=_compare,
    bounds=(0.0, None),
    itself=0.0,
    least=3,
    biased=True,
)
