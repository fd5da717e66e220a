"""The linear kernels of two representations as CKA is worth telling of: centred, of trace 1, whole.

Where CKA itself is computed they are packed or never formed (`cka`, `packed`); here they stand as
matrices, for what leaves probes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from stratigraph.errors import InputError
from stratigraph.labels import join_rows
from stratigraph.similarity.centring import centre
from stratigraph.similarity.gram import gram
from stratigraph.similarity.hsic import DEGENERATE, is_degenerate
from stratigraph.similarity.inputs import as_matrix, check_finite, check_probes, only
from stratigraph.similarity.left_out import hsic_without_each
from stratigraph.similarity.measure import tell

__all__ = ["Kernel", "Kernels", "kernels_of"]


@dataclass(frozen=True)
class Kernel:
    """K of features of norm 1, without its diagonal if debiased; ‖K‖², and the features' dtype."""

    matrix: Tensor
    inner: float
    dtype: torch.dtype

    def is_nothing(self, own: Any) -> np.ndarray:
        """Where an HSIC of it with itself is what rounding leaves of 0."""
        return np.asarray(is_degenerate(own, self.inner, 1.0, self.dtype))


class Kernels(NamedTuple):
    """The kernels of two representations, None where either has none, and how many probes."""

    kernels: tuple[Kernel, Kernel] | None
    probes: int


def kernels_of(x: Any, y: Any, least: int, measure: str = "debiased_cka") -> Kernels:
    """The kernels of two representations of the same probes; what has none is told.

    Args:
        x: activations (n, p…).
        y: activations (n, q…).
        least: probes.
        measure: ``debiased_cka``, whose kernels have no diagonal, or ``linear_cka``.

    Raises:
        InputError: too few probes, other numbers of them, or an entry is NaN or infinite.

    """
    debiased = measure == "debiased_cka"
    kernels, counts = [], []
    for name, value in join_rows({"x": only(x, "x"), "y": only(y, "y")}).items():
        matrix = as_matrix(value, name)
        check_finite(matrix, name)
        check_probes(len(matrix), least, f"{measure} with probes left out", name)
        counts.append(len(matrix))
        found = centre(matrix)
        tell(measure, name, found.reason, found.doubt, level=4)
        if found.reason is not None:
            continue
        whole = gram(found.matrix / torch.linalg.vector_norm(found.matrix))
        inner = float(whole.square().sum())
        if debiased:
            whole.fill_diagonal_(0)
        kernel = Kernel(whole, inner, matrix.dtype)
        if kernel.is_nothing(hsic_without_each(whole, whole, debiased)[0]):
            tell(measure, name, DEGENERATE, None, level=4)
        else:
            kernels.append(kernel)
    if counts[0] != counts[1]:
        raise InputError(
            "x and y: expected the same probes in the same order, "
            f"got {counts[0]} and {counts[1]} rows."
        )
    return Kernels((kernels[0], kernels[1]) if len(kernels) == 2 else None, counts[0])
