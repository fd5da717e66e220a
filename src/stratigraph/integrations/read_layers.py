"""What every layer of a network in training represents on the probes, read and written once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from stratigraph.integrations.probes import ProbeReader
from stratigraph.latents import kl_by_latent
from stratigraph.records import Files, write_record
from stratigraph.similarity.reduction import reduce_units
from stratigraph.study.layout import POSTERIOR_FILE
from stratigraph.training.signs import constant_share

__all__ = ["ReadLayers", "device_of_model", "write_layers"]


@dataclass(frozen=True)
class ReadLayers:
    """What early signs of collapse and of dead layers are looked for in.

    Attributes:
        constant_shares: of each layer, the share of units that answer every probe alike.
        kl: by latent, averaged over probes; None without a posterior.

    """

    constant_shares: dict[str, float]
    kl: np.ndarray | None


def write_layers(path: Path, inputs: ProbeReader, about: Mapping[str, Any]) -> ReadLayers:
    """Read the network on its probes and write the record of its representations.

    Args:
        path: the record's folder.
        inputs: the network and its probes.
        about: what else the record says of itself.

    """
    shares: dict[str, float] = {}
    layers: list[dict[str, Any]] = []
    kl: list[np.ndarray] = []

    def fill(files: Files) -> None:
        posterior = None
        if inputs.has_posterior:
            posterior = inputs.read_posterior()
            files.array(POSTERIOR_FILE, posterior)
            kl.append(kl_by_latent(*posterior))
        for layer, module, activation in inputs.name_layers(posterior):
            name = layer.replace("/", "|")  # it names a file
            size = activation.abs() if activation.is_complex() else activation
            shares[name] = constant_share(size)
            reduced = reduce_units(activation, f"layer {name}")
            files.array(f"{name}.npy", reduced.coordinates)
            facts = {"units": reduced.units, "reason": reduced.reason, "doubt": reduced.doubt}
            own = {} if module == layer else {"module": module}
            layers.append({"name": name, **own, **facts})

    read_by = {"torch": torch.__version__, "device": device_of_model(inputs.model)}
    facts = {"posterior": inputs.has_posterior, "read_by": read_by, "layers": layers}
    write_record(path, fill, {**about, **facts})
    return ReadLayers(shares, kl[0] if kl else None)


def device_of_model(model: nn.Module) -> str:
    """Where the network is; one without parameters or buffers is where its inputs are."""
    first = next(chain(model.parameters(), model.buffers()), None)
    return "cpu" if first is None else str(first.device)
