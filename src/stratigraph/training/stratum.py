"""Which runs are replicates of one another: those of the same model, whatever it is called.

A configuration without its seed is a *stratum*. Objectives that are a simpler one at some
parameters (`stratigraph.objectives.simplest`) make several configurations one model: β-TC-VAE at
β = 1 is the β-VAE at β = 1, and its runs are that stratum's. Whether a run shares its random
streams with other configurations is no part of the model.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stratigraph.identity import canonical
from stratigraph.objectives import build_objective, parts_of, simplest
from stratigraph.plugins import naming_only
from stratigraph.training.config import RunConfig
from stratigraph.training.recorded import RecordedConfig
from stratigraph.values import is_number

__all__ = ["equal_models", "model_of", "stratum"]


def model_of(config: RunConfig) -> dict[str, Any]:
    """The objective of the simplest model that a run trains, as name and parameters.

    An objective with parts passes a second batch through the network; a network of the user's may
    remember it (batch normalisation), so there it is none but itself.
    """
    own = dict(config.objective)
    if isinstance(config, RecordedConfig):
        return own
    with naming_only(config.named_by):
        objective = build_objective(**own)
        remembered = config.parts.plugins() and parts_of(objective, config.latents).modules
        return own if remembered else simplest(own)


def stratum(config: RunConfig) -> str:
    """The canonical configuration of the model that a run trains, without seed and streams."""
    rest = {k: v for k, v in config.to_dict().items() if k not in ("seed", "streams")}
    return canonical({**rest, "objective": model_of(config)})


def equal_models(configs: Iterable[RunConfig]) -> str:
    """One line of what is the same model twice, such as β-TC-VAE and β-VAE at β = 1; "" of none."""
    called: dict[str, dict[str, None]] = {}
    for config in configs:
        called.setdefault(stratum(config), {})[_name(config.objective)] = None
    equal = dict.fromkeys(" = ".join(names) for names in called.values() if len(names) > 1)
    return f"equal models, one in every finding: {'; '.join(equal)}" if equal else ""


def _name(objective: Any) -> str:
    options = [
        f"{key}={value:g}" if is_number(value) else f"{key}={value}"
        for key, value in objective.items()
        if key != "name"
    ]
    return " ".join([str(objective["name"]), *options])
