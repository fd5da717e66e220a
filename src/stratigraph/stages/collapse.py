"""The watch over a run's latents: their information on held-out images."""

from __future__ import annotations

import numpy as np
import torch

from stratigraph.data import Dataset
from stratigraph.latents import information
from stratigraph.models import VAE
from stratigraph.training import (
    CollapseWatch,
    OnCollapse,
    RunConfig,
    TrainingState,
    to_batch,
    validation_indices,
)

__all__ = ["watch_of"]


def watch_of(config: RunConfig, dataset: Dataset, state: TrainingState) -> CollapseWatch | None:
    """What watches the latents of a run as its configuration says; None where nothing does."""
    if config.on_collapse is None:
        return None
    settings = OnCollapse.from_value(config.on_collapse, config.steps)
    model = state.model
    assert isinstance(model, VAE)  # the configuration has latents
    shown = validation_indices(config, dataset)[: settings.inputs]
    images = to_batch(dataset, shown, next(model.parameters()).device)

    def read() -> np.ndarray:
        training = model.training
        model.eval()
        with torch.inference_mode():
            mean, log_var = (part.double().cpu().numpy() for part in model.encode(images))
        model.train(training)
        return information(mean, log_var).nats

    return CollapseWatch(settings, read)
