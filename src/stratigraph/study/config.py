"""A study's configuration, valid at construction; `parse` reads it from its file."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace

from stratigraph.activations import DECODER_INPUTS
from stratigraph.errors import ConfigError, InputError, UntrustedError
from stratigraph.pairs.certified import check_tolerance
from stratigraph.plugins import is_plugin, load_plugin
from stratigraph.similarity.catalog import find_measure
from stratigraph.similarity.measure import Measure
from stratigraph.study.grid import one_of
from stratigraph.study.selection import SELECTIONS
from stratigraph.study.ways import CORRECTED, Way
from stratigraph.training import RunConfig
from stratigraph.values import check_number, check_whole

__all__ = [
    "DECONFOUNDED",
    "ActivationsConfig",
    "MeasureConfig",
    "ProbesConfig",
    "StudyConfig",
    "study_measure",
]

PROBE_SOURCES = ("validation", "training", "paper")
DECONFOUNDED = "deconfounded_cka"  # takes the input of the probes from the study
REPRESENTATIONS = ("drop", "keep")
NAME = re.compile(r"[\w<>()+=.,'\" -]{1,100}", re.UNICODE)


@dataclass(frozen=True)
class ProbesConfig:
    """The fixed inputs: how many, drawn from where (``validation``, ``training`` or ``paper``)."""

    count: int = 1000
    seed: int = 0
    source: str = "validation"

    def __post_init__(self) -> None:
        check_whole("probes: count", self.count, 4, 10**6)
        check_whole("probes: seed", self.seed, 0, 2**63 - 1)
        one_of("probes: from", self.source, PROBE_SOURCES)


@dataclass(frozen=True)
class ActivationsConfig:
    """Which layers are read, and what drives the decoder."""

    decoder_input: str = "mean"
    layers: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        one_of("activations: decoder_input", self.decoder_input, DECODER_INPUTS)
        if self.layers is not None and not all(isinstance(name, str) for name in self.layers):
            raise ConfigError(f"activations: layers: expected names, got {list(self.layers)!r}.")


def study_measure(name: str) -> Measure:
    """A measure as a study names it: the catalogue's, or debiased CKA with the input given.

    Raises:
        InputError: no measure has this name.

    """
    return find_measure("debiased_cka" if name == DECONFOUNDED else name)


@dataclass(frozen=True)
class MeasureConfig:
    """A measure of the catalogue, the pairs that it is asked for, and how exactly.

    Args:
        name: of the catalogue, or `DECONFOUNDED`.
        pairs: of `SELECTIONS`.
        tolerance: settle for scores within intervals no wider than this, which hold the exact ones
            for certain (`stratigraph.pairs.certified`); None is exact. Of Procrustes alone.

    """

    name: str
    pairs: tuple[str, ...] = ("all",)
    tolerance: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ConfigError(f"measures: expected a measure's name, got {self.name!r}.")
        try:
            measure = study_measure(self.name)
        except UntrustedError:
            return  # of a module that is named only, nothing can be checked
        if not measure.rotation:
            raise ConfigError(
                f"measures: {self.name} depends on the units themselves, and a study keeps "
                "representations only up to a rotation; use stratigraph.similarity_matrix on "
                "activations, or another measure."
            )
        for pair in self.pairs:
            one_of(f"measures: {self.name}: pairs", pair, SELECTIONS)
        if self.tolerance is not None:
            known = self.name if self.name == DECONFOUNDED else measure.name
            try:
                check_tolerance(known, self.tolerance)
            except InputError as error:
                raise ConfigError(f"measures: {self.name}: {error}") from None


@dataclass(frozen=True)
class ResourcesConfig:
    """What a task asks of a cluster; no result depends on it.

    Args:
        cpus: cores; a task computes on one thread, so more is of use where memory is short.
        gpus: GPUs; a fraction lets several small models share one.

    """

    cpus: float = 1
    gpus: float = 0

    def __post_init__(self) -> None:
        for what, value, least in (("cpus", self.cpus, 0.01), ("gpus", self.gpus, 0)):
            check_number(f"resources: {what}", value, least, 1024)


def _check_claim(name: str) -> None:
    """Raise where a claim of the user's own is no function of a module."""
    if not is_plugin(name):
        raise ConfigError(
            f"claims: expected MODULE:NAME, a function of your own, got {name!r}; stratigraph's "
            "own claims are asked of every study."
        )
    try:
        found = load_plugin("claims", name)
    except UntrustedError:
        return  # of a module that is named only, nothing can be checked
    if not callable(found):
        raise ConfigError(f"claims: {name}: expected a function, got a {type(found).__name__}.")


@dataclass(frozen=True)
class StudyConfig:
    """A whole study, valid at construction.

    ``replicates`` is how many each configuration has at least, where the grid counts them; None
    where it gives seeds. ``others`` are the readings of all networks on one set of probes each.
    ``scores`` says of which steps the disentanglement scores are that take long: of the ``last``,
    or of ``every`` one that is compared.

    Raises:
        ConfigError: no run, a run twice, or a value that cannot be used.

    """

    name: str
    runs: tuple[RunConfig, ...]
    measures: tuple[MeasureConfig, ...]
    probes: ProbesConfig = ProbesConfig()
    activations: ActivationsConfig = ActivationsConfig()
    scores: str = "last"
    ways: tuple[str, ...] = (CORRECTED.name,)
    claims: tuple[str, ...] = ()
    others: tuple[Way, ...] = ()
    resources: ResourcesConfig = ResourcesConfig()
    representations: str = "drop"
    description: str = ""
    recorded: bool = False
    replicates: int | None = None
    text: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name) or self.name[0] in "-.":
            raise ConfigError(
                "name: expected 1 to 100 letters, digits, spaces or simple punctuation, not "
                f"beginning with - or a dot, got {self.name!r}."
            )
        if not isinstance(self.description, str):
            raise ConfigError(f"description: expected text, got {self.description!r}.")
        if not self.runs and not self.recorded:
            raise ConfigError("grid: it has no run; give every axis at least one value.")
        if not self.measures:
            raise ConfigError("measures: at least one is needed.")
        for what, names in (
            ("grid: the run", [run.run_id for run in self.runs]),
            ("measures:", [measure.name for measure in self.measures]),
        ):
            twice, count = Counter(names).most_common(1)[0] if names else ("", 0)
            if count > 1:
                raise ConfigError(f"{what} {twice} is in the study twice; remove one.")
        one_of("representations", self.representations, REPRESENTATIONS)
        for name in self.claims:
            _check_claim(name)
        if self.others and CORRECTED.cka not in {measure.name for measure in self.measures}:
            raise ConfigError(
                f"probes: data: networks of different data are compared by {CORRECTED.cka}; add it "
                "to `measures`."
            )

    def plugins(self) -> list[str]:
        """What of it is a user's own, as ``module:name`` (`stratigraph.plugins`)."""
        runs = [name for run in self.runs for name in run.plugins()]
        measures = [one.name for one in self.measures if is_plugin(one.name)]
        return list(dict.fromkeys([*runs, *measures, *self.claims]))

    def read(self, way: Way) -> StudyConfig:
        """The configuration of the same study, read a way."""
        tolerances = {measure.name: measure.tolerance for measure in self.measures}
        if way.data is not None:
            # Where Procrustes is asked for: a pair of it costs a thousand times what one of CKA
            # does, so it is not asked of untrained networks.
            asked = ((way.cka, "aligned"), ("procrustes_similarity", "claims"))
            return replace(
                self,
                measures=tuple(
                    MeasureConfig(name, (pairs,), tolerances[name])
                    for name, pairs in asked
                    if name in tolerances
                ),
            )
        if way.source is None or way.decoder_input is None:
            return self
        return replace(
            self,
            probes=replace(self.probes, source=way.source),
            activations=replace(self.activations, decoder_input=way.decoder_input),
            others=(),
            measures=tuple(
                MeasureConfig(name, ("claims",), tolerances.get(name))
                for name in (way.cka, "procrustes_similarity")
            ),
        )
