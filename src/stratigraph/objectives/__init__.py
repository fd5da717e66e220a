"""What a VAE is trained for: reconstruction + regulariser, by name.

Every objective is a frozen dataclass of its parameters with one method, ``regulariser``; one of
the parameters is its strength, the axis along which studies vary it. The total is always
R + regulariser, with R one of `RECONSTRUCTIONS`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from stratigraph.errors import ConfigError, suggest
from stratigraph.models import Posterior, VAEOutput
from stratigraph.objectives.annealed_vae import AnnealedVAE
from stratigraph.objectives.beta_tc_vae import BetaTCVAE
from stratigraph.objectives.beta_vae import BetaVAE
from stratigraph.objectives.classification import Classification
from stratigraph.objectives.dip_vae import DIPVAEI, DIPVAEII
from stratigraph.objectives.kl_annealed_vae import KLAnnealedVAE
from stratigraph.objectives.terms import RECONSTRUCTIONS, kl_divergence
from stratigraph.objectives.vae import PlainVAE
from stratigraph.plugins import is_plugin, load_plugin
from stratigraph.shapes import Images, Scalar

__all__ = [
    "OBJECTIVES",
    "RECONSTRUCTIONS",
    "SUPERVISED",
    "Classification",
    "Objective",
    "Terms",
    "build_objective",
    "evaluate",
]


@runtime_checkable
class Objective(Protocol):
    """R + regulariser; ``strength`` names the parameter that studies vary, if there is one."""

    strength: ClassVar[str | None]

    def regulariser(self, posterior: Posterior, step: int) -> Scalar:
        """What is added to the reconstruction at a step (counted from 0), in nats."""
        ...


OBJECTIVES: dict[str, type] = {
    "vae": PlainVAE,
    "beta_vae": BetaVAE,
    "annealed_vae": AnnealedVAE,
    "beta_tc_vae": BetaTCVAE,
    "dip_vae_i": DIPVAEI,
    "dip_vae_ii": DIPVAEII,
    "kl_annealed_vae": KLAnnealedVAE,
}


# Trained on the factors of the data, with a classifier in the VAE's place.
SUPERVISED: dict[str, type] = {"classification": Classification}


class Terms(NamedTuple):
    """The loss of a batch and its parts, each a scalar tensor in nats per image."""

    loss: Tensor
    reconstruction: Tensor
    regulariser: Tensor
    kl: Tensor


def build_objective(name: str, **parameters: Any) -> Objective | Classification:
    """The objective called ``name``.

    Raises:
        ConfigError: an unknown name or parameter, a missing one, or a value that is not a finite
            number ≥ 0 (a number of steps: a whole number ≥ 1).

    """
    kind = _kind(name)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key, value in parameters.items():
        if key not in fields:
            raise ConfigError(f"objective {name}: no parameter {key!r}.{suggest(key, fields)}")
        _check_number(f"objective {name}: {key}", value, steps=key.endswith("_steps"))
    missing = [
        key
        for key, field in fields.items()
        if field.default is dataclasses.MISSING and key not in parameters
    ]
    if missing:
        raise ConfigError(f"objective {name}: {', '.join(missing)} is missing; give it a number.")
    return kind(**parameters)


def _kind(name: str) -> type:
    if is_plugin(name):
        found = load_plugin("objective", name)
        whole = isinstance(found, type) and dataclasses.is_dataclass(found)
        if not whole or not hasattr(found, "strength") or not hasattr(found, "regulariser"):
            raise ConfigError(
                f"objective: expected {name} to be a dataclass with a class variable `strength` "
                "and a method `regulariser(posterior, step)`."
            )
        return found
    known = {**OBJECTIVES, **SUPERVISED}
    if name not in known:
        raise ConfigError(f"objective: none is called {name!r}.{suggest(name, known)}")
    return known[name]


def _check_number(where: str, value: Any, *, steps: bool) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if steps and not (number and isinstance(value, int) and value >= 1):
        raise ConfigError(f"{where}: expected a whole number of steps ≥ 1, got {value!r}.")
    if not (number and math.isfinite(value) and value >= 0):
        raise ConfigError(f"{where}: expected a finite number ≥ 0, got {value!r}.")


def evaluate(
    objective: Objective, reconstruction: str, result: VAEOutput, images: Images, step: int
) -> Terms:
    """The objective and its parts on a batch, at a step counted from 0."""
    error = RECONSTRUCTIONS[reconstruction](result.output, images)
    regulariser = objective.regulariser(result.posterior, step)
    kl = kl_divergence(result.posterior.mean.detach(), result.posterior.log_var.detach())
    return Terms(error + regulariser, error, regulariser, kl)
