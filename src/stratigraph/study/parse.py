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
      seed: {replicates: 6}                 # or seeds that all configurations share: [0, 1]
      freezing: [null, {threshold: 0.9999}]   # optional: layers that have settled are frozen
      on_collapse: anneal                   # optional: anneal | stop, when latents collapse
    training: {steps: 2000, batch_size: 64, learning_rate: 1e-4}
    snapshots: {kind: log, count: 10}       # log | even | explicit | paper
    probes: {count: 500, seed: 0, from: validation}   # data: [own, solids]: those of others, too
    activations: {decoder_input: mean}
    measures:
      - debiased_cka
      - {name: procrustes_similarity, pairs: [trajectory, aligned], tolerance: 0.01}
    claims: ["my_claims:later"]             # optional: your own (docs/how-to/extending.md)
    scores: last                            # or every: DCI, FactorVAE and β-VAE at every step
    ways: corrected                         # or [corrected, published]: findings judged both ways
    representations: drop                   # once they were compared; or keep

A study of trainings that were recorded has ``recorded: true`` and no grid: its runs are those that
stand in its folder.
Every value is checked when the file is read, before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stratigraph.errors import ConfigError
from stratigraph.pairs.certified import CHEAP
from stratigraph.plugins import beside, forbid_folder
from stratigraph.records import is_sealed
from stratigraph.renamed import takes_former
from stratigraph.similarity.catalog import ALIASES
from stratigraph.study.config import (
    ActivationsConfig,
    MeasureConfig,
    ProbesConfig,
    ResourcesConfig,
    StudyConfig,
)
from stratigraph.study.grid import (
    TRAINING,
    axis,
    grid_runs,
    grid_size,
    mapping,
    one_of,
    replicates_of,
)
from stratigraph.study.layout import EXPORT, STUDY_FILE
from stratigraph.study.probes import shown_config
from stratigraph.study.ways import CORRECTED, WAYS, Way, read_on
from stratigraph.study.yaml_file import read_yaml
from stratigraph.training import RunConfig

__all__ = ["MOST_HELD", "load_config", "parse_config"]

SCORED = ("last", "every")  # steps of which slow scores are taken
MOST_RUNS = 1000
MOST_HELD = 10_000  # runs of any study: that of a folder is opened without asking anybody


def parse_config(
    value: Any, text: str = "", max_runs: int = MOST_RUNS, replicates: int = 0
) -> StudyConfig:
    """A study from the plain values of its file; ``replicates`` as in `grid_runs`.

    Raises:
        ConfigError: an unknown, missing or unusable value; or more than ``max_runs`` runs.

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
            "claims",
            "ways",
            "scores",
            "resources",
            "representations",
        ),
    )
    if table.get("recorded", False) is not False:
        return _read_recorded(table, text)
    for key in ("name", "grid", "training"):
        if key not in table:
            raise ConfigError(f"study: {key} is missing.")
    training = mapping("training", table["training"], TRAINING)
    grids = table["grid"] if isinstance(table["grid"], list) else [table["grid"]]
    size = sum(grid_size(grid, replicates) for grid in grids)
    if size > min(max_runs, MOST_HELD):
        told = f"{size:,}" if size < 10**15 else "over 10^15"
        more = ", or allow it with --max-runs" if size <= MOST_HELD else ""
        allowed = min(max_runs, MOST_HELD)
        raise ConfigError(f"grid: {told} runs, more than {allowed:,}; make it smaller{more}.")
    runs: list[RunConfig] = []
    for number, grid in enumerate(grids):
        where = "grid" if len(grids) == 1 else f"grid {number + 1}"
        runs += grid_runs(where, grid, training, table.get("snapshots", {}), replicates)
    probes = mapping("probes", table.get("probes", {}), ("count", "seed", "from", "data"))
    others = _other_probes(probes.pop("data", "own"), runs)
    if "from" in probes:
        probes["source"] = probes.pop("from")
    one_of("scores", table.get("scores", "last"), SCORED)
    reading = mapping("activations", table.get("activations", {}), ("decoder_input", "layers"))
    if reading.get("layers") is not None:
        reading["layers"] = tuple(axis("activations: layers", reading["layers"]))
    return StudyConfig(
        name=table["name"],
        runs=tuple(runs),
        replicates=min(
            (max(n, replicates) for n in map(replicates_of, grids) if n is not None), default=None
        ),
        measures=tuple(_measures(table.get("measures", ["debiased_cka"]))),
        probes=ProbesConfig(**probes),
        activations=ActivationsConfig(**reading),
        claims=tuple(_claims(table)),
        others=others,
        scores=table.get("scores", "last"),
        ways=tuple(_ways(table.get("ways", CORRECTED.name))),
        resources=ResourcesConfig(
            **mapping("resources", table.get("resources", {}), ("cpus", "gpus"))
        ),
        representations=table.get("representations", "drop"),
        description=table.get("description", ""),
        text=text,
    )


def _read_recorded(table: dict[str, Any], text: str) -> StudyConfig:
    """A study whose runs were recorded (`stratigraph.record`): they stand in it."""
    if table["recorded"] is not True:
        raise ConfigError(f"recorded: expected true, or nothing, got {table['recorded']!r}.")
    for key in table:
        if key not in ("name", "description", "recorded", "measures", "claims"):
            raise ConfigError(
                f"study: {key} is for studies that stratigraph trains; this one was recorded, "
                "and has only name, description, measures and claims."
            )
    if "name" not in table:
        raise ConfigError("study: name is missing.")
    return StudyConfig(
        name=table["name"],
        runs=(),
        measures=tuple(_measures(table.get("measures", ["debiased_cka"]))),
        claims=tuple(_claims(table)),
        description=table.get("description", ""),
        recorded=True,
        text=text,
    )


def _claims(table: dict[str, Any]) -> list[str]:
    return axis("claims", table["claims"]) if table.get("claims") is not None else []


def _other_probes(value: Any, runs: list[RunConfig]) -> tuple[Way, ...]:
    """``[own, solids]``: the sets, beside its own, whose probes every network is shown.

    A name is the set of the grid that is called so, with its options.
    """
    wanted = axis("probes: data", value)
    if "own" not in wanted:
        raise ConfigError(
            "probes: data: each network reads the probes of its own data; begin the list with own."
        )
    known = [dict(run.data) for run in runs]
    found: list[Way] = []
    for item in wanted:
        if item == "own" or not runs:
            continue
        same = [data for data in known if data["name"] == item]
        if any(data != same[0] for data in same):
            raise ConfigError(
                f"probes: data: the grid has several data sets called {item}; say which, as in "
                f"the grid: {same[0]}."
            )
        try:
            data = shown_config(runs[0], same[0] if same else item).data
        except ConfigError as error:
            raise ConfigError(f"probes: {error}") from None
        if any(way.data == data for way in found):
            raise ConfigError(f"probes: data: {item!r} is in the list twice.")
        found.append(read_on(data, found))
    return tuple(found)


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
        name = ALIASES.get(name, name) if isinstance(name, str) else name
        cheap = name in CHEAP
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


@takes_former(max_runs="most_runs")
def load_config(path: str | Path, max_runs: int = MOST_RUNS, replicates: int = 0) -> StudyConfig:
    """Read a study file that the user gives: the modules that it names are imported.

    Args:
        path: the file.
        max_runs: a larger grid is refused.
        replicates: how many its study has, where it says fewer.

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
    return parse_config(value, text, max_runs, replicates)
