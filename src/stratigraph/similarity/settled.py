"""A network's layers as vectors of length 1 whose inner products are debiased CKA.

Of n inputs a layer is n(n − 1)/2 numbers, whatever its width: little to keep for a comparison with
the same layer some steps later (`stratigraph.training.freezing`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from stratigraph.similarity.cka import embed_debiased
from stratigraph.similarity.inputs import as_matrix, nonfinite

__all__ = ["unit_vectors"]


def unit_vectors(layers: Iterable[tuple[str, Any]]) -> dict[str, Tensor]:
    """Layer → its packed U-centred kernel, of length 1; zeros, which nothing is like, without one.

    A layer that is not finite is left out: its training is about to end.
    """
    found = {}
    for name, activation in layers:
        x = as_matrix(activation, name).cpu()
        if nonfinite(x):
            continue
        prepared = embed_debiased(x)
        length = prepared.parts[0].numel() if prepared.parts else 1
        vector = torch.zeros(length) if prepared.reason else prepared.parts[0]
        found[name] = vector.double()
    return found
