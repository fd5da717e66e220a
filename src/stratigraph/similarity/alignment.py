"""‖XᵀY‖_* of centred X and Y, from what is prepared once for each: the heart of Procrustes.

Only inner products between probes matter, and centred probes span n − 1 dimensions: a reflection
that takes (1, …, 1)/√n to an axis leaves row i ≥ 1 as x_i − x_0/(√n + 1), and row 0 empty. With
K = XXᵀ of those n − 1 rows, and any F with FFᵀ = K,

    ‖XᵀY‖_* = ‖F_xᵀF_y‖_* = Σ √λ(F_xᵀ L F_x)

``factor``    F (n − 1, r): the rows themselves for narrow layers of full rank, which need no
              factoring, and principal coordinates for any of low rank
``cholesky``  F triangular, K = FFᵀ, where units outnumber probes and K has full rank: n³/3, a
              twentieth of the eigenvectors, and FᵀLF is one LAPACK call (sygst) of n³

Cost: preparing np·min(n, p) and a factorisation; a pair n·r·s + min(r, s)³ · 4/3, whatever p.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import lapack
from torch import Tensor

from stratigraph.similarity.gram import gram
from stratigraph.similarity.measure import Prepared
from stratigraph.similarity.spectral import energies, factor, nuclear_norm, sum_of_roots

__all__ = ["aligned_norm", "factored"]

PIVOT = 1e-11  # of the largest: a smaller pivot of K says that its rank is not full


def factored(matrix: Tensor, doubt: str | None = None) -> Prepared:
    """A centred matrix ``(n, p)`` of float64, prepared for `aligned_norm`.

    Form ``cholesky`` holds one matrix, F in its lower triangle and K above the diagonal, and the
    diagonal of K; form ``factor`` holds F.
    """
    n, p = matrix.shape
    # Wide layers keep their n rows: the product is what has to lose one.
    rows = matrix if p >= n else _without_mean(matrix)
    kernel = _without_mean(_without_mean(gram(matrix)).T) if p >= n else gram(rows.T)
    triangle, failed = torch.linalg.cholesky_ex(kernel)
    pivots = triangle.diagonal().square()
    if bool(failed) or not float(pivots.min()) > PIVOT * float(pivots.max()):
        return Prepared(n, "factor", (factor(kernel if p >= n else rows, kernel),), doubt=doubt)
    if p < n:
        return Prepared(n, "factor", (rows,), doubt=doubt)
    return Prepared(
        n, "cholesky", (triangle + kernel.triu(1), kernel.diagonal().clone()), doubt=doubt
    )


def aligned_norm(x: Prepared, y: Prepared) -> float:
    """‖F_xᵀF_y‖_* of two representations from `factored`; parts beyond its own are ignored."""
    if x.form == y.form == "cholesky" and x.parts[0].device.type == "cpu":
        total = sum_of_roots(energies(_congruent(x.parts[0], *y.parts[:2])))
        if total is not None:
            return total
    return nuclear_norm(_lower(x).T @ _lower(y))


def _without_mean(matrix: Tensor) -> Tensor:
    """Columns that sum to 0, in n − 1 coordinates of the same inner products."""
    return matrix[1:] - matrix[0] / (len(matrix) ** 0.5 + 1)


def _lower(x: Prepared) -> Tensor:
    return x.parts[0] if x.form == "factor" else x.parts[0].tril()


def _congruent(triangle: Tensor, other: Tensor, diagonal: Tensor) -> Tensor:
    """F_xᵀ L F_x, symmetric, its lower triangle.

    LAPACK's sygst with itype 2 gives U A Uᵀ of B = UᵀU; here U = F_xᵀ, by the view that Fortran
    has of a row-major F_x, and A the upper triangle of L.
    """
    a = np.array(other.numpy(), order="F")
    np.fill_diagonal(a, diagonal.numpy())
    product, _ = lapack.dsygst(a, triangle.numpy().T, itype=2, lower=0, overwrite_a=1)
    return torch.from_numpy(product.T)
