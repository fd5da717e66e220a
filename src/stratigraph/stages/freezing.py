"""The freezer of a run: its layers from the input on, read by debiased CKA on held-out images."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from stratigraph.activations import read_network
from stratigraph.data import Dataset
from stratigraph.similarity.settled import unit_vectors
from stratigraph.training import (
    Freezer,
    Freezing,
    RunConfig,
    TrainingState,
    step_noise,
    to_batch,
    trainable_layers,
    validation_indices,
)

__all__ = ["freezer_of"]


def freezer_of(config: RunConfig, dataset: Dataset, state: TrainingState) -> Freezer | None:
    """What freezes the layers of a run as its configuration says; None where it freezes nothing."""
    if config.freezing is None:
        return None
    settings = Freezing.from_mapping(config.freezing)
    model = state.model
    layers = trainable_layers(model, model.layer_names())
    if settings.schedule:
        return Freezer(settings, layers, None)
    shown = validation_indices(config, dataset)[: settings.inputs]
    images = to_batch(dataset, shown, next(model.parameters()).device)
    noise = step_noise(config.split_seed, -1, len(images), config.latents)

    def read() -> Mapping[str, Tensor]:
        with torch.inference_mode():
            return unit_vectors(read_network(model, images, noise, list(layers)))

    return Freezer(settings, layers, read)
