"""How weights begin.

``keras``
    Glorot uniform, U(−a, a) with a = √(6 / (fan_in + fan_out)), and zero biases: the default of
    the Keras layers with which the study was published (Glorot & Bengio 2010).
    What has other weights (a normalisation, a table of positions) begins as it is made, by its
    ``reset_parameters``.
``torch``
    PyTorch's own default: Kaiming uniform with a = √5, biases U(−1/√fan_in, 1/√fan_in).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["INITIALISATIONS", "initialise", "seeded"]


def _keras(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    else:
        _torch(module)


def _torch(module: nn.Module) -> None:
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()


INITIALISATIONS: dict[str, Callable[[nn.Module], None]] = {"keras": _keras, "torch": _torch}


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """What torch draws inside is a function of ``seed`` alone.

    The global random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def initialise(model: nn.Module, scheme: str, seed: int) -> None:
    """Set every weight of ``model`` in place, as a function of ``seed`` alone.

    The global random state is left as it was.
    """
    with seeded(seed), torch.no_grad():
        model.apply(INITIALISATIONS[scheme])
