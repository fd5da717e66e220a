"""Canonical correlations: what two representations share up to any invertible affine map.

With Q_x, Q_y orthonormal bases of the centred features (ranks r, s ≤ n − 1), the canonical
correlations ρ_i are the singular values of Q_xᵀQ_y, and

    mean CCA  Σρ_i / min(r, s)            R² CCA  Σρ_i² / min(r, s)
    SVCCA     mean CCA of the leading directions that hold 99 % of the variance
    PWCCA     Σα_iρ_i / Σα_i,  α_i = Σ_j |⟨h_i, x_j⟩|, h_i the canonical variates of x

Q is that of the columns, each scaled to length 1 (QR, then the SVD of R), less the directions that
are rounding; SVCCA, which scaling changes, takes it of X_c as it is.

Where p ≥ n − 1, a basis spans every probe and ρ = 1 whatever the data: refused, with what to do.

Sources: Hotelling 1936; Raghu et al. 2017, arXiv 1706.05806; Morcos et al. 2018, arXiv 1806.05759.
Cost: preparing np²; a pair n r s and the singular values of r × s.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.similarity.centring import centre
from stratigraph.similarity.measure import Measure, Prepared, permute_rows
from stratigraph.similarity.spectral import factor

__all__ = ["MEAN_CCA", "PWCCA", "R2_CCA", "SVCCA", "prepare_basis"]

VARIANCE = 0.99
RANK = {torch.float32: 1e-6, torch.float64: 1e-10}  # of the largest: a direction below is rounding


def prepare_basis(x: Tensor, name: str, keep: float = 1.0) -> Prepared:
    """Form ``basis``: Q (n, r), and X_c / ‖X_c‖ (n, p).

    Raises:
        InputError: the directions kept span every probe, so that any two would agree.

    """
    n, p = x.shape
    if p >= n - 1 and keep == 1.0:
        raise InputError(
            f"{name}: {p} units but only {n} probes; with units ≥ probes − 1 every score is 1 "
            "whatever the data. Use more probes than units, or svcca, or debiased_cka."
        )
    found = centre(x)
    if found.reason:
        return Prepared(n, "none", reason=found.reason)
    matrix = found.matrix / torch.linalg.vector_norm(found.matrix)
    if keep == 1.0:
        return Prepared(n, "basis", (_basis(found.matrix, x), matrix), doubt=found.doubt)
    directions = factor(matrix)
    roots = torch.linalg.vector_norm(directions, dim=0)
    held = roots.square().cumsum(0) / roots.square().sum()
    rank = int((held < keep).sum()) + 1
    if rank >= n - 1:
        raise InputError(
            f"{name}: {keep:.0%} of the variance takes {rank} directions, and {n} probes hold at "
            f"most {n - 1}; use more probes."
        )
    directions, roots = directions[:, :rank], roots[:rank]
    return Prepared(n, "basis", (directions / roots, matrix), doubt=found.doubt)


def _basis(matrix: Tensor, x: Tensor) -> Tensor:
    """Q (n, r) of a centred matrix, whatever its columns' scales; ``x`` is the one before.

    Numbers of float32 that were stored as float64 have those of float32: what such columns' sums
    hold beyond them (softmax outputs, which add up to 1) is no direction.
    """
    largest = matrix.abs().amax(0)
    columns = matrix[:, largest > 0] / largest[largest > 0]
    columns /= torch.linalg.vector_norm(columns, dim=0)
    rotation, triangle = torch.linalg.qr(columns)
    left, roots, _ = torch.linalg.svd(triangle)
    single = x.dtype == torch.float32 or torch.equal(x, x.float().double())
    rank = int((roots > RANK[torch.float32 if single else torch.float64] * roots[0]).sum())
    return rotation @ left[:, :rank]


def _mean(x: Prepared, y: Prepared, power: int) -> float:
    rho = torch.linalg.svdvals(x.parts[0].T @ y.parts[0]).clamp(0, 1)
    return float(rho.pow(power).mean())


def _weighted(x: Prepared, y: Prepared) -> float:
    left, rho, _ = torch.linalg.svd(x.parts[0].T @ y.parts[0], full_matrices=False)
    weights = ((x.parts[0] @ left).T @ x.parts[1]).abs().sum(1)
    return float((weights * rho.clamp(0, 1)).sum() / weights.sum())


_COST = "prepare n·p²; pair n·r·s + SVD of r × s"

MEAN_CCA = Measure(
    name="mean_cca",
    source="Hotelling 1936; Raghu et al. 2017, arXiv 1706.05806",
    larger="more linearly related",
    cost=_COST,
    prepare=partial(prepare_basis, name="mean_cca"),
    compare=partial(_mean, power=1),
    permute=permute_rows,
    affine=True,
    biased=True,
    least=3,
)
R2_CCA = Measure(
    name="r2_cca",
    source="Kornblith et al. 2019, arXiv 1905.00414, table 1",
    larger="more linearly related",
    cost=_COST,
    prepare=partial(prepare_basis, name="r2_cca"),
    compare=partial(_mean, power=2),
    permute=permute_rows,
    affine=True,
    biased=True,
    least=3,
)
SVCCA = Measure(
    name="svcca",
    source="Raghu et al. 2017, arXiv 1706.05806 (99 % of the variance kept)",
    larger="leading directions more linearly related",
    cost=_COST,
    prepare=partial(prepare_basis, name="svcca", keep=VARIANCE),
    compare=partial(_mean, power=1),
    permute=permute_rows,
    biased=True,
    least=3,
)
PWCCA = Measure(
    name="pwcca",
    source="Morcos, Raghu & Bengio 2018, arXiv 1806.05759",
    larger="more linearly related, weighted by what x's units use",
    cost=_COST,
    prepare=partial(prepare_basis, name="pwcca"),
    compare=_weighted,
    permute=permute_rows,
    symmetric=False,
    rotation=False,
    biased=True,
    least=3,
)
