"""Early warnings of a run in training, from a few held-out images at each snapshot.

They stand in the run's ``state.json``, so whoever watches says them, and ``stratigraph show`` too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stratigraph.activations import read_network
from stratigraph.data import Dataset
from stratigraph.latents import information, kl_by_latent
from stratigraph.models import VAE, QuantisedAutoencoder
from stratigraph.study import read_state
from stratigraph.training import RunConfig, TrainingState, step_noise, to_batch
from stratigraph.training.signs import Signs, constant_share

__all__ = ["resumed_signs", "tell_signs"]

IMAGES = 64


def resumed_signs(run: Path, rows: Sequence[Mapping[str, Any]]) -> Signs:
    """What is known of a run that goes on: the losses it logged, and what was told of it."""
    signs = Signs()
    for row in rows:
        if row["split"] == "training" and np.isfinite(row["loss"]):
            signs.of_loss(int(row["step"]), float(row["loss"]))
    last = max((int(row["step"]) for row in rows), default=-1)
    known = read_state(run) if rows else {}
    for text in known.get("signs", []):
        step = int(text.split(":")[0].removeprefix("step ").replace(",", ""))
        if step <= last and text not in signs.texts:
            signs.texts.append(text)
    for key, (amount, step) in known.get("told", {}).items():
        if step <= last:
            signs.told[key] = [amount, step]
    return signs


@torch.inference_mode()
def tell_signs(
    signs: Signs,
    config: RunConfig,
    dataset: Dataset,
    state: TrainingState,
    held_out: np.ndarray,
) -> None:
    """Look for collapsed latents, a codebook of which little is used, and dead layers."""
    model, early = state.model, config.steps // 10
    model.eval()
    device = next(model.parameters()).device
    images = to_batch(dataset, held_out[:IMAGES], device)
    noise = step_noise(config.split_seed, -1, len(images), config.latents)
    if isinstance(model, VAE):
        mean, log_var = (part.float().cpu().numpy() for part in model.encode(images))
        signs.of_latents(state.step, kl_by_latent(mean, log_var), early)
        if np.isfinite(mean).all() and np.isfinite(log_var).all():
            signs.of_information(state.step, information(mean, log_var).nats, early)
    if isinstance(model, QuantisedAutoencoder):
        chosen = model(images).posterior.chosen
        signs.of_codes(state.step, chosen.cpu().numpy(), len(model.z_quantised.vectors), early)
    shares = {
        layer: constant_share(torch.from_numpy(activation))
        for layer, activation in read_network(model, images, noise)
        if layer != "input"
    }
    signs.of_layers(state.step, shares, early)
