"""The file of a study whose runs are recorded: its name, and what it is compared by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from stratigraph.errors import ConfigError, StorageError
from stratigraph.plugins import folder_of
from stratigraph.records import locked, write_text
from stratigraph.study import STUDY_FILE, load_study
from stratigraph.study.parse import parse_config
from stratigraph.trust import note_trust

__all__ = ["open_recorded"]


def open_recorded(folder: Path, measures: Sequence[str]) -> Path:
    """The folder of a recorded study, made with its file if it is new.

    A file that stands there stays: its measures are those of the study.

    Raises:
        ConfigError: another kind of study stands there, or a measure is not known.
        StorageError: the path is a file.

    """
    if folder.exists() and not folder.is_dir():
        raise StorageError(f"{folder}: expected a folder, or nothing; record to another.")
    about = {
        "name": re.sub(r"[^\w<>()+=.,'\" -]", "-", folder.resolve().name)[:100].strip("-.")
        or "runs",
        "recorded": True,
        "measures": list(measures),
    }
    text = yaml.safe_dump(about, sort_keys=False)
    config = parse_config(about, text)  # a misspelt measure is told now
    for name in config.plugins():
        note_trust(text, folder_of(name) or Path.cwd())
    with locked(folder, "study"):
        if not (folder / STUDY_FILE).is_file():
            write_text(folder / STUDY_FILE, text)
        elif not load_study(folder).config.recorded:
            raise ConfigError(
                f"{folder}: holds a study that stratigraph trains, not recorded runs; record to "
                "another folder."
            )
    return folder
