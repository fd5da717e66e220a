"""A configuration's canonical form, and the name that follows from it.

A run is its configuration: the same configuration has the same ``run_id`` on every machine, so a
sweep can be stopped, extended and merged, and nothing is trained twice.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["canonical", "digest", "flat", "plain", "run_id"]


def plain(value: Any) -> Any:
    """Dataclasses, tuples and mappings as what JSON can hold; everything else as it is."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings as pairs of a dotted name and a value: ``objective.beta``, 4."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def canonical(value: Any) -> str:
    """One text for one configuration: sorted keys, no spaces, ``4`` and ``4.0`` alike.

    Raises:
        ValueError: a number is NaN or infinite, which JSON cannot say.

    """

    def normal(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: normal(entry) for key, entry in item.items()}
        if isinstance(item, list):
            return [normal(entry) for entry in item]
        if isinstance(item, float) and item.is_integer():
            return int(item)
        return item

    return json.dumps(normal(plain(value)), sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 of the canonical form, in hexadecimal."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def run_id(config: Any) -> str:
    """Twelve hexadecimal digits that name a run."""
    return digest(config)[:12]
