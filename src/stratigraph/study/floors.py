"""The held-out error of the best constant answers, read from ``floors.json``."""

from __future__ import annotations

from typing import Any

from stratigraph.records import read_json
from stratigraph.records.files import check_format
from stratigraph.study.layout import FLOORS
from stratigraph.study.study import Study

__all__ = ["read_floors"]


def read_floors(study: Study) -> dict[str, Any]:
    """`stratigraph.training.floor_key` → the floors of those images, or why there are none.

    Each is a mapping with ``of`` (what the error is → ``floor`` and ``room``), or with ``why``.

    Raises:
        ConfigError: a newer version wrote it.
        IntegrityError: the file is damaged.

    """
    path = study.path / FLOORS
    if study.export is not None:
        held = study.export.json(FLOORS) if study.export.holds(FLOORS) else {}
    else:
        held = read_json(path) if path.is_file() else {}
    check_format(held.get("format", 1), path)
    found: dict[str, Any] = held.get("floors", {})
    return found
