"""The random streams that a pass of a network may draw from: Python's, NumPy's and torch's."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

__all__ = ["put_streams", "streams"]


def streams() -> tuple[Any, ...]:
    """Where every stream stands."""
    begun = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    gpus = torch.cuda.get_rng_state_all() if begun else []
    return random.getstate(), np.random.get_state(), torch.get_rng_state(), gpus  # noqa: NPY002


def put_streams(states: tuple[Any, ...]) -> None:
    """Put every stream where it stood."""
    python, numpy, cpu, gpus = states
    random.setstate(python)
    np.random.set_state(numpy)  # noqa: NPY002
    torch.set_rng_state(cpu)
    if gpus:
        torch.cuda.set_rng_state_all(gpus)
