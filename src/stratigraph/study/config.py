"""A study file: a grid of runs, what to keep of them, and how to compare it.

::

    name: quick
    grid:                                   # one grid, or a list of them
      data: {name: sprites, size: 32}       # each axis: one value or a list of values
      architecture: convolutional           # or {encoder: [vit, …], decoder: {name: …, depth: 4}}
      objective:                            # objective: its strengths
        beta_vae: {beta: [1, 4]}
        annealed_vae: {c_max: [5, 25]}
      latents: 10
      seed: [0, 1]
      freezing: [null, {threshold: 0.9999}]   # optional: layers that have settled are frozen
    training: {steps: 2000, batch_size: 64, learning_rate: 1e-4}
    snapshots: {kind: log, count: 10}       # log | even | explicit | paper
    probes: {count: 500, seed: 0, from: validation}
    activations: {decoder_input: mean}
    measures:
      - debiased_cka
      - {name: procrustes_similarity, pairs: [trajectory, aligned], tolerance: 0.01}
    ways: corrected                         # or [corrected, published]: findings judged both ways

A study of trainings that were recorded has ``recorded: true`` and no grid: its runs are those that
stand in its folder.
Every value is checked when the file is read, before anything runs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stratigraph.activations import DECODER_INPUTS
from stratigraph.errors import ConfigError, InputError, UntrustedError
from stratigraph.pairs.certified import CHEAP, check_tolerance
from stratigraph.plugins import beside, forbid_folder, is_plugin
from stratigraph.records import is_sealed
from stratigraph.similarity.catalog import ALIASES, find_measure
from stratigraph.similarity.measure import Measure
from stratigraph.study.grid import TRAINING, axis, grid_runs, grid_size, mapping, one_of
from stratigraph.study.layout import EXPORT, STUDY_FILE
from stratigraph.study.selection import SELECTIONS
from stratigraph.study.ways import CORRECTED, WAYS, Way
from stratigraph.study.yaml_file import read_yaml
from stratigraph.training import RunConfig
from stratigraph.values import check_number, check_whole

__all__ = [
    "DECONFOUNDED",
    "ActivationsConfig",
    "MeasureConfig",
    "ProbesConfig",
    "StudyConfig",
    "load_config",
    "study_measure",
]

PROBE_SOURCES = ("validation", "training", "paper")
DECONFOUNDED = "deconfounded_cka"  # takes the input of the probes from the study
NAME = re.compile(r"[\w<>()+=.,'\" -]{1,100}", re.UNICODE)
MOST_RUNS = 1000
MOST_HELD = 10_000  # runs of any study: that of a folder is opened without asking anybody


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
                "representations up to a rotation of them; use stratigraph.similarity_matrix on "
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


@dataclass(frozen=True)
class StudyConfig:
    """A whole study, valid at construction.

    Raises:
        ConfigError: no run, a run twice, or a value that cannot be used.

    """

    name: str
    runs: tuple[RunConfig, ...]
    measures: tuple[MeasureConfig, ...]
    probes: ProbesConfig = ProbesConfig()
    activations: ActivationsConfig = ActivationsConfig()
    ways: tuple[str, ...] = (CORRECTED.name,)
    resources: ResourcesConfig = ResourcesConfig()
    description: str = ""
    recorded: bool = False
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
                raise ConfigError(f"{what} {twice} stands in the study twice; remove one.")

    def plugins(self) -> list[str]:
        """What of it is a user's own, as ``module:name`` (`stratigraph.plugins`)."""
        runs = [name for run in self.runs for name in run.plugins()]
        measures = [one.name for one in self.measures if is_plugin(one.name)]
        return list(dict.fromkeys([*runs, *measures]))

    def read(self, way: Way) -> StudyConfig:
        """The configuration of the same study, read a way."""
        if way.source is None or way.decoder_input is None:
            return self
        tolerances = {measure.name: measure.tolerance for measure in self.measures}
        return replace(
            self,
            probes=replace(self.probes, source=way.source),
            activations=replace(self.activations, decoder_input=way.decoder_input),
            measures=tuple(
                MeasureConfig(name, ("claims",), tolerances.get(name))
                for name in (way.cka, "procrustes_similarity")
            ),
        )


def parse_config(value: Any, text: str = "", most_runs: int = MOST_RUNS) -> StudyConfig:
    """A study from the plain values of its file.

    Raises:
        ConfigError: an unknown, missing or unusable value; or more than ``most_runs`` runs.

    """
    table = mapping(
        "study",
        value if value is not None else {},
        (
            "name",
            "description",
            "recorded",
            "grid",
            "training",
            "snapshots",
            "probes",
            "activations",
            "measures",
            "ways",
            "resources",
        ),
    )
    if table.get("recorded", False) is not False:
        return _read_recorded(table, text)
    for key in ("name", "grid", "training"):
        if key not in table:
            raise ConfigError(f"study: {key} is missing.")
    training = mapping("training", table["training"], TRAINING)
    grids = table["grid"] if isinstance(table["grid"], list) else [table["grid"]]
    size = sum(map(grid_size, grids))
    if size > min(most_runs, MOST_HELD):
        told = f"{size:,}" if size < 10**15 else "over 10^15"
        more = ", or allow it with --max-runs" if size <= MOST_HELD else ""
        allowed = min(most_runs, MOST_HELD)
        raise ConfigError(f"grid: {told} runs, more than {allowed:,}; make it smaller{more}.")
    runs: list[RunConfig] = []
    for number, grid in enumerate(grids):
        where = "grid" if len(grids) == 1 else f"grid {number + 1}"
        runs += grid_runs(where, grid, training, table.get("snapshots", {}))
    probes = mapping("probes", table.get("probes", {}), ("count", "seed", "from"))
    if "from" in probes:
        probes["source"] = probes.pop("from")
    reading = mapping("activations", table.get("activations", {}), ("decoder_input", "layers"))
    if reading.get("layers") is not None:
        reading["layers"] = tuple(axis("activations: layers", reading["layers"]))
    return StudyConfig(
        name=table["name"],
        runs=tuple(runs),
        measures=tuple(_measures(table.get("measures", ["debiased_cka"]))),
        probes=ProbesConfig(**probes),
        activations=ActivationsConfig(**reading),
        ways=tuple(_ways(table.get("ways", CORRECTED.name))),
        resources=ResourcesConfig(
            **mapping("resources", table.get("resources", {}), ("cpus", "gpus"))
        ),
        description=table.get("description", ""),
        text=text,
    )


def _read_recorded(table: dict[str, Any], text: str) -> StudyConfig:
    """A study whose runs were recorded (`stratigraph.record`): they stand in it."""
    if table["recorded"] is not True:
        raise ConfigError(f"recorded: expected true, or nothing, got {table['recorded']!r}.")
    for key in table:
        if key not in ("name", "description", "recorded", "measures"):
            raise ConfigError(
                f"study: {key} is of studies that stratigraph trains; this one was recorded, and "
                "has name, description and measures."
            )
    if "name" not in table:
        raise ConfigError("study: name is missing.")
    return StudyConfig(
        name=table["name"],
        runs=(),
        measures=tuple(_measures(table.get("measures", ["debiased_cka"]))),
        description=table.get("description", ""),
        recorded=True,
        text=text,
    )


def _ways(value: Any) -> list[str]:
    names = axis("ways", value)
    for name in names:
        one_of("ways", name, list(WAYS))
    return names


def _measures(value: Any) -> Iterator[MeasureConfig]:
    for item in axis("measures", value):
        table = {"name": item} if isinstance(item, str) else item
        table = mapping("measures", table, ("name", "pairs", "tolerance"))
        if "name" not in table:
            raise ConfigError("measures: a measure needs its name.")
        name = table["name"]
        pairs = axis(f"measures: {name}: pairs", table.get("pairs", "all"))
        # Files of earlier versions ask for CKA to a tolerance, which exact scores keep.
        cheap = isinstance(name, str) and ALIASES.get(name, name) in CHEAP
        yield MeasureConfig(name, tuple(pairs), None if cheap else table.get("tolerance"))


def _studies_around(file: Path, text: str) -> list[Path]:
    """The studies that a file lies in: the folder that it is the file of, and those above."""
    folder = file.absolute().parent
    found = [folder] if file.name == STUDY_FILE and is_sealed(text) else []
    for place in (folder, *folder.parents):
        if (place / STUDY_FILE).is_file() and any(
            (place / name).exists() for name in ("runs", EXPORT, "labels.parquet", "labels.csv")
        ):
            found.append(place)
    return [*found, *([folder] if (folder / "runs").is_dir() else [])]


def load_config(path: str | Path, most_runs: int = MOST_RUNS) -> StudyConfig:
    """Read a study file that the user gives: the modules that it names are imported.

    Raises:
        DataError: the file cannot be read.
        ConfigError: it is not a study; the message names the key, the value and what is allowed.

    """
    text, value = read_yaml(Path(path))
    folder = Path(path).absolute().parent
    held = _studies_around(Path(path), text)
    for study in held:
        forbid_folder(study)  # nothing in a study is run
    if not held:
        beside(folder)
    return parse_config(value, text, most_runs)
