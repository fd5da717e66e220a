"""The caller's probes, and how a network that is in training is read on them.

Reading leaves the training as it found it: modes, buffers, hooks and random streams (Python's,
NumPy's, torch's). Random draws inside the network are the same at every reading.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stratigraph.activations import (
    Captured,
    Learned,
    capture,
    select_layers,
    undisturbed,
    unwrapped,
)
from stratigraph.activations.batches import Fingerprint, batches_of, given, run
from stratigraph.activations.layers import Layers, choose_layers
from stratigraph.activations.masks import MaskOf
from stratigraph.activations.reduce import Reduce, named
from stratigraph.errors import InputError
from stratigraph.identity import digest

__all__ = ["Posterior", "ProbeReader", "same_draws"]

Posterior = Callable[[nn.Module, Any], tuple[Tensor, Tensor]]


class ProbeReader:
    """The probes, and how the network is read on them."""

    def __init__(
        self,
        model: nn.Module,
        probes: Any,
        layers: Layers,
        reduce: Reduce,
        posterior: Posterior | None,
        call: Callable[[nn.Module, Any], Any] | None,
        batch_size: int,
        mask: MaskOf = None,
    ) -> None:
        self.outer, self.model = model, unwrapped(model)
        self.layers, self.reduce = layers, reduce
        self.posterior, self.call, self.mask = posterior, call or run, mask
        self.learned: Learned | None = None
        # Kept as batches: an iterator gives them once, and they are read at every snapshot.
        self.batches: list[tuple[Any, int]] = []
        fingerprint = Fingerprint()
        for batch, rows in batches_of(probes, batch_size):
            fingerprint.add(batch)
            self.batches.append((batch, rows))
        self.count, self.digest = sum(rows for _, rows in self.batches), fingerprint.digest
        if self.count < 4:
            raise InputError(f"probes: expected at least 4 inputs, got {self.count}.")
        chosen, modules = choose_layers(self.model, layers), select_layers(self.model, layers)
        parts = sorted(
            (name, sorted(f"#{run}{part}" if run else part for run, part in some))
            for name, some in chosen.parts.items()
            if some
        )
        self.reading = digest([modules, parts, named(reduce)])
        self.latents = 0
        if posterior is not None:
            self.learn()
            self.latents = self.read_posterior()[0].shape[1]

    def learn(self) -> None:
        """Learn of the layers; a network that is not ready for a pass is refused before any other.

        Raises:
            InputError: see `stratigraph.capture`.

        """
        if self.learned is None:
            self.learned = self._capture([self.batches[0][0]]).learned

    def read(self) -> dict[str, Tensor]:
        """Every chosen layer on the probes, (n, p…) of numbers."""
        found = self._capture([batch for batch, _ in self.batches])
        return {
            name: (value.float() if value.dtype is torch.bool else value).reshape(
                len(value), *(value.shape[1:] or (1,))
            )
            for name, value in found.items()
            if value.numel()
        }

    def _capture(self, batches: list[Any]) -> Captured:
        with same_draws():
            return capture(
                self.outer,
                batches,
                self.layers,
                call=lambda batch, rows: self.call(self.model, batch),
                reduce=self.reduce,
                mask=self.mask,
                learned=self.learned,
            )

    def read_posterior(self) -> np.ndarray:
        """Mean and log-variance on the probes: float32 (2, n, z)."""
        if self.posterior is None:
            raise InputError("posterior: the recorder was given none.")
        parts = []
        with undisturbed(self.outer), torch.no_grad(), same_draws():
            for batch, rows in self.batches:
                pair = tuple(self.posterior(self.model, given(batch, self.model)))
                shapes = [tuple(getattr(part, "shape", ())) for part in pair]
                if (
                    len(pair) != 2
                    or shapes[0] != shapes[1]
                    or shapes[0][:1] != (rows,)
                    or len(shapes[0]) < 2
                ):
                    raise InputError(
                        "posterior: expected mean and log-variance, two tensors "
                        f"({rows}, z) alike, got shapes {shapes}."
                    )
                parts.append(torch.stack(pair).float().cpu().flatten(2))
        return torch.cat(parts, 1).numpy()


@contextlib.contextmanager
def same_draws() -> Iterator[None]:
    """Random numbers from a fixed seed, and the caller's streams as they were."""
    devices = range(torch.cuda.device_count())
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices):
            torch.manual_seed(0)
            random.seed(0)
            np.random.seed(0)  # noqa: NPY002
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
