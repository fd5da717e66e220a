"""The caller's probes, and how a network that is in training is read on them.

Reading leaves the training as it found it: modes, buffers, hooks and random streams (Python's,
NumPy's, torch's). Random draws inside the network are the same at every reading.
"""

from __future__ import annotations

import contextlib
import random
import re
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
from stratigraph.integrations.roles import Roles, draw_sample

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
        roles: Roles | None = None,
        mask: MaskOf = None,
    ) -> None:
        self.outer, self.model = model, unwrapped(model)
        self.layers, self.reduce, self.mask = layers, reduce, mask
        self.posterior, self.call, self.roles = posterior, call or run, roles or Roles()
        self._learned: Learned | None = None
        # Kept as batches: an iterator gives them once, and they are read at every snapshot.
        self.batches: list[tuple[Any, int]] = []
        fingerprint = Fingerprint()
        for batch, rows in batches_of(probes, batch_size):
            fingerprint.add(batch)
            self.batches.append((batch, rows))
        self.count, self.digest = sum(rows for _, rows in self.batches), fingerprint.digest
        if self.count < 4:
            raise InputError(f"probes: expected at least 4 inputs, got {self.count}.")
        if posterior is not None and self.roles.gaussian:
            raise InputError("posterior: the roles give it too; leave one of them out.")
        # What the study calls each layer; a role that no layer has is told before anything begins.
        self.names: dict[str, str] = {}
        if self.roles:
            self.names = self.roles.names([*self.learn().labels.values()])
        self.latents = 0
        if self.has_posterior:
            self.learn()  # a network that is not ready for a pass is refused before any other
            self.latents = self.read_posterior().shape[-1]
        chosen, modules = choose_layers(self.model, layers), select_layers(self.model, layers)
        parts = sorted(
            (name, sorted(f"#{run}{part}" if run else part for run, part in some))
            for name, some in chosen.parts.items()
            if some
        )
        self.reading = digest([modules, parts, named(reduce)])

    def learn(self) -> Learned:
        """What the first passes tell of the layers.

        Raises:
            InputError: the network cannot be read; see `stratigraph.capture`.

        """
        if self._learned is None:
            self._learned = self._capture(self.batches[:1], self.layers, self.reduce).learned
        return self._learned

    def name_layers(self, posterior: np.ndarray | None) -> Iterator[tuple[str, str, Tensor]]:
        """Every layer on the probes: what the study calls it, what the network does, and it.

        Mean, log-variance and sample are those of the posterior (2, n, z), where roles say it.
        """
        read = self.read()
        if not self.roles:
            yield from ((layer, layer, activation) for layer, activation in read.items())
            return
        of_posterior = {}
        if self.roles.gaussian and posterior is not None:
            mean, log_var = torch.from_numpy(posterior)
            of_posterior = {"z_mean": mean, "z_log_var": log_var}
            if self.roles.single("sample") is None:
                of_posterior["z_sample"] = draw_sample(mean, log_var)
        last = [one for one in read if self.names[one] in of_posterior]
        last = last or [one for one in read if one == self.roles.layer_of("posterior", read)]
        for layer, activation in read.items():
            if (name := self.names[layer]) not in of_posterior:
                yield name, layer, activation
            if layer in last[-1:]:
                yield from ((z, self._module_of(z), a) for z, a in of_posterior.items())

    def _module_of(self, name: str) -> str:
        return next((layer for layer, given in self.names.items() if given == name), name)

    @property
    def has_posterior(self) -> bool:
        """Whether mean and log-variance can be read."""
        return self.posterior is not None or self.roles.gaussian

    def read(self) -> dict[str, Tensor]:
        """Every chosen layer on the probes, (n, p…) of numbers, by the network's own names."""
        found = self._capture(self.batches, self.layers, self.reduce, self.learn())
        return {
            name: (value.float() if value.dtype is torch.bool else value).reshape(
                len(value), *(value.shape[1:] or (1,))
            )
            for name, value in found.items()
            if value.numel()
        }

    def _capture(
        self,
        batches: list[tuple[Any, int]],
        layers: Layers,
        reduce: Reduce,
        learned: Learned | None = None,
    ) -> Captured:
        with same_draws():
            return capture(
                self.outer,
                [batch for batch, _ in batches],
                layers,
                call=lambda batch, rows: self.call(self.model, batch),
                reduce=reduce,
                mask=self.mask,
                learned=learned,
            )

    def read_posterior(self) -> np.ndarray:
        """Mean and log-variance on the probes: float32 (2, n, z)."""
        if self.roles.gaussian:
            return self._posterior_of_layers()
        if self.posterior is None:
            raise InputError("posterior: the recorder has none.")
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

    def _posterior_of_layers(self) -> np.ndarray:
        """Of the layers that the roles name, as they are: whatever `reduce` makes of them."""
        both = self.roles.layer_of("posterior", self.names)
        layers = (
            [both] if both else [self.roles.layer_of(r, self.names) for r in ("mean", "log_var")]
        )
        modules = sorted({re.split(r"[#\[]", str(layer))[0] for layer in layers})
        read = self._capture(self.batches, modules, None)
        mean, log_var = (read[str(layers[at])].float() for at in (0, -1))
        if both:
            if mean.ndim < 2 or mean.shape[1] % 2:
                raise InputError(
                    f"roles: posterior={both} gives shape {tuple(mean.shape)}; expected an even "
                    "number of channels, the means and then the log-variances."
                )
            mean, log_var = mean.chunk(2, 1)
        if mean.shape != log_var.shape or mean.ndim < 2:
            raise InputError(
                f"roles: mean={layers[0]} gives shape {tuple(mean.shape)}, log_var={layers[-1]} "
                f"{tuple(log_var.shape)}; expected two alike, (n, z)."
            )
        return torch.stack([mean, log_var]).flatten(2).cpu().numpy()


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
