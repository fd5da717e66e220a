"""What a study and its runs say of themselves: how many there are, and how far each is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stratigraph.errors import IntegrityError
from stratigraph.records import read_json
from stratigraph.records.files import check_format
from stratigraph.study.layout import REPLICATES, STATE

__all__ = ["CUT_SHORT", "SILENT", "read_replicates", "read_state", "warning_of"]

CUT_SHORT = ("diverged", "collapsed")  # a run that has its answer before its last step
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
    except (IntegrityError, OSError) as error:
        return {"state": "unknown", "step": 0, "reason": str(error)}


def read_replicates(study: Path) -> int:
    """How many replicates a study has beyond its file's (`stratigraph.study.replicates`), or 0.

    Raises:
        ConfigError: a newer version wrote it.
        IntegrityError: the file that says so is damaged.

    """
    path = study / REPLICATES
    if not path.is_file():
        return 0
    held = read_json(path)
    check_format(held["format"], path)
    return int(held["replicates"])


def warning_of(state: Mapping[str, Any]) -> str:
    """The last of the early warnings that a run gave, and how many came before; "" for none.

    They are no reason for its state: a run that was warned of may well be done.
    """
    signs = state.get("signs", ())
    earlier = f" (and {len(signs) - 1} before)" if len(signs) > 1 else ""
    return f"{signs[-1]}{earlier}" if signs else ""
