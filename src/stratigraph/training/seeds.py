"""Random streams that need no state.

Every random number of a run is drawn from a generator seeded by (run's seed, stream, position):
noise by the step, the order of the data by the epoch. So step t draws the same numbers whatever
came before it: a resumed run has no random state to restore, and none to restore wrongly.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

__all__ = ["derived_seed", "epoch_order", "step_noise", "stream"]


def derived_seed(seed: int, stream: str, position: int = 0) -> int:
    """63 bits that depend on all three."""
    text = f"{seed}:{stream}:{position}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


def stream(seed: int, position: int, name: str) -> torch.Generator:
    """A generator on the CPU whose numbers depend on all three."""
    return torch.Generator().manual_seed(derived_seed(seed, name, position))


def step_noise(seed: int, step: int, batch: int, latents: int, name: str = "noise") -> Tensor:
    """The standard normal noise of a training step: float32 (b, z), on the CPU.

    Drawn on the CPU whatever the device, so that the same seed means the same noise everywhere.
    """
    return torch.randn(batch, latents, generator=stream(seed, step, name))


def epoch_order(seed: int, epoch: int, size: int, name: str = "order") -> np.ndarray:
    """The order in which an epoch visits ``size`` images: int64 (size,)."""
    return np.random.default_rng(derived_seed(seed, name, epoch)).permutation(size)
