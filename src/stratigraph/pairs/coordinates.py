"""Coordinates of a representation that were kept (`stratigraph.similarity.reduction`), read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stratigraph.errors import DataError

__all__ = ["read_coordinates"]


def read_coordinates(path: Path | str, centred: bool = True) -> Tensor:
    """The coordinates of a stored reduction, memory-mapped: centred, or with their mean added.

    Raises:
        DataError: the file is missing, or is not a matrix of numbers.

    """
    try:
        stored = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as coordinates: {error}") from error
    if stored.ndim != 2 or stored.dtype.kind != "f" or len(stored) < 2:
        raise DataError(
            f"{path}: expected coordinates of floats, (n + 1, r), "
            f"got {stored.dtype} of shape {stored.shape}."
        )
    rows = torch.from_numpy(stored)
    return rows[:-1] if centred else rows[:-1] + rows[-1]
