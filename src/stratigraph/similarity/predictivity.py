"""Linear predictivity: the share of y's variance that a linear map of x explains.

    R²(x → y) = ‖Q_xᵀ Y‖²_F / ‖Y‖²_F,      Q_x an orthonormal basis of the centred x

in sample, by least squares. It is not symmetric: a wide x predicts a narrow y, not the other way.
Where p ≥ n − 1 every y is explained: refused, as in the CCA family.

Source: Yamins et al. 2014; Kornblith et al. 2019, arXiv 1905.00414, section 4.
Cost: preparing np² and a QR decomposition; a pair n r q.
"""

from __future__ import annotations

from functools import partial

from stratigraph.similarity.cca import prepare_basis
from stratigraph.similarity.measure import Measure, Prepared, permute_rows

__all__ = ["LINEAR_PREDICTIVITY"]


def _explained(x: Prepared, y: Prepared) -> float:
    value = float((x.parts[0].T @ y.parts[1]).square().sum())
    return min(max(value, 0.0), 1.0)


LINEAR_PREDICTIVITY = Measure(
    name="linear_predictivity",
    source="Kornblith et al. 2019, arXiv 1905.00414 (linear regression R², x → y)",
    larger="x explains more of y",
    cost="prepare n·p²; pair n·r·q",
    prepare=partial(prepare_basis, name="linear_predictivity"),
    compare=_explained,
    permute=permute_rows,
    symmetric=False,
    biased=True,
    least=3,
)
