"""The training loop: a generator of states.

One step is: a batch of images, one pass with one noise draw, the objective, one backward pass, one
Adam update. What is done with the states (snapshots, metrics, a progress bar) is the caller's; the
loop writes nothing and knows no file. Step t's images and noise depend on (seed, t) alone, as do
those of the second, independent batch that an objective may ask for and what layers draw from torch
(dropout), so a state of weights and moments is all that a resumed run needs to go on with the same
bits.

What an objective trains beside the network (`stratigraph.objectives.Parts`) is the network's module
``objective``: snapshots, checkpoints and hashes hold it, and it is none of the network's layers. It
is a group of its own of the same Adam.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from stratigraph.data import Dataset, Split, draw_probes, split
from stratigraph.errors import ConfigError, StratigraphError
from stratigraph.models import (
    VAE,
    Classifier,
    Network,
    Posterior,
    seeded,
)
from stratigraph.objectives import (
    Classification,
    Objective,
    Terms,
    build_objective,
    evaluate,
)
from stratigraph.training.collapse import CollapseWatch
from stratigraph.training.config import RunConfig
from stratigraph.training.freezing import Freezer
from stratigraph.training.network import OWN, build_network
from stratigraph.training.seeds import derived_seed, epoch_order, step_noise, stream

__all__ = [
    "DivergedError",
    "TrainingState",
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
    ``acted`` says whether something was done at this step about latents that collapsed.
    """

    step: int
    model: Network
    optimiser: torch.optim.Adam
    terms: Terms | None = None
    acted: bool = False


def initial_state(
    config: RunConfig, dataset: Dataset, device: str | torch.device = "cpu"
) -> TrainingState:
    """The untrained network and a fresh Adam, on a device."""
    model = build_network(config, dataset)
    model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    of_network = [p for name, p in model.named_parameters() if not name.startswith(f"{OWN}.")]
    own = [p for name, p in model.named_parameters() if name.startswith(f"{OWN}.")]
    groups = [{"params": of_network}]
    if own:
        groups.append({"params": own, **getattr(model, OWN).adam})
    optimiser = torch.optim.Adam(
        groups,
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
    config: RunConfig,
    dataset: Dataset,
    state: TrainingState,
    freezer: Freezer | None = None,
    watch: CollapseWatch | None = None,
) -> Iterator[TrainingState]:
    """Yield the state as it is, then after each update up to ``config.steps``.

    A run that freezes what has settled needs its ``freezer``, one that does something when its
    latents collapse its ``watch``; both are told of each update.

    Raises:
        ConfigError: fewer training images than one batch, or a freezer or watch that is missing.
        CollapsedError: the latents collapsed, and the run is to stop then.
        DivergedError: the loss of a step is NaN or infinite; the update is not made.

    """
    batches = _Batches(config, dataset)
    if (config.freezing is None) != (freezer is None):
        raise ConfigError("freezing: a run that freezes layers needs its own Freezer.")
    if (config.on_collapse is None) != (watch is None):
        raise ConfigError("on_collapse: a run that acts on a collapse needs its own CollapseWatch.")
    objective = build_objective(**config.objective)
    if freezer is not None:
        freezer.start(state.step)
    yield state
    while state.step < config.steps:
        chosen, noise = batches.at(state.step)
        state.model.train()
        state.optimiser.zero_grad(set_to_none=True)
        with seeded(
            derived_seed(config.stream_seed, "layers", state.step)
        ):  # dropout, of users' layers
            terms = _terms(
                config, objective, dataset, state, chosen, noise,
                partial(batches.at, state.step, "other "),
                partial(stream, config.stream_seed, state.step),
            )  # fmt: skip
            if watch is not None:
                terms = terms.with_weight(watch.weight(state.step))
            if not torch.isfinite(terms.minimised):
                raise DivergedError(state.step, terms.values())
            terms.minimised.backward()  # type: ignore[no-untyped-call]
        state.optimiser.step()
        state.step += 1
        state.terms = terms.detached()
        if freezer is not None:
            freezer.step(state.step, state.terms.loss)
        state.acted = watch is not None and watch.step(state.step)
        yield state


Batch = tuple[np.ndarray, Tensor]  # images by their indices (b,), noise (b, z)


class _Batches:
    """The images and the noise of every step: those trained on, and others as independent."""

    def __init__(self, config: RunConfig, dataset: Dataset) -> None:
        self.config, self.train = config, split_of(config, dataset).train
        self.per_epoch = len(self.train) // config.batch_size
        if self.per_epoch == 0:
            raise ConfigError(
                f"batch_size: {config.batch_size} is more than the {len(self.train)} training "
                f"images of {dataset.name}; make it smaller."
            )
        self.orders: dict[str, tuple[int, np.ndarray]] = {}

    def at(self, step: int, prefix: str = "") -> Batch:
        """The batch of a step; an epoch is one pass over all images."""
        config = self.config
        epoch, position = divmod(step, self.per_epoch)
        if self.orders.get(prefix, (-1,))[0] != epoch:
            order = epoch_order(config.stream_seed, epoch, len(self.train), f"{prefix}order")
            self.orders[prefix] = epoch, self.train[order]
        size = config.batch_size
        chosen = self.orders[prefix][1][position * size : (position + 1) * size]
        return chosen, step_noise(config.stream_seed, step, size, config.latents, f"{prefix}noise")


def _terms(
    config: RunConfig,
    objective: Objective,
    dataset: Dataset,
    state: TrainingState,
    chosen: np.ndarray,
    noise: Tensor,
    other: Callable[[], Batch],
    streams: Callable[[str], torch.Generator],
) -> Terms:
    """The objective on a batch, ``chosen`` and ``noise``: one pass of the network as it stands.

    An objective may ask for an ``other`` batch, and for random ``streams`` by name.
    """
    model = state.model
    device = next(model.parameters()).device
    images = to_batch(dataset, chosen, device)
    if isinstance(objective, Classification):
        assert isinstance(model, Classifier)
        told_apart = [i for i, size in enumerate(dataset.factor_sizes) if size > 1]
        factors = torch.from_numpy(dataset.factors(chosen)[:, told_apart]).to(device)
        loss = model.cross_entropy(images, factors)
        none = torch.full_like(loss, torch.nan)
        return Terms(loss, none, none, none)

    @torch.no_grad()
    def posterior() -> Posterior:
        assert isinstance(model, VAE)
        indices, apart = other()
        found: Posterior = model(to_batch(dataset, indices, device), apart.to(device)).posterior
        return found

    result = model(images, noise.to(device))
    return evaluate(
        objective, config.reconstruction, result, images, state.step,
        parts=dict(getattr(model, OWN, {})), other=posterior, stream=streams,
    )  # fmt: skip


def _same(batch: Batch) -> Batch:
    return batch


def _batched(count: int, size: int) -> list[slice]:
    """Batches of ``size``; a last one of a single image, which makes no pair, joins the one before.

    Estimates over pairs of a batch, such as the MMD's, have nothing to go by in one image.
    """
    ends = [*range(size, count - 1, size), count]
    return [slice(begin, end) for begin, end in pairwise([0, *ends])]


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
    # A second batch is of the same images, with other noise: there may be too few for two.
    again = step_noise(config.split_seed, -1, len(held_out), config.latents, "other noise")
    objective = build_objective(**config.objective)
    state.model.eval()
    sums: dict[str, float] = defaultdict(float)
    for part in _batched(len(held_out), config.batch_size):
        chosen = held_out[part]
        terms = _terms(
            config, objective, dataset, state, chosen, noise[part],
            partial(_same, (chosen, again[part])), partial(stream, config.split_seed, -1),
        )  # fmt: skip
        for name, value in terms.values().items():
            sums[name] += value * len(chosen)
    return {name: total / len(held_out) for name, total in sums.items()}
