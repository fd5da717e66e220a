"""The training loop: a generator of states.

One step is: a batch of images, one pass with one noise draw, the objective, one Adam update. What
is done with the states (snapshots, metrics, a progress bar) is the caller's; the loop writes
nothing and knows no file. Step t's images and noise depend on (seed, t) alone, so a state of
weights and moments is all that a resumed run needs to go on with the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stratigraph.data import Dataset, Split, draw_probes, split
from stratigraph.errors import ConfigError, StratigraphError
from stratigraph.models import Classifier, Network, build_classifier, build_vae
from stratigraph.objectives import Classification, Objective, Terms, build_objective, evaluate
from stratigraph.training.config import RunConfig
from stratigraph.training.freezing import Freezer
from stratigraph.training.seeds import derived_seed, epoch_order, step_noise

__all__ = [
    "DivergedError",
    "TrainingState",
    "build_network",
    "initial_state",
    "split_of",
    "to_batch",
    "training_states",
    "validation_indices",
    "validation_terms",
]


class DivergedError(StratigraphError):
    """The loss of a step was not a finite number."""

    def __init__(self, step: int, terms: dict[str, float]) -> None:
        self.step = step
        parts = ", ".join(f"{name} {value:g}" for name, value in terms.items())
        super().__init__(
            f"the loss was not finite at step {step} ({parts}); lower the learning rate or the "
            "strength of the objective."
        )


@dataclass
class TrainingState:
    """The network after ``step`` updates. One object, changed in place as training goes on.

    ``terms`` are those of the batch of the last update; None at the state that training began from.
    """

    step: int
    model: Network
    optimiser: torch.optim.Adam
    terms: Terms | None = None


def build_network(config: RunConfig, dataset: Dataset) -> Network:
    """The untrained network of a run: a VAE, or a classifier of the data's factors.

    Raises:
        ConfigError: the images do not fit the architecture, or a classifier finds no factor.

    """
    seed, scheme = derived_seed(config.seed, "weights"), config.initialisation
    shape = dataset.image_shape
    if config.supervised:
        factors = dict(zip(dataset.factor_names, dataset.factor_sizes, strict=True))
        return build_classifier(
            config.architecture, shape, factors, seed=seed, initialisation=scheme
        )
    return build_vae(config.architecture, shape, config.latents, seed=seed, initialisation=scheme)


def initial_state(
    config: RunConfig, dataset: Dataset, device: str | torch.device = "cpu"
) -> TrainingState:
    """The untrained network and a fresh Adam, on a device."""
    model = build_network(config, dataset)
    model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(
        model.parameters(),
        lr=config.learning_rate,
        betas=(config.beta_1, config.beta_2),
        eps=config.epsilon,
        fused=True,
    )
    return TrainingState(0, model, optimiser)


def to_batch(dataset: Dataset, indices: np.ndarray, device: torch.device) -> Tensor:
    """Images as the network takes them: float32 (b, c, h, w) in [0, 1], channels last."""
    return dataset.tensor(indices).to(device, memory_format=torch.channels_last)


def split_of(config: RunConfig, dataset: Dataset) -> Split:
    """The images that a run trains on, and those that it never sees."""
    return split(dataset, validation=config.validation, seed=config.split_seed)


def training_states(
    config: RunConfig, dataset: Dataset, state: TrainingState, freezer: Freezer | None = None
) -> Iterator[TrainingState]:
    """Yield the state as it is, then after each update up to ``config.steps``.

    A run that freezes what has settled needs its ``freezer``, which is told of each update.

    Raises:
        ConfigError: fewer training images than one batch, or a freezer that is missing.
        DivergedError: the loss of a step is NaN or infinite; the update is not made.

    """
    train = split_of(config, dataset).train
    per_epoch = len(train) // config.batch_size
    if per_epoch == 0:
        raise ConfigError(
            f"batch_size: {config.batch_size} is more than the {len(train)} training images of "
            f"{dataset.name}; make it smaller."
        )
    if (config.freezing is None) != (freezer is None):
        raise ConfigError(
            "freezing: a run that freezes layers is trained with a Freezer of its own."
        )
    objective = build_objective(**config.objective)
    if freezer is not None:
        freezer.start(state.step)
    yield state
    epoch, order = -1, train
    while state.step < config.steps:
        now, position = divmod(state.step, per_epoch)
        if now != epoch:
            epoch, order = now, train[epoch_order(config.seed, now, len(train))]
        chosen = order[position * config.batch_size : (position + 1) * config.batch_size]
        noise = step_noise(config.seed, state.step, len(chosen), config.latents)
        state.model.train()
        state.optimiser.zero_grad(set_to_none=True)
        terms = _terms(config, objective, dataset, state, chosen, noise)
        if not torch.isfinite(terms.loss):
            values = {name: float(term.detach()) for name, term in terms._asdict().items()}
            raise DivergedError(state.step, values)
        terms.loss.backward()  # type: ignore[no-untyped-call]
        state.optimiser.step()
        state.step += 1
        state.terms = Terms(*(term.detach() for term in terms))
        if freezer is not None:
            freezer.step(state.step, state.terms.loss)
        yield state


def _terms(
    config: RunConfig,
    objective: Objective | Classification,
    dataset: Dataset,
    state: TrainingState,
    chosen: np.ndarray,
    noise: Tensor,
) -> Terms:
    """The objective on some images: one pass of the network as it stands."""
    model = state.model
    device = next(model.parameters()).device
    images = to_batch(dataset, chosen, device)
    if isinstance(objective, Classification):
        assert isinstance(model, Classifier)
        told_apart = [i for i, size in enumerate(dataset.factor_sizes) if size > 1]
        factors = torch.from_numpy(dataset.factors(chosen)[:, told_apart]).to(device)
        loss = model.cross_entropy(images, factors)
        return Terms(loss, *[torch.full_like(loss, torch.nan)] * 3)
    result = model(images, noise.to(device))
    return evaluate(objective, config.reconstruction, result, images, state.step)


def validation_indices(config: RunConfig, dataset: Dataset) -> np.ndarray:
    """The held-out images of the validation loss: the same at every step, spread over the set."""
    parts = split_of(config, dataset)
    count = min(config.validation_images, len(parts.validation))
    return draw_probes(dataset, parts, count, seed=derived_seed(config.split_seed, "validation"))


@torch.inference_mode()
def validation_terms(
    config: RunConfig, dataset: Dataset, state: TrainingState, held_out: np.ndarray
) -> dict[str, float]:
    """The objective on the images ``held_out``, with one noise draw for all steps."""
    noise = step_noise(config.split_seed, -1, len(held_out), config.latents)
    objective = build_objective(**config.objective)
    state.model.eval()
    sums = dict.fromkeys(Terms._fields, 0.0)
    for start in range(0, len(held_out), config.batch_size):
        part = slice(start, start + config.batch_size)
        terms = _terms(config, objective, dataset, state, held_out[part], noise[part])
        for name, value in terms._asdict().items():
            sums[name] += float(value) * len(held_out[part])
    return {name: total / len(held_out) for name, total in sums.items()}
