"""A run whose training was somebody else's: what is known of it, for those who read a study.

Where a `RunConfig` says how a run is made, this says how it was told apart: the class of the
network, the name of the objective and the settings, the seed, the probes. It stands wherever a
`RunConfig` is read; what would train it, rebuild its network or open its data says that it cannot.

How far a run got is not part of what it is: ``steps`` and ``snapshots`` come from its folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stratigraph import identity
from stratigraph.data import Dataset
from stratigraph.errors import ConfigError, InputError
from stratigraph.training.config import RunConfig
from stratigraph.values import is_number

__all__ = ["RecordedConfig", "any_config"]

KEPT = (
    "data", "objective", "architecture", "latents", "seed", "reconstruction", "initialisation",
    "probes", "count", "reading",
)  # fmt: skip


@dataclass(frozen=True)
class RecordedConfig(RunConfig):
    """A recorded run.

    Args:
        data: ``{"name": …}``, what the probes are called.
        objective: ``{"name": …}`` and the caller's settings, by which runs are told apart.
        probes: the digest of the inputs that its representations are of.
        count: how many they are.
        reading: the digest of which layers were read, and how.
        roles: role → patterns of layers, as the caller said what is encoder, mean, …; may be empty.
        varied: the setting that is the strength, such as ``beta``, as the caller said; or None.

    """

    steps: int = 0
    reconstruction: str = "recorded"
    initialisation: str = "recorded"
    latents: int = 0
    probes: str = field(kw_only=True)
    count: int = field(kw_only=True)
    reading: str = field(kw_only=True)
    roles: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    varied: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.varied is not None and not is_number(self.objective.get(self.varied)):
            known = ", ".join(k for k in self.objective if k != "name") or "none"
            raise ConfigError(
                f"strength: expected the name of a setting that is a number, got {self.varied!r}; "
                f"the settings of {self.label()} are {known}."
            )
        try:
            object.__setattr__(self, "run_id", identity.run_id(self.to_dict()))
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"settings: expected plain values (numbers, words), got {dict(self.objective)!r} "
                f"({error})."
            ) from None

    __hash__ = RunConfig.__hash__

    @property
    def strength_name(self) -> str | None:
        """The setting that is the strength, or None where nobody said which."""
        return self.varied

    @property
    def strength(self) -> float | None:
        """Its value."""
        return None if self.varied is None else float(self.objective[self.varied])

    @property
    def architecture_name(self) -> str:
        """The class of the network."""
        return str(self.architecture)

    def plugins(self) -> list[str]:
        """None: its network is its caller's, and is not made here."""
        return []

    @property
    def supervised(self) -> bool:
        """Whether it has no posterior and no decoder, as a classifier has none."""
        return self.latents == 0 and "decoder" not in self.roles

    @property
    def gaussian(self) -> bool:
        """Whether it was recorded with a posterior."""
        return self.latents > 0

    def dataset(self) -> Dataset:
        """Nobody but the caller has it."""
        raise InputError(
            f"run {self.run_id} was recorded from a training outside stratigraph, which has "
            "neither its data nor its network; run.load(network, step) puts the weights into one."
        )

    def label(self, short: bool = False) -> str:
        """The configuration in a few words, for people."""
        settings = [f"{k} {v}" for k, v in self.objective.items() if k != "name"]
        words = [str(self.objective["name"]), *settings]
        if not short:
            words += [str(self.data["name"]), self.architecture_name]
        return " · ".join([*words, f"seed {self.seed}"])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, from which `any_config` makes the same configuration."""
        values = {name: identity.plain(getattr(self, name)) for name in KEPT}
        roles = {"roles": identity.plain(self.roles)} if self.roles else {}
        varied = {} if self.varied is None else {"varied": self.varied}
        return {**values, **roles, **varied, "recorded": True}


def any_config(values: Mapping[str, Any], snapshots: tuple[int, ...] = ()) -> RunConfig:
    """The configuration of a run from plain values: ours, or a recorded one as far as it got.

    Raises:
        ConfigError: an unknown or missing key, or a value that cannot be used.

    """
    if not values.get("recorded"):
        return RunConfig.from_dict(values)
    missing = [name for name in KEPT if name not in values]
    if missing:
        raise ConfigError(f"run: {', '.join(missing)} is missing from a recorded run.")
    steps = snapshots[-1] if snapshots else 0
    kept = {name: values[name] for name in KEPT}
    told = {"roles": values.get("roles", {}), "varied": values.get("varied")}
    return RecordedConfig(**kept, **told, steps=steps, snapshots=snapshots)
