"""How many latents to give a VAE: FONDUE with the networks and data of a run's configuration.

Each number of latents that the search tries (`stratigraph.latents.latent_size`) is trained in
memory, from the configuration's seed, for a few steps; then mean and sample of the posterior on
held-out images are read, and their intrinsic dimensions taken. One network is in memory at a time,
and nothing is written. The noise of the sample is the same for all trials, as far as they share
latents.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from stratigraph.data import Dataset, draw_probes
from stratigraph.errors import ConfigError, InputError, suggest
from stratigraph.latents import levina_bickel, two_nn
from stratigraph.latents.latent_size import LatentSize, Trial, latent_size
from stratigraph.training import (
    RecordedConfig,
    RunConfig,
    derived_seed,
    initial_state,
    split_of,
    training_states,
)
from stratigraph.values import check_whole, is_number

__all__ = ["ESTIMATORS", "ChosenLatents", "LatentSizeSettings", "choose_latents"]

ESTIMATORS: dict[str, Callable[[np.ndarray], float]] = {
    "levina_bickel": levina_bickel,
    "two_nn": two_nn,
}
MOST_STEPS = 2000
MOST_IMAGES = 5000  # whose distances are 200 MB
BATCH = 250


@dataclass(frozen=True)
class LatentSizeSettings:
    """Of the search.

    Attributes:
        steps: of each training; None is one epoch, as in the source, but 2,000 steps at most.
        threshold: of the gap, as a share of the data's intrinsic dimension.
        estimator: of intrinsic dimension, a key of `ESTIMATORS`.
        images: held-out images on which it is estimated.
        most: the largest number of latents that is tried.

    """

    steps: int | None = None
    threshold: float = 0.2
    estimator: str = "levina_bickel"
    images: int = 1000
    most: int = 256

    def __post_init__(self) -> None:
        if self.estimator not in ESTIMATORS:
            raise ConfigError(
                f"estimator: unknown name {self.estimator!r}."
                + suggest(str(self.estimator), ESTIMATORS)
            )
        for name, least, most in (("images", 30, MOST_IMAGES), ("most", 1, 65_536)):
            check_whole(name, getattr(self, name), least, most)
        if self.steps is not None:
            check_whole("steps", self.steps, 1, 10**9)
        share = self.threshold
        if not is_number(share) or not 0 <= share < 10:
            raise ConfigError(
                f"threshold: expected a share of the data's intrinsic dimension, such as 0.2, got "
                f"{share!r}."
            )


@dataclass(frozen=True)
class ChosenLatents:
    """What was found, and how.

    Attributes:
        found: the answer and its trials.
        data: the intrinsic dimension of the images.
        steps: of each training.
        images: on which dimensions were estimated.
        settings: of the search.

    """

    found: LatentSize
    data: float
    steps: int
    images: int
    settings: LatentSizeSettings

    @property
    def latents(self) -> int:
        """The number of latents to use."""
        return self.found.latents


def choose_latents(
    config: RunConfig,
    settings: LatentSizeSettings | None = None,
    told: Callable[[Trial], None] | None = None,
    device: str = "cpu",
) -> ChosenLatents:
    """Search for the number of latents that a configuration's networks use.

    Args:
        config: its data, objective, architecture, seed and optimiser are used as they are.
        settings: of the search.
        told: called with each trial.
        device: where the networks are trained.

    Raises:
        ConfigError: the configuration has no Gaussian posterior, or its training was recorded.
        InputError: the images' own dimension cannot be estimated.
        DivergedError: a training diverged.

    """
    settings = settings or LatentSizeSettings()
    if isinstance(config, RecordedConfig) or not config.gaussian:
        what = "was recorded elsewhere"
        if not isinstance(config, RecordedConfig):
            what = "is a classifier" if config.supervised else "has codes, and no Gaussian latents"
        raise ConfigError(
            f"latent-size: this run {what}; choose a VAE that stratigraph trained, which can be "
            "retrained with other numbers of latents."
        )
    dataset = config.dataset().prepare()
    parts = split_of(config, dataset)
    count = min(settings.images, len(parts.validation))
    shown = draw_probes(dataset, parts, count, derived_seed(config.seed, "latent size"))
    images = dataset.tensor(shown)
    estimate = ESTIMATORS[settings.estimator]
    data = estimate(images.reshape(len(images), -1).numpy())
    if not np.isfinite(data):
        raise InputError(
            f"{dataset.name}: the intrinsic dimension of {len(images)} held-out images cannot be "
            "estimated, because too few of them differ; give more `images`."
        )
    epoch = max(len(parts.train) // config.batch_size, 1)
    steps = settings.steps or min(epoch, MOST_STEPS)

    def dimensions(latents: int) -> tuple[float, float]:
        # Freezing has nothing to decide in so few steps.
        tried = dataclasses.replace(
            config,
            latents=latents,
            steps=steps,
            snapshots=(),
            freezing=None,
            on_collapse=None,
            streams="shared",
        )
        mean, log_var = _posterior(tried, dataset, images, device)
        sample = mean + np.exp(log_var / 2) * _noise(config.seed, *mean.shape)
        return estimate(mean), estimate(sample)

    found = latent_size(
        dimensions, max(round(data), 1), settings.threshold * data, settings.most, told
    )
    return ChosenLatents(found, data, steps, len(images), settings)


def _posterior(
    config: RunConfig, dataset: Dataset, images: torch.Tensor, device: str
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and log-variance on images after a training: each float64 (n, z)."""
    state = initial_state(config, dataset, device)
    for _ in training_states(config, dataset, state):
        pass
    model = state.model.eval()
    read = []
    with torch.inference_mode():
        for begun in range(0, len(images), BATCH):
            pair = model.encode(images[begun : begun + BATCH].to(device))  # type: ignore[operator]
            read.append([part.double().cpu().numpy() for part in pair])
    mean, log_var = (np.concatenate(part) for part in zip(*read, strict=True))
    return mean, log_var


def _noise(seed: int, count: int, latents: int) -> np.ndarray:
    """Standard normal noise (n, z), a latent at a time, so that trials share the first of them."""
    rng = np.random.default_rng(derived_seed(seed, "latent size noise"))
    return rng.standard_normal((latents, count)).T
