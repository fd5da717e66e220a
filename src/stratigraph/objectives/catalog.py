"""What an autoencoder is trained for: reconstruction + regulariser, by name.

Every objective is a frozen dataclass of its parameters; one of them is its strength, the axis along
which studies vary it. It has one of two methods: ``regulariser(posterior, step)``, to which the
reconstruction is added, or, where that is too little, ``terms(given)`` of a whole `Pass`.

What else it may have, each by itself:

``parts(latents)``
    modules that are trained and kept with the network, such as FactorVAE's discriminator;
``codebook()``
    how the network is to quantise its latents, as for a VQ-VAE;
``likelihoods``
    the reconstructions that it works with, where it does not with all;
``pairwise``
    true where it needs the density of each sample under each image's posterior, which
    hierarchical networks do not have;
``error``
    what its reconstruction is, where it is not the likelihood's: ``scaled_gaussian`` has a scale
    that is its best;
``same_as()``
    the simpler objective that it is at its parameters (name and parameters), or None: one whose
    gradients are the same, whatever the network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, cast, runtime_checkable

from torch import Tensor

from stratigraph.errors import ConfigError, StratigraphError, UntrustedError, suggest
from stratigraph.models import Posterior, VAEOutput
from stratigraph.objectives.annealed_vae import AnnealedVAE
from stratigraph.objectives.beta_tc_vae import BetaTCVAE
from stratigraph.objectives.beta_vae import BetaVAE
from stratigraph.objectives.classification import Classification
from stratigraph.objectives.dip_vae import DIPVAEI, DIPVAEII
from stratigraph.objectives.factor_vae import FactorVAE
from stratigraph.objectives.info_vae import MMDVAE, InfoVAE
from stratigraph.objectives.kl_annealed_vae import KLAnnealedVAE
from stratigraph.objectives.parameters import check_parameters
from stratigraph.objectives.passes import Parts, Pass, Terms
from stratigraph.objectives.sigma_vae import SigmaVAE
from stratigraph.objectives.terms import RECONSTRUCTIONS, kl_divergence
from stratigraph.objectives.unread import UnreadObjective
from stratigraph.objectives.vae import PlainVAE
from stratigraph.objectives.vq_vae import VQVAE
from stratigraph.plugins import is_plugin, load_plugin
from stratigraph.shapes import Images, Scalar
from stratigraph.values import is_number

__all__ = [
    "OBJECTIVES",
    "RECONSTRUCTIONS",
    "SUPERVISED",
    "Classification",
    "Objective",
    "Parts",
    "Pass",
    "Terms",
    "build_objective",
    "check_likelihood",
    "codebook_of",
    "error_of",
    "evaluate",
    "parts_of",
    "simplest",
]


class Objective(Protocol):
    """Anything that is trained for; ``strength`` names the parameter that studies vary, if any."""

    strength: ClassVar[str | None]


@runtime_checkable
class OfPosterior(Protocol):
    """R + regulariser, a function of the posterior and the step."""

    def regulariser(self, posterior: Posterior, step: int) -> Scalar:
        """What is added to the reconstruction at a step (counted from 0), in nats."""
        ...


@runtime_checkable
class OfPass(Protocol):
    """An objective that takes a whole pass."""

    def terms(self, given: Pass) -> Terms:
        """The loss and its parts."""
        ...


@runtime_checkable
class WithParts(Protocol):
    """An objective with modules of its own."""

    def parts(self, latents: int) -> Parts:
        """Fresh ones, for so many latents."""
        ...


@runtime_checkable
class WithCodebook(Protocol):
    """An objective of a network that quantises."""

    def codebook(self) -> tuple[int, int]:
        """How many codes, of how many dimensions each."""
        ...


@runtime_checkable
class WithSame(Protocol):
    """An objective that is a simpler one at some parameters."""

    def same_as(self) -> Mapping[str, Any] | None:
        """Its name and parameters; None where it is none."""
        ...


OBJECTIVES: dict[str, type] = {
    "vae": PlainVAE,
    "beta_vae": BetaVAE,
    "annealed_vae": AnnealedVAE,
    "beta_tc_vae": BetaTCVAE,
    "dip_vae_i": DIPVAEI,
    "dip_vae_ii": DIPVAEII,
    "kl_annealed_vae": KLAnnealedVAE,
    "factor_vae": FactorVAE,
    "info_vae": InfoVAE,
    "mmd_vae": MMDVAE,
    "sigma_vae": SigmaVAE,
    "vq_vae": VQVAE,
}


# Trained on the factors of the data, with a classifier in the VAE's place.
SUPERVISED: dict[str, type] = {"classification": Classification}


def build_objective(name: str, **parameters: Any) -> Objective:
    """The objective called ``name``; of a study that is not trusted, what can be told of it.

    Raises:
        ConfigError: an unknown name or parameter, a missing one, or a value that is not what the
            objective declares (by default a finite number ≥ 0).

    """
    try:
        kind = _kind(name)
    except UntrustedError:
        return cast(Objective, UnreadObjective(tuple(parameters.items())))
    check_parameters(name, kind, parameters)
    try:
        objective: Objective = kind(**parameters)
    except Exception as error:
        if not is_plugin(name) or isinstance(error, StratigraphError):
            raise
        told = f"{type(error).__name__}: {error}"
        raise ConfigError(f"objective {name}: it cannot be made ({told}).") from error
    _check_strength(name, objective)
    return objective


def _check_strength(name: str, objective: Objective) -> None:
    """Studies order runs by it, and write it into tables: a parameter that is a number."""
    strength = objective.strength
    value = None if strength is None else getattr(objective, strength, None)
    if strength is not None and not is_number(value):
        raise ConfigError(
            f"objective {name}: strength: expected the name of a numeric parameter, or None, got "
            f"{strength!r}."
        )


def _kind(name: str) -> type:
    if is_plugin(name):
        found = load_plugin("objective", name)
        whole = isinstance(found, type) and dataclasses.is_dataclass(found)
        method = hasattr(found, "regulariser") or hasattr(found, "terms")
        if not whole or not hasattr(found, "strength") or not method:
            raise ConfigError(
                f"objective: expected {name} to be a dataclass with a class variable `strength` "
                "and a method `regulariser(posterior, step)`, or `terms(given)`."
            )
        return found
    known = {**OBJECTIVES, **SUPERVISED}
    if name not in known:
        raise ConfigError(f"objective: unknown name {name!r}.{suggest(name, known)}")
    return known[name]


def check_likelihood(name: str, objective: Objective, likelihood: str) -> None:
    """Raise a ConfigError unless the objective works with this reconstruction."""
    possible = getattr(objective, "likelihoods", tuple(RECONSTRUCTIONS))
    if likelihood not in possible:
        raise ConfigError(
            f"objective {name}: it needs `reconstruction: {' or '.join(possible)}` in the "
            f"training, got {likelihood}."
        )


def parts_of(objective: Objective, latents: int) -> Parts:
    """Fresh modules of the objective's own, and Adam's settings for them."""
    return objective.parts(latents) if isinstance(objective, WithParts) else Parts({})


def error_of(objective: Objective, likelihood: str) -> str | None:
    """What the held-out error of a run is: its likelihood, another's name, or ``factors``.

    None where nobody knows: a user's objective that makes its terms itself.
    """
    if isinstance(objective, Classification):
        return "factors"
    if isinstance(objective, OfPass) and type(objective) not in OBJECTIVES.values():
        return getattr(objective, "error", None)
    if isinstance(objective, OfPass | OfPosterior):
        return getattr(objective, "error", likelihood)
    return None


def codebook_of(objective: Objective) -> tuple[int, int] | None:
    """Codes and dimensions, where the objective is of a network that quantises."""
    return objective.codebook() if isinstance(objective, WithCodebook) else None


def simplest(objective: Mapping[str, Any]) -> dict[str, Any]:
    """The simplest objective that one is in law: its name and all parameters, defaults too.

    It is itself where there is none, and a user's is as it was given. One that passes other images
    through the network, as those with parts do, is the same for networks that remember nothing of a
    pass (`stratigraph.training.stratum`).
    """
    found = dict(objective)
    while isinstance(made := build_objective(**found), WithSame):
        simpler = made.same_as()
        if simpler is None:
            break
        found = dict(simpler)
    if is_plugin(found["name"]):
        return found
    known = dataclasses.asdict(cast(Any, made))
    # A parameter that is None follows from the others, and is not given.
    return {"name": found["name"], **{k: v for k, v in known.items() if v is not None}}


def evaluate(
    objective: Objective,
    reconstruction: str,
    result: VAEOutput,
    images: Images,
    step: int,
    **beside: Any,
) -> Terms:
    """The objective and its parts on a batch, at a step counted from 0.

    ``beside`` is what else a `Pass` holds, for the objectives that need it.
    """
    given = Pass(images, result, step, reconstruction, **beside)
    if isinstance(objective, OfPass):
        terms: Any = objective.terms(given)
        if not isinstance(terms, Terms):
            raise ConfigError(
                f"objective {type(objective).__name__}: terms: expected stratigraph.objectives."
                f"Terms, got a {type(terms).__name__}."
            )
        return terms
    assert isinstance(objective, OfPosterior)
    error = given.reconstruction()
    regulariser: Any = objective.regulariser(result.posterior, step)
    if not isinstance(regulariser, Tensor) or regulariser.ndim:
        shape = list(regulariser.shape) if isinstance(regulariser, Tensor) else "none"
        raise ConfigError(
            f"objective {type(objective).__name__}: regulariser: expected a tensor of one number, "
            f"got a {type(regulariser).__name__} (shape {shape})."
        )
    kl = kl_divergence(result.posterior.mean.detach(), result.posterior.log_var.detach())
    return Terms(error + regulariser, error, regulariser, kl)
