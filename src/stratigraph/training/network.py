"""The network that a configuration asks for, with what its objective trains beside it."""

from __future__ import annotations

from typing import Protocol

from torch import nn

from stratigraph.errors import ConfigError
from stratigraph.models import (
    VAE,
    Network,
    build_classifier,
    build_quantised,
    build_vae,
    initialise,
    seeded,
)
from stratigraph.objectives import Parts, build_objective, codebook_of, parts_of
from stratigraph.training.config import RunConfig
from stratigraph.training.seeds import derived_seed

__all__ = ["OWN", "DataFacts", "build_network"]

OWN = "objective"  # the network's module that holds the objective's own


class DataFacts(Protocol):
    """What a network depends on of the data: a `Dataset` has it, and a study keeps it."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(c, h, w)."""
        ...

    @property
    def factor_names(self) -> tuple[str, ...]:
        """The factors, in their order."""
        ...

    @property
    def factor_sizes(self) -> tuple[int, ...]:
        """How many values each has."""
        ...


def build_network(config: RunConfig, dataset: DataFacts) -> Network:
    """The untrained network of a run: a VAE, a quantising one, or a classifier of the factors.

    Raises:
        UntrustedError: it needs a module of a study that is not trusted.
        ConfigError: the images or the objective do not fit the architecture, or a classifier finds
            no factor.

    """
    config.require_plugins()
    seed, scheme = derived_seed(config.stream_seed, "weights"), config.initialisation
    shape = dataset.image_shape
    model: Network
    if config.supervised:
        factors = dict(zip(dataset.factor_names, dataset.factor_sizes, strict=True))
        model = build_classifier(
            config.architecture, shape, factors, seed=seed, initialisation=scheme
        )
    elif (codebook := codebook_of(build_objective(**config.objective))) is not None:
        model = build_quantised(
            config.architecture, shape, config.latents, codebook, seed=seed, initialisation=scheme
        )
    else:
        model = build_vae(
            config.architecture, shape, config.latents, seed=seed, initialisation=scheme
        )
        _check_posterior(config, model)
    parts = _parts(config)
    if parts.modules:
        own = nn.ModuleDict(parts.modules)
        own.adam = parts.adam  # type: ignore[assignment]  # settings, beside what they are for
        initialise(own, scheme, derived_seed(config.stream_seed, "objective"))
        model.add_module(OWN, own)
    return model


def _check_posterior(config: RunConfig, model: VAE) -> None:
    """Refuse an objective that compares samples with other images' posteriors, where none can be.

    In a hierarchy a level's posterior depends on the sample of the level above it.
    """
    pairwise = getattr(build_objective(**config.objective), "pairwise", False)
    if pairwise and getattr(model, "hierarchical", False):
        raise ConfigError(
            f"objective {config.objective['name']}: it needs the density of each sample under each "
            f"image's posterior, which {config.architecture_name} does not have; use factor_vae, "
            "or another architecture."
        )


def _parts(config: RunConfig) -> Parts:
    """Fresh modules of the objective's own, and Adam's settings for them."""
    with seeded(
        ~derived_seed(config.stream_seed, "objective")
    ):  # some weights stay as they are made
        return parts_of(build_objective(**config.objective), config.latents)
