"""The grid of a study file: the runs that it means.

Each axis holds one value or a list of them, and the grid is their product. Objectives and
architectures are grids of their own: ``{beta_vae: {beta: [1, 4]}}`` is two objectives, and
``{encoder: [vit, convolutional], decoder: [vit, convolutional]}`` is four architectures.

Seeds are a list, whose numbers every configuration shares, or ``{replicates: 6}``: replicates
0 to 5 of every configuration, each with random streams of its own; ``first: 10`` begins with
replicate 10. A study may have more replicates than its file says (`stratigraph.study.replicates`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

from stratigraph.errors import ConfigError, suggest
from stratigraph.objectives import OBJECTIVES, SUPERVISED
from stratigraph.plugins import is_plugin
from stratigraph.training import RunConfig, SnapshotSchedule
from stratigraph.training.schedule import MOST_SNAPSHOTS
from stratigraph.values import check_whole

__all__ = ["TRAINING", "axis", "grid_runs", "grid_size", "mapping", "one_of", "replicates_of"]

AXES = ("data", "architecture", "objective", "latents", "seed", "freezing", "on_collapse")
TRAINING = (
    "steps", "batch_size", "learning_rate", "beta_1", "beta_2", "epsilon", "reconstruction",
    "initialisation", "validation", "split_seed", "validation_images", "log_every",
)  # fmt: skip
SCHEDULES: dict[str, Callable[..., SnapshotSchedule]] = {
    "log": SnapshotSchedule.log_spaced,
    "even": SnapshotSchedule.evenly_spaced,
    "explicit": SnapshotSchedule.explicit,
    "paper": SnapshotSchedule.paper,
}
LARGEST_SEED = 2**63 - 1
MOST_KEPT = 1_000_000  # snapshots of all runs of a grid
MOST_OF = {"count": MOST_SNAPSHOTS, "first": 10**9}
SCHEDULE_KEYS = {
    "log": ("count", "first", "start"),
    "even": ("count", "start"),
    "explicit": ("steps",),
    "paper": ("start",),
}


def one_of(where: str, value: Any, known: Sequence[str]) -> None:
    """Raise a ConfigError unless ``value`` is one of the known."""
    if value not in known:
        raise ConfigError(f"{where}: {value!r} is not known.{suggest(value, known)}")


def mapping(where: str, value: Any, known: Sequence[str]) -> dict[str, Any]:
    """``value`` as a dict, or a ConfigError unless it is a mapping with known keys only."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: expected a mapping, got {value!r}.")
    for key in value:
        if key not in known:
            raise ConfigError(f"{where}: no key is called {key!r}.{suggest(key, known)}")
    return dict(value)


def axis(where: str, value: Any) -> list[Any]:
    """One value, or a list of different ones, as a list; or a ConfigError."""
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ConfigError(f"{where}: the list is empty; give it at least one value.")
    seen = set()
    for item in values:
        key = _hashable(item)
        if key in seen:
            raise ConfigError(f"{where}: {item!r} is in the list twice.")
        seen.add(key)
    return values


def _hashable(value: Any) -> Hashable:
    """What is equal where plain values are: looking for a twin takes no second loop."""
    if isinstance(value, Mapping):
        return frozenset((key, _hashable(item)) for key, item in value.items())
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _choices(value: Any) -> int:
    return len(value) if isinstance(value, list) else 1


def replicates_of(value: Any) -> int | None:
    """How many replicates a grid's file says; None where it gives seeds, or is no grid."""
    seeds = value.get("seed") if isinstance(value, Mapping) else None
    if not isinstance(seeds, Mapping):
        return None
    mapping("seed", seeds, ("replicates", "first"))
    if "replicates" not in seeds:
        raise ConfigError("seed: replicates is missing; give how many each configuration has.")
    return check_whole("seed: replicates", seeds["replicates"], 1, LARGEST_SEED)


def _replicates(value: Any, least: int) -> Sequence[int]:
    """The numbers of a grid's replicates: those of its file, and ``least`` in all."""
    count = max(replicates_of(value) or 0, least)
    first = check_whole("seed: first", value["seed"].get("first", 0), 0, LARGEST_SEED - count)
    return range(first, first + count)


def grid_size(value: Any, replicates: int = 0) -> int:
    """How many runs a grid means, counted and not built: a few lines can mean more than memory has.

    ``replicates`` is how many the study has, where its file says fewer. Of what is no grid it is
    some number; `grid_runs` says what is wrong with it.
    """
    if not isinstance(value, Mapping):
        return 0
    counts: dict[str, Callable[[Any], int]] = {
        "objective": _count_objectives,
        "architecture": _count_architectures,
    }
    own = replicates_of(value)
    if own is not None:
        counts["seed"] = lambda _: max(own, replicates)
    return math.prod(counts.get(key, _choices)(item) for key, item in value.items())


def _count_objectives(value: Any) -> int:
    if not isinstance(value, Mapping):
        return _choices(value)
    return sum(
        math.prod(map(_choices, parameters.values())) if isinstance(parameters, Mapping) else 1
        for parameters in value.values()
    )


def _count_architectures(value: Any) -> int:
    count = 0
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, Mapping):
            within = _choices if "name" in item else _count_architectures
            count += math.prod(map(within, item.values()))
        else:
            count += 1
    return count


def _objectives(where: str, value: Any) -> list[dict[str, Any]]:
    """``{beta_vae: {beta: [1, 4]}, vae: }`` as one mapping for each objective and strength."""
    if isinstance(value, str | list):
        names = axis(where, value)
        if not all(isinstance(name, str) for name in names):
            raise ConfigError(
                f"{where}: expected names, or one mapping of names to their parameters, got "
                f"{value!r}."
            )
        value = dict.fromkeys(names)
    own = [key for key in value if is_plugin(key)] if isinstance(value, Mapping) else []
    table = mapping(where, value, [*OBJECTIVES, *SUPERVISED, *own])
    found = []
    for name, parameters in table.items():
        if parameters is not None and not isinstance(parameters, Mapping):
            raise ConfigError(f"{where}: {name}: expected its parameters, got {parameters!r}.")
        axes = {key: axis(f"{where}: {name}: {key}", v) for key, v in (parameters or {}).items()}
        for values in itertools.product(*axes.values()):
            found.append({"name": name, **dict(zip(axes, values, strict=True))})
    return axis(where, found)


def _architectures(where: str, value: Any) -> list[Any]:
    """``{encoder: [a, b], decoder: [a, {name: b, depth: [2, 4]}]}`` as every architecture in it."""
    found = []
    for item in axis(where, value):
        if isinstance(item, Mapping) and "name" not in item:
            axes = {key: _architectures(f"{where}: {key}", part) for key, part in item.items()}
        elif isinstance(item, Mapping):
            axes = {key: axis(f"{where}: {key}", option) for key, option in item.items()}
        else:
            found.append(item)
            continue
        found += [dict(zip(axes, one, strict=True)) for one in itertools.product(*axes.values())]
    return axis(where, found)


def _schedule(value: Any, steps: int) -> SnapshotSchedule:
    table = mapping("snapshots", value, ("kind", "count", "first", "start", "steps"))
    kind = table.pop("kind", "log")
    one_of("snapshots: kind", kind, list(SCHEDULES))
    mapping(f"snapshots: {kind}", table, SCHEDULE_KEYS[kind])
    for key in ("count", "first"):
        if key in table:
            check_whole(f"snapshots: {key}", table[key], 1, MOST_OF[key])
    if not isinstance(table.get("start", True), bool):
        raise ConfigError(f"snapshots: start: expected true or false, got {table['start']!r}.")
    if kind == "explicit" and not isinstance(table.get("steps"), list):
        raise ConfigError("snapshots: explicit needs `steps`, a list of steps.")
    if kind in ("log", "even"):
        table.setdefault("count", 12)
    if kind == "log":
        table.setdefault("first", min(10, steps))
    return SCHEDULES[kind](last=steps, **table)


def grid_runs(
    where: str, value: Any, training: dict[str, Any], snapshots: Any, replicates: int = 0
) -> Iterator[RunConfig]:
    """Every run of a grid; ``replicates`` is how many the study has, where its file says fewer.

    Raises:
        ConfigError: an axis that is missing or unknown, or a value that cannot be used.

    """
    table = mapping(where, value, AXES)
    for key in ("data", "objective"):
        if key not in table:
            raise ConfigError(f"{where}: {key} is missing.")
    readers = {"objective": _objectives, "architecture": _architectures}
    own = replicates_of(value) is not None
    numbers = {"seed": _replicates(value, replicates)} if own else {}
    streams = "own" if own else "shared"
    axes = {
        key: numbers.get(key) or readers.get(key, axis)(f"{where}: {key}", item)
        for key, item in table.items()
    }
    if "steps" not in training:
        raise ConfigError("training: steps is missing; give the number of updates.")
    steps = check_whole("training: steps", training["steps"], 1, 10**9)
    schedule = _schedule(snapshots, steps)
    kept = grid_size(value, replicates) * len(schedule.steps)
    if kept > MOST_KEPT:
        raise ConfigError(
            f"{where}: {kept:,} snapshots over all runs, more than {MOST_KEPT:,}; keep fewer per "
            "run."
        )
    for values in itertools.product(*axes.values()):
        yield RunConfig(
            snapshots=schedule.steps,
            **dict(zip(axes, values, strict=True)),
            streams=streams,
            **training,
        )
