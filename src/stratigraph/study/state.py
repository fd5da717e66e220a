"""What a run in training says of itself, read from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stratigraph.errors import IntegrityError
from stratigraph.records import read_json
from stratigraph.study.layout import STATE

__all__ = ["SILENT", "read_state", "warning_of"]

SILENT = 60.0  # seconds; a run in training says where it is twice a second


def read_state(path: Path) -> dict[str, Any]:
    """The state of the run in a folder: ``state``, ``step`` and more; ``waiting`` if none yet.

    It is written several times a second and not flushed, so a loss of power may tear it. It is then
    ``unknown``, and holds nobody up: what a run goes on from is its checkpoint.
    """
    file = path / STATE
    if not file.is_file():
        return {"state": "waiting", "step": 0}
    try:
        return read_json(file)
    except IntegrityError as error:
        return {"state": "unknown", "step": 0, "reason": str(error)}


def warning_of(state: Mapping[str, Any]) -> str:
    """The last of the early warnings that a run gave, and how many came before; "" for none.

    They are no reason for its state: a run that was warned of may well be done.
    """
    signs = state.get("signs", ())
    earlier = f" (and {len(signs) - 1} before)" if len(signs) > 1 else ""
    return f"{signs[-1]}{earlier}" if signs else ""
