"""Reading every layer of a VAE on the probes, with the sampling noise held still.

The published pipeline reads the encoder without noise and the decoder with fresh noise at every
reading, which makes the decoder look less settled than it is. Here one standard normal draw ε is
shared by all runs and snapshots (the first z columns of one table), and the decoder is driven by

``mean``
    z = μ, the default: no noise at all;
``shared_noise``
    z = μ + e^{lv/2}·ε with the shared draw;
``fresh_noise``
    a draw of its own for every snapshot, as published.

``z_sample`` is always read with noise, the shared draw unless it is fresh. ``z_variance``, e^{lv},
is read beside ``z_log_var`` when it is asked for.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from stratigraph.activations.capture import Captured, capture
from stratigraph.activations.layers import select_layers
from stratigraph.activations.learned import Learned
from stratigraph.errors import InputError
from stratigraph.models import VAE, Network

__all__ = ["DECODER_INPUTS", "default_layers", "layers_to_read", "read_network"]

DECODER_INPUTS = ("mean", "shared_noise", "fresh_noise")
VARIANCE = "z_variance"
LOG_VARIANCE = "z_log_var"
# Views of another layer's numbers: their score is that layer's.
RESHAPING = ("encoder.flatten", "decoder.reshape")
OURS = ("stratigraph.", "torch.nn.modules.")
_LEARNED: dict[tuple[str | None, tuple[str, ...], str], Learned] = {}


def default_layers(model: Network) -> list[str]:
    """Every layer but those that only reshape another."""
    return [name for name in model.layer_names() if name not in RESHAPING]


def layers_to_read(
    model: Network, layers: Sequence[str] | None = None
) -> tuple[list[str], list[str]]:
    """The modules to hook, and the layers to give, in the order of the network.

    They differ where ``z_variance`` is asked for, which is made of ``z_log_var``.

    Raises:
        InputError: a name or glob that matches nothing.

    """
    wanted = default_layers(model) if layers is None else list(layers)
    if layers is not None and not isinstance(model, VAE):
        # A classifier, or a network of codes, stands in a study of VAEs: what it has of the layers
        # that are asked for.
        there = model.layer_names()
        wanted = [name for name in wanted if fnmatch.filter(there, name)] or wanted
    order = {name: position for position, name in enumerate(model.layer_names())}
    modules = [name for name in wanted if name != VARIANCE]
    names = select_layers(model, modules) if modules else []
    shown = sorted(names, key=lambda name: order.get(name, len(order)))
    if VARIANCE in wanted:
        names = [*dict.fromkeys([*names, LOG_VARIANCE])]
        after = shown.index(LOG_VARIANCE) + 1 if LOG_VARIANCE in shown else len(shown)
        shown.insert(after, VARIANCE)
    return sorted(names, key=lambda name: order.get(name, len(order))), shown


def read_network(
    model: Network,
    images: Tensor,
    noise: Tensor,
    layers: Sequence[str] | None = None,
    *,
    decoder_input: str = "mean",
    batch_size: int = 250,
    memory: int = 512 * 2**20,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (layer, activation (n, …) float32) for each layer, in the order of the network.

    Wide layers of many probes do not fit in memory together: layers are read in as few passes as
    keep what is held below ``memory`` bytes, one layer at least.

    Args:
        model: a VAE; or a network of codes or a classifier, which take no noise.
        images: the probes, (n, c, h, w) in [0, 1].
        noise: standard normal, (n, z).
        layers: names or globs, ``z_variance`` included; nothing means `default_layers`.
        decoder_input: one of `DECODER_INPUTS`; the two kinds of noise differ only in what the
            caller gives as ``noise``.
        batch_size: probes of one pass.
        memory: bytes of activations held at once.

    Raises:
        InputError: an unknown layer or decoder input.

    """
    if decoder_input not in DECODER_INPUTS:
        raise InputError(
            f"decoder_input: expected one of {', '.join(DECODER_INPUTS)}, got {decoder_input!r}."
        )
    names, shown = layers_to_read(model, layers)
    device = next(model.parameters()).device

    def run(batch: Tensor, rows: slice) -> None:
        # The network trains channels-last; reading it so keeps the kernels, and the bits, the same.
        batch = batch.contiguous(memory_format=torch.channels_last)
        # Layers are learned from a few rows, more than there are of very few images.
        own = noise[torch.arange(rows.start, rows.stop) % len(noise)].to(device)
        model.read(batch, own, from_mean=decoder_input == "mean")

    def read(inputs: Tensor, group: Sequence[str], learned: Learned | None = None) -> Captured:
        return capture(model, inputs, group, batch_size=batch_size, call=run, learned=learned)

    # Snapshots of a training have one structure, and each is learned from some passes.
    structure = _structure(model)
    known = (structure, tuple(names), decoder_input)
    few = read(images[:1], names, _LEARNED.get(known))
    if structure is not None:
        _LEARNED[known] = few.learned
    bytes_of = {name: len(images) * one.numel() * one.element_size() for name, one in few.items()}
    for group in _groups(names, bytes_of, memory):
        activations = read(images, group, few.learned.only(group))
        for name in group:
            activation = activations.pop(name).numpy()
            if name in shown:
                yield name, activation
            if name == LOG_VARIANCE and VARIANCE in shown:
                yield VARIANCE, np.exp(activation)


def _structure(model: Network) -> str | None:
    """What tells a network of ours from others; of one with parts that are not ours, nothing.

    Whether an input depends on those beside it may change with the weights, where a gate of a
    caller's own opens in training; none of ours has one.
    """
    ours = (type(module).__module__.startswith(OURS) for module in model.modules())
    return repr(model) if all(ours) else None


def _groups(names: Sequence[str], bytes_of: dict[str, int], memory: int) -> Iterator[list[str]]:
    group: list[str] = []
    held = 0
    for name in names:
        if group and held + bytes_of[name] > memory:
            yield group
            group, held = [], 0
        group.append(name)
        held += bytes_of[name]
    if group:
        yield group
