"""One run: everything that its bits depend on, and nothing else.

`RunConfig` is valid at construction, made from and turned into plain JSON values, and names its
run: `identity.run_id`. Where a run is executed (device, workers) is not part of it.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from stratigraph import identity
from stratigraph.data import DATASETS, Dataset, load_dataset
from stratigraph.errors import ConfigError, suggest
from stratigraph.models import INITIALISATIONS, Architecture, architecture_of
from stratigraph.objectives import (
    RECONSTRUCTIONS,
    SUPERVISED,
    Objective,
    build_objective,
    check_likelihood,
    codebook_of,
)
from stratigraph.plugins import is_plugin, named_by, naming_only, require_plugins
from stratigraph.training.collapse import OnCollapse
from stratigraph.training.freezing import Freezing
from stratigraph.training.schedule import SnapshotSchedule
from stratigraph.values import check_number, check_whole

__all__ = ["RunConfig"]

LARGEST_SEED = 2**63 - 1
STREAMS = ("shared", "own")
MOST_LATENTS = 65_536
LARGEST_RATE = 2.0**127  # weights are float32, and torch refuses to scale them by what none is


def _named(where: str, value: Any) -> dict[str, Any]:
    """``beta_vae`` and ``{name: beta_vae, …}`` are the same thing."""
    if isinstance(value, str):
        return {"name": value}
    keyed = isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    if keyed and isinstance(value.get("name"), str):
        return dict(value)
    raise ConfigError(f"{where}: expected a name, or a mapping with a `name`, got {value!r}.")


def _check_data(data: Mapping[str, Any]) -> None:
    name = data["name"]
    if name not in DATASETS and "/" not in name and "." not in name:
        raise ConfigError(
            f"data: no data set is called {name!r} (a path holds a / or a dot)."
            + suggest(name, DATASETS)
        )


@dataclass(frozen=True)
class RunConfig:
    """One training of one network with one seed.

    Args:
        data: the data set's name and options, such as ``{"name": "sprites", "size": 32}``.
        objective: its name and parameters, such as ``{"name": "beta_vae", "beta": 4}``.
        architecture: the networks' name; or a mapping of name and options, or of ``encoder`` and
            ``decoder`` (`stratigraph.models.architecture`).
        latents: dimensions of z.
        seed: seed of weights, noise and data order; or the number of the replicate.
        steps: updates in all.
        snapshots: the steps to keep (0 is the untrained network), or a `SnapshotSchedule`;
            by default step 0 and the last.
        reconstruction: ``bernoulli`` (logits) or ``gaussian`` (unit variance).
        initialisation: ``keras`` (as published) or ``torch``.
        batch_size: images per step.
        learning_rate, beta_1, beta_2, epsilon: of Adam.
        validation: share of the images that training never sees.
        split_seed: seed for choosing that share; the same for all runs of a study.
        validation_images: how many of them the validation loss uses.
        log_every: steps between two rows of the training metrics.
        freezing: when layers that have settled are frozen (`stratigraph.training.freezing`): a
            mapping of its settings, or true for the defaults; by default all layers always train.
        on_collapse: what to do when the latents collapse (`stratigraph.training.collapse`):
            ``anneal``, ``stop``, or a mapping of such an ``action`` and settings; by default
            nothing.
        streams: ``shared``: a seed draws the same numbers in every configuration; ``own``: each
            configuration's replicates draw different numbers.

    Raises:
        ConfigError: a value that cannot be used; the message names it.

    """

    data: Mapping[str, Any]
    objective: Mapping[str, Any]
    steps: int
    architecture: str | Mapping[str, Any] = "convolutional"
    latents: int = 10
    seed: int = 0
    snapshots: tuple[int, ...] = ()
    reconstruction: str = "bernoulli"
    initialisation: str = "keras"
    batch_size: int = 64
    learning_rate: float = 1e-4
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    validation: float = 0.1
    split_seed: int = 0
    validation_images: int = 512
    log_every: int = 50
    freezing: Mapping[str, Any] | bool | None = None
    on_collapse: Mapping[str, Any] | str | None = None
    streams: str = "shared"
    run_id: str = field(init=False, compare=False)
    # The study that named its modules, where that is not trusted: they are not imported. No setting
    # of the run, but `dataclasses.replace` takes it along.
    named_by: Path | None = field(default=None, compare=False, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        with naming_only(self.named_by):
            self._check()
            if self.plugins():
                object.__setattr__(self, "named_by", named_by())

    def _check(self) -> None:
        set_field = object.__setattr__  # the only way to normalise a frozen dataclass
        set_field(self, "data", _named("data", self.data))
        set_field(self, "objective", _named("objective", self.objective))
        check_whole("steps", self.steps, 1, 10**9)
        kept: Any = self.snapshots
        kept = kept.steps if isinstance(kept, SnapshotSchedule) else kept
        if isinstance(kept, str) or not isinstance(kept, Sequence):
            raise ConfigError(f"snapshots: expected a list of steps, got {kept!r}.")
        kept = tuple(kept) or (0, self.steps)
        set_field(self, "snapshots", SnapshotSchedule.explicit(kept, self.steps).steps)
        _check_data(self.data)
        objective = build_objective(**self.objective)
        if self.freezing is False:
            set_field(self, "freezing", None)
        if self.freezing is not None:
            # Every setting, so that a default that is written down is the same run.
            whole = dataclasses.asdict(Freezing.from_mapping(self.freezing))
            set_field(self, "freezing", whole)
        if self.on_collapse is not None:
            watched = OnCollapse.from_value(self.on_collapse, self.steps)
            set_field(self, "on_collapse", dataclasses.asdict(watched))
            if not self.gaussian:
                raise ConfigError(
                    f"on_collapse: {self.objective['name']} has no Gaussian latents that could "
                    "collapse; leave it out of this grid."
                )
        set_field(self, "architecture", self.parts.plain())
        for what, name, known in (
            ("reconstruction", self.reconstruction, RECONSTRUCTIONS),
            ("initialisation", self.initialisation, INITIALISATIONS),
            ("streams", self.streams, STREAMS),
        ):
            if not isinstance(name, str):
                raise ConfigError(f"{what}: expected a name, got {name!r}.")
            if name not in known:
                raise ConfigError(f"{what}: unknown name {name!r}.{suggest(name, known)}")
        check_likelihood(self.objective["name"], objective, self.reconstruction)
        check_whole("latents", self.latents, 1, MOST_LATENTS)
        check_whole("seed", self.seed, 0, LARGEST_SEED)
        check_whole("split_seed", self.split_seed, 0, LARGEST_SEED)
        check_whole("batch_size", self.batch_size, 2, 65_536)
        check_whole("validation_images", self.validation_images, 2, 10**7)
        check_whole("log_every", self.log_every, 1, 10**9)
        check_number("learning_rate", self.learning_rate, most=LARGEST_RATE, above=0)
        check_number("epsilon", self.epsilon, most=LARGEST_RATE, above=0)
        check_number("beta_1", self.beta_1, 0, below=1)
        check_number("beta_2", self.beta_2, 0, below=1)
        check_number("validation", self.validation, above=0, below=1)
        for what in ("data", "architecture"):  # every other value has been checked
            options = getattr(self, what)
            try:
                identity.canonical(options)
            except (TypeError, ValueError) as error:
                raise ConfigError(
                    f"{what}: its options are plain JSON values, got {options!r} ({error})."
                ) from None
        set_field(self, "run_id", identity.run_id(self.to_dict()))

    def __hash__(self) -> int:
        return hash(self.run_id)

    @property
    def strength_name(self) -> str | None:
        """The objective's parameter that studies vary, such as ``beta``, or None."""
        return self._objective().strength

    @property
    def strength(self) -> float | None:
        """The value of the objective's strength, such as β, or None."""
        name = self.strength_name
        if name is None:
            return None
        # A module that was not imported has no defaults; what the study gives stands there.
        return getattr(self._objective(), name, self.objective.get(name))

    def _objective(self) -> Objective:
        with naming_only(self.named_by):
            return build_objective(**self.objective)

    @cached_property
    def stream_seed(self) -> int:
        """The seed of all that training draws: 63 bits."""
        if self.streams == "shared":
            return self.seed
        rest = {key: value for key, value in self.to_dict().items() if key != "seed"}
        text = f"{identity.canonical(rest)}:{self.seed}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1

    @property
    def parts(self) -> Architecture:
        """The encoder and the decoder."""
        with naming_only(self.named_by):
            return architecture_of(self.architecture)

    @property
    def architecture_name(self) -> str:
        """The architecture in a few words, such as ``vit → fully_connected(depth=4)``."""
        return str(self.parts)

    def plugins(self) -> list[str]:
        """The user's own parts in it, as ``module:name``."""
        objective = self.objective["name"]
        return [*self.parts.plugins(), *([objective] if is_plugin(objective) else [])]

    def require_plugins(self) -> None:
        """Import the user's own parts in it.

        Raises:
            UntrustedError: it belongs to an untrusted study.
            ConfigError: there is no such module, or it cannot be imported.

        """
        with naming_only(self.named_by):
            require_plugins(self.plugins())

    @property
    def supervised(self) -> bool:
        """Whether a classifier of the data's factors is trained instead of a VAE."""
        return self.objective["name"] in SUPERVISED

    @property
    def gaussian(self) -> bool:
        """Whether its latents have a Gaussian posterior: not a classifier or a network of codes."""
        return not self.supervised and codebook_of(self._objective()) is None

    def dataset(self) -> Dataset:
        """The images that the run is trained on."""
        options = {key: value for key, value in self.data.items() if key != "name"}
        return load_dataset(self.data["name"], **options)

    def label(self, short: bool = False) -> str:
        """The configuration in a few words, for people; ``short`` omits what rarely varies."""
        strength = "" if self.strength is None else f" {self.strength_name}={self.strength:g}"
        if short:
            return f"{self.objective['name']}{strength} {self._replicate()}"
        return (
            f"{self.objective['name']}{strength} · {self.data['name']} · "
            f"{self.architecture_name} · {self.latents} latents · "
            f"{self._frozen()}{self._watched()}{self._replicate()}"
        )

    def _replicate(self) -> str:
        return f"{'seed' if self.streams == 'shared' else 'replicate'} {self.seed}"

    def _frozen(self) -> str:
        if self.freezing is None:
            return ""
        scheduled = Freezing.from_mapping(self.freezing).schedule
        return "freezing by schedule · " if scheduled else "freezing · "

    def _watched(self) -> str:
        if not isinstance(self.on_collapse, Mapping):
            return ""
        return f"on collapse {self.on_collapse['action']} · "

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, from which `from_dict` makes the same configuration."""
        # Left out where there is none: the runs of before it was there keep their names.
        without = {"named_by"}
        without |= {name for name in ("freezing", "on_collapse") if not getattr(self, name)}
        without |= {"streams"} if self.streams == "shared" else set()
        return {
            f.name: identity.plain(getattr(self, f.name))
            for f in dataclasses.fields(self)
            if f.init and f.name not in without
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """A configuration from plain values.

        Raises:
            ConfigError: an unknown or missing key, or a value that cannot be used.

        """
        fields = dataclasses.fields(cls)
        known = {f.name: f for f in fields if f.init and f.name != "named_by"}
        for key in values:
            if key not in known:
                raise ConfigError(f"run: no setting is called {key!r}.{suggest(key, known)}")
        needed = [key for key in ("data", "objective", "steps") if key not in values]
        if needed:
            raise ConfigError(f"run: {', '.join(needed)} is missing.")
        return cls(**values)
