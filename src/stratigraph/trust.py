"""Which studies this user made on this machine: those may run the modules that they name.

A note of each lies in the user's own folder of state, outside every study, so that no study can
bring its own: ``$STRATIGRAPH_STATE``, or what the platform sets aside for state
(``~/.local/state/stratigraph`` on Linux). It is named by the SHA-256 of the study file, which says
which modules run with which arguments; so a study may be moved, and another that lies in its place
is not taken for it. In it stands the folder that the study file came from, where its modules are.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

import platformdirs

from stratigraph.durable import make_folder, replacing

__all__ = ["ENVIRONMENT", "note_trust", "trusted_folder"]

ENVIRONMENT = "STRATIGRAPH_STATE"


def _note(text: str) -> Path:
    chosen = os.environ.get(ENVIRONMENT) or platformdirs.user_state_dir("stratigraph", False)
    digest = hashlib.sha256(text.rstrip().encode()).hexdigest()
    return Path(chosen).expanduser() / "trusted" / f"{digest}.json"


def note_trust(text: str, folder: Path) -> None:
    """Remember a study file that the user gave, and the folder that it came from.

    Where the note cannot be written the study is a stranger's when it is opened next, and says so.
    """
    path = _note(text)
    with contextlib.suppress(OSError):
        make_folder(path.parent)
        with replacing(path) as output:
            output.write(json.dumps({"beside": str(folder.resolve())}).encode())


def trusted_folder(text: str) -> Path | None:
    """The folder that a study file came from, if the user gave it once; None otherwise."""
    try:
        return Path(json.loads(_note(text).read_bytes())["beside"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
